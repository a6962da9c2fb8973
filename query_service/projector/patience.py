"""Code of a projection that does not come back is interrupted: its event is parked, and all others flow."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from shared_kernel.errors import TwinlogError

LIMIT = 2.0
"""Seconds between two looks; what is at work on the same event at two looks in a row is interrupted at the second."""


class TooSlow(TwinlogError):
    """A projection does not come back from one event."""


class Watch:
    """`busy` is the event that somebody else's code is at work on; None between two events."""

    __slots__ = ("_seen", "busy")

    def __init__(self) -> None:
        self.busy: object = None
        self._seen: object = None

    def look(self, _: int, frame: FrameType | None) -> None:
        """Raises TooSlow, in the middle of that code, if it has made no progress since the last look.

        Twice, because a machine that was stopped for a while makes everybody look slow once.
        """
        if self.busy is not None and self.busy is self._seen:
            name = frame.f_code.co_name if frame else "it"
            raise TooSlow(f"{name} does not come back within {LIMIT:g} s.")
        self._seen = self.busy


@contextmanager
def watched(limit: float | None = None) -> Iterator[Watch]:
    """Look at the block again and again; whoever works in it says on what. It must not await anything.

    Only in the main thread can Python interrupt its own code. A timer that was running goes on afterwards.
    """
    watch = Watch()
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return
    handler, begun = signal.signal(signal.SIGALRM, watch.look), time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, limit or LIMIT, limit or LIMIT)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - begun), 0.001), interval)
