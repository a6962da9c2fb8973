"""How far each read model is, told in Redis: for the lag, for trimming, and for whoever looks for the newest epoch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CHECKPOINTS_KEY = "projector:checkpoints"
"""A hash: `<projection>/<generation>/<partition>` -> `<epoch>-<position>`."""


@dataclass(frozen=True, slots=True)
class Told:
    """One unit's checkpoint in one partition, as the projector has told it."""

    unit: str
    partition: int
    epoch: int
    position: int


def field_of(unit: str, partition: int) -> str:
    return f"{unit}/{partition}"


def value_of(epoch: int, position: int) -> str:
    return f"{epoch}-{position}"


def told(stored: Mapping[bytes, bytes]) -> Iterator[Told]:
    """What the hash says; what nobody of us has written is left out."""
    for field, value in stored.items():
        try:
            unit, _, partition = field.decode().rpartition("/")
            epoch, position = value.split(b"-")
            yield Told(unit, int(partition), int(epoch), int(position))
        except ValueError:
            continue
