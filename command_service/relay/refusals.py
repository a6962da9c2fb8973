"""Why the relay would rather publish nothing: Redis and the log do not belong together, or the log is damaged."""

from shared_kernel.errors import TwinlogError


class PublicationRefused(TwinlogError):
    """Nothing is published until an operator has looked."""


class ForeignEntry(PublicationRefused):
    """A stream in Redis ends with an entry that no relay has written."""


class RedisAheadOfLog(PublicationRefused):
    """Redis holds events that the log does not have: the database was restored from an older backup."""


class HistoryDiffers(PublicationRefused):
    """Redis and the log hold different events under the same position: the database was restored and went on."""


class LogDamaged(PublicationRefused):
    """The log is not as it was written: a position is missing, or a leaf hash does not fit the stored bytes."""


class EpochChanged(TwinlogError):
    """The epoch of the log was raised since we agreed with Redis: agree anew."""
