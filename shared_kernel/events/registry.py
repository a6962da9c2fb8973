"""Topic to class and back: the closed list of what may be written to or read from the log."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from shared_kernel.errors import TwinlogError
from shared_kernel.events import access, accounts, archiving, epochs, operations, policies, resources, sessions
from shared_kernel.events.contract import Event


class UnknownTopic(TwinlogError):
    """This event's topic is not one that this release knows; deploy the newer release."""


class Registry:
    """An immutable map from topic to event class; refuses two classes for one topic."""

    def __init__(self, classes: Iterable[type[Event]]) -> None:
        by_topic: dict[str, type[Event]] = {}
        for cls in classes:
            if by_topic.setdefault(cls.TOPIC, cls) is not cls:
                raise ValueError(f"two event classes claim the topic {cls.TOPIC}")
        self.by_topic: Mapping[str, type[Event]] = MappingProxyType(by_topic)

    def resolve(self, topic: str) -> type[Event]:
        """The class for a topic. Raises UnknownTopic."""
        try:
            return self.by_topic[topic]
        except KeyError:
            raise UnknownTopic(f"The topic {topic!r} is not known to this release.") from None


def events_of(*modules: object) -> tuple[type[Event], ...]:
    """All event classes that the given modules define, in order of definition."""
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Event) and value is not Event
    )


def registry() -> Registry:
    """The registry of everything Twinlog ships; a new feature adds its module here."""
    return Registry(events_of(access, accounts, archiving, epochs, operations, policies, resources, sessions))
