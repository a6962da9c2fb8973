"""Which sessions have just ended and which roles were just withdrawn, for as long as a token could say otherwise.

Knowledge has an age. When it has grown old it is no knowledge any more, and nobody gets in.
"""

import time
from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import LIFETIME
from shared_kernel.errors import ServiceUnavailable, Unauthenticated
from shared_kernel.events.access import RoleWithdrawn
from shared_kernel.events.sessions import SessionEnded

LIMIT = 5.0
"""Seconds after which knowledge is too old to let anybody in."""
KEPT = LIFETIME + 60
"""Seconds for which news is kept: the life of an access token, and something for clocks that differ."""
SET_BACK = 1.0
"""Seconds by which a clock must lose against a steady one for this to count as set back."""


class SessionHasEnded(Unauthenticated):
    """Sign in again: this session has ended."""

    @classmethod
    def code(cls) -> str:
        return Unauthenticated.code()


class RolesAreOutdated(Unauthenticated):
    """Refresh the access token: a role was withdrawn since it was issued."""

    headers = MappingProxyType({"WWW-Authenticate": 'Bearer error="invalid_token"'})

    @classmethod
    def code(cls) -> str:
        return Unauthenticated.code()


class _News(NamedTuple):
    """When the log recorded it (microseconds since 1970), when it was heard here, and as which version of a stream."""

    recorded_at: int
    heard_at: float
    version: int = 0


_Known = dict[tuple[str, UUID], _News]


class DenialList:
    """Ask `refuse` at every request; whoever reads the news calls `add` and `add_withdrawal`, then `known_since`.

    A token whose roles are older than a withdrawal is refused as a whole: what it may still do, its successor says.
    One that lacks a role granted since is not: it says less than is true, never more.

    `clock` is steady, `wall_clock` may jump: what it calls long ago can be a moment ago once it is set right again.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self._wall_clock = wall_clock
        self._ended: _Known = {}
        self._withdrawn: _Known = {}
        self._known_at = float("-inf")
        self._ahead = float("-inf")

    def refuse(self, principal: Principal) -> None:
        """Raises Unauthenticated when the caller's session has ended or lost a role since its token was issued,
        ServiceUnavailable when that is not known.
        """
        if self.age > LIMIT:
            raise ServiceUnavailable("Whether this session goes on is not known just now; try again in a moment.")
        if (principal.tenant, principal.session_id) in self._ended:
            raise SessionHasEnded
        withdrawal = self._withdrawn.get((principal.tenant, principal.user_id))
        if withdrawal is not None and principal.roles_version < withdrawal.version:
            raise RolesAreOutdated

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
        return len(self._ended) + len(self._withdrawn)

    def was_set_back(self) -> bool:
        """Whether the wall clock was set back since this was last asked: what was too old may matter again."""
        before, self._ahead = self._ahead, self._wall_clock() - self.clock()
        return self._ahead < before - SET_BACK

    def hear(self, topic: str, tenant: str, stream: str, version: int, recorded_at: int) -> None:
        """Add what an event of the log says, if it says anything here; `recorded_at` in microseconds since 1970."""
        if topic == SessionEnded.TOPIC:
            self.add(tenant, UUID(stream.removeprefix("sessions-")), recorded_at)
        elif topic == RoleWithdrawn.TOPIC:
            self.add_withdrawal(tenant, UUID(stream.removeprefix("roles-")), version, recorded_at)

    def add(self, tenant: str, session_id: UUID, recorded_at: int) -> None:
        """A session that ended at `recorded_at` (microseconds since 1970)."""
        self._ended.setdefault((tenant, session_id), _News(recorded_at, self.clock()))

    def add_withdrawal(self, tenant: str, user_id: UUID, version: int, recorded_at: int) -> None:
        """This version of the user's roles lacks one that the version before had. It may be told in any order."""
        known = self._withdrawn.get((tenant, user_id))
        if known is None or known.version < version:
            self._withdrawn[tenant, user_id] = _News(recorded_at, self.clock(), version)

    def known_since(self, moment: float) -> None:
        """Everything that had happened by `moment` (of `clock`) has been added. What can no longer matter is forgotten.

        That is so once both clocks say that its last token has expired.
        """
        self._known_at = max(self._known_at, moment)
        recorded_before, heard_before = self.oldest * 1_000_000, self.clock() - KEPT
        for known in (self._ended, self._withdrawn):
            for whose, news in list(known.items()):
                if news.recorded_at < recorded_before and news.heard_at < heard_before:
                    del known[whose]
