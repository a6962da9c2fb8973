"""Old topics to new ones: pure functions from stored data to the data of the next version, chained."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Data = dict[str, Any]
Upcaster = Callable[[Data], tuple[str, Data]]
"""Takes the decoded payload of an old topic; answers the next topic and its data."""

UPCASTERS: Mapping[str, Upcaster] = MappingProxyType({})
"""Old topic to the step that leaves it; empty while every event is at its first version."""


def upcast(topic: str, data: Data, steps: Mapping[str, Upcaster] = UPCASTERS) -> tuple[str, Data]:
    """Follow the chain from `topic` to its newest version; a topic without a step is already the newest."""
    seen = {topic}
    while (step := steps.get(topic)) is not None:
        topic, data = step(data)
        if topic in seen:
            raise ValueError(f"upcasters lead in a circle at {topic}")
        seen.add(topic)
    return topic, data
