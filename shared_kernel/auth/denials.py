"""Which sessions have just ended, in memory, for as long as one of their access tokens could still be out.

Knowledge has an age. When it has grown old it is no knowledge any more, and nobody gets in.
"""

import time
from collections.abc import Callable
from uuid import UUID

from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import LIFETIME
from shared_kernel.errors import ServiceUnavailable, Unauthenticated

LIMIT = 5.0
"""Seconds after which knowledge is too old to let anybody in."""
KEPT = LIFETIME + 60
"""Seconds for which a session's end is kept: the life of an access token, and something for clocks that differ."""
SET_BACK = 1.0
"""Seconds by which a clock must lose against a steady one for this to count as set back."""


class SessionHasEnded(Unauthenticated):
    """Sign in again: this session has ended."""

    @classmethod
    def code(cls) -> str:
        return Unauthenticated.code()


class DenialList:
    """Ask `refuse` at every request; whoever reads the news calls `add`, then `known_since`.

    `clock` is steady, `wall_clock` may jump: what it calls long ago can be a moment ago once it is set right again.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self._wall_clock = wall_clock
        self._ended: dict[tuple[str, UUID], tuple[int, float]] = {}
        self._known_at = float("-inf")
        self._ahead = float("-inf")

    def refuse(self, principal: Principal) -> None:
        """Raises Unauthenticated when the caller's session has ended, ServiceUnavailable when that is not known."""
        if self.age > LIMIT:
            raise ServiceUnavailable("Whether this session goes on is not known just now; try again in a moment.")
        if (principal.tenant, principal.session_id) in self._ended:
            raise SessionHasEnded

    @property
    def age(self) -> float:
        """Seconds since it was last known which sessions have ended."""
        return self.clock() - self._known_at

    @property
    def oldest(self) -> float:
        """Seconds since 1970; no token of a session that ended before this is still out."""
        return self._wall_clock() - KEPT

    @property
    def trouble(self) -> str:
        """Why nobody gets in just now; empty when all is well."""
        return "it is not known which sessions have ended" if self.age > LIMIT else ""

    def __len__(self) -> int:
        return len(self._ended)

    def was_set_back(self) -> bool:
        """Whether the wall clock was set back since this was last asked: what was too old may matter again."""
        before, self._ahead = self._ahead, self._wall_clock() - self.clock()
        return self._ahead < before - SET_BACK

    def add(self, tenant: str, session_id: UUID, recorded_at: int) -> None:
        """A session that ended at `recorded_at` (microseconds since 1970)."""
        self._ended.setdefault((tenant, session_id), (recorded_at, self.clock()))

    def known_since(self, moment: float) -> None:
        """Everything that had ended by `moment` (of `clock`) has been added. What can no longer matter is forgotten.

        That is so once both clocks say that its last token has expired.
        """
        self._known_at = max(self._known_at, moment)
        ended_before, heard_before = self.oldest * 1_000_000, self.clock() - KEPT
        for session, (recorded_at, heard_at) in list(self._ended.items()):
            if recorded_at < ended_before and heard_at < heard_before:
                del self._ended[session]
