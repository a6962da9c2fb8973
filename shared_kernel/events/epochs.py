"""Events of the log itself, in the stream `epochs-log`: where it goes on after it was restored from a backup."""

from typing import ClassVar

from shared_kernel.events.contract import Event


class EpochBegun(Event):
    """The log was restored: epoch `epoch` goes on after position `restored_to` of the epoch `followed`.

    `seen_upto` is the highest position of before that was still known somewhere (in Redis, in a read model's books);
    what lay between the two is lost.
    """

    TOPIC: ClassVar[str] = "epochs.EpochBegun.v1"

    epoch: int
    followed: int
    restored_to: int
    seen_upto: int
    reason: str = ""
