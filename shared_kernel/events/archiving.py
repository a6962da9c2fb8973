"""The last event of a stream that is archived, whatever the stream is about."""

from typing import ClassVar

from shared_kernel.events.contract import Event


class StreamArchived(Event):
    """Nothing more is added to this stream; it stays where it is, and can be read."""

    TOPIC: ClassVar[str] = "archiving.StreamArchived.v1"

    reason: str = ""
