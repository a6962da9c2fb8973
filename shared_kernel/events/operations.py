"""Events of what operators ask of the read models, one stream for each of them (`operations-<projection>`).

`carried_out` says that whoever asked has done it already, so that the projector only keeps the record.
"""

from typing import ClassVar

from shared_kernel.events.contract import Event

CATEGORY = "operations"
"""How the streams of these events begin."""


class RebuildRequested(Event):
    """A read model shall be built anew; `at_once` lets it answer as soon as it is level, without another word."""

    TOPIC: ClassVar[str] = "operations.RebuildRequested.v1"

    projection: str
    at_once: bool = False
    reason: str = ""
    carried_out: bool = False


class RebuildPaused(Event):
    """The rebuild shall rest until it is resumed."""

    TOPIC: ClassVar[str] = "operations.RebuildPaused.v1"

    projection: str
    reason: str = ""
    carried_out: bool = False


class RebuildResumed(Event):
    """The rebuild shall go on where it rests."""

    TOPIC: ClassVar[str] = "operations.RebuildResumed.v1"

    projection: str
    reason: str = ""
    carried_out: bool = False


class RebuildCancelled(Event):
    """What was rebuilt so far shall be forgotten."""

    TOPIC: ClassVar[str] = "operations.RebuildCancelled.v1"

    projection: str
    reason: str = ""
    carried_out: bool = False


class SwitchApproved(Event):
    """The rebuilt generation shall answer from now on."""

    TOPIC: ClassVar[str] = "operations.SwitchApproved.v1"

    projection: str
    reason: str = ""
    carried_out: bool = False


class RollbackRequested(Event):
    """The generation shall answer again that did before the last switch."""

    TOPIC: ClassVar[str] = "operations.RollbackRequested.v1"

    projection: str
    reason: str = ""
    carried_out: bool = False


class ParkedRetryRequested(Event):
    """The parked events of one stream of the tenant `of_tenant` shall be tried again, in order."""

    TOPIC: ClassVar[str] = "operations.ParkedRetryRequested.v1"

    projection: str
    of_tenant: str
    stream: str
    reason: str = ""
    carried_out: bool = False


class ParkedSkipApproved(Event):
    """The projection shall do without the parked event at this position; what waits behind it goes on."""

    TOPIC: ClassVar[str] = "operations.ParkedSkipApproved.v1"

    projection: str
    of_tenant: str
    stream: str
    position: int
    reason: str
    carried_out: bool = False


PROJECTIONS = frozenset({"users", "sessions", "role_bindings", "policies", "resources", "stream_owners", "operations"})
"""The names that both services know the read models by; a new projection adds its own."""
