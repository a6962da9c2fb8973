"""The private keys of access tokens and their turns: which one signs, and which ones are still or already published.

They stand one after another in one PEM file, each under a line `Signs-From:` with the time (RFC 3339, UTC) from which
it signs; RFC 7468 allows such text. A key without the line has signed from the beginning, so a plain PEM file will do.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from shared_kernel.auth.claims import SKEW
from shared_kernel.auth.jwks import MAX_AGE
from shared_kernel.auth.tokens import LIFETIME, SigningKey
from shared_kernel.errors import StartupRefused, TwinlogError

LEAD = timedelta(seconds=2 * MAX_AGE)
"""From publishing a key to signing with it: twice as long as others may keep what was published before."""

KEPT = timedelta(seconds=LIFETIME + SKEW)
"""From its last signature until a key is forgotten: the life of a token, and what clocks may differ."""

BEGINNING = datetime.fromtimestamp(0, UTC)
_BLOCK = re.compile(
    r"(?:^Signs-From:[ \t]*(?P<time>\S+)[ \t]*\n)?(?P<pem>^-----BEGIN [^-\n]+-----\n.+?^-----END [^-\n]+-----$)",
    re.MULTILINE | re.DOTALL,
)

State = Literal["next", "current", "retired"]


class RotationPending(TwinlogError):
    """A key is waiting for its turn already."""

    status = 409


@dataclass(frozen=True, slots=True)
class Turn:
    """One key and the time from which it signs; its PEM as it stands in the file."""

    key: SigningKey
    signs_from: datetime
    pem: str


class Place(NamedTuple):
    """Where a key stands at some moment; `published_until` is None while no other follows it."""

    kid: str
    state: State
    signs_from: datetime
    published_until: datetime | None


@dataclass(frozen=True, slots=True)
class KeyRing:
    """At least one key, in the order of their turns."""

    turns: tuple[Turn, ...]

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """What a file says. Raises StartupRefused unless each key is usable, stands once, and has a time of its own."""
        found = [_turn(match["pem"], match["time"]) for match in _BLOCK.finditer(text)]
        turns = tuple(sorted(found, key=lambda turn: turn.signs_from))
        if not turns:
            raise StartupRefused("The token key is not an unencrypted PEM private key.")
        if any(one.signs_from == other.signs_from for one, other in pairwise(turns)):
            raise StartupRefused("Two token keys sign from the same time: give each a Signs-From line of its own.")
        if len({turn.key.kid for turn in turns}) < len(turns):
            raise StartupRefused("A token key stands twice in its file.")
        return cls(turns)

    def text(self) -> str:
        """What `parse` reads."""
        return "".join(f"Signs-From: {_written(turn.signs_from)}\n{turn.pem}\n" for turn in self.turns)

    def current(self, now: datetime) -> SigningKey:
        """The key whose turn it is; before the first turn that is the first one."""
        return next((turn.key for turn in reversed(self.turns) if turn.signs_from <= now), self.turns[0].key)

    def published(self, now: datetime) -> tuple[SigningKey, ...]:
        """The keys that tokens may bear: the current one first, then those to come, then those gone by."""
        kept = self._kept(now)
        current = self.current(now)
        return current, *(turn.key for turn in reversed(kept) if turn.key is not current)

    def places(self, now: datetime) -> list[Place]:
        """Every published key, the newest first."""
        current = self.current(now)
        return [
            Place(turn.key.kid, _state(turn, current, now), turn.signs_from, self._published_until(turn))
            for turn in reversed(self._kept(now))
        ]

    def rotated(self, now: datetime, lead: timedelta = LEAD) -> "KeyRing":
        """The ring with a new key whose turn comes after `lead`, and without those that no token bears any more.

        Raises RotationPending while another key waits for its turn.
        """
        kept = self._kept(now)
        if kept[-1].signs_from > now:
            raise RotationPending(
                f"The key {kept[-1].key.kid} takes its turn at {_written(kept[-1].signs_from)}: wait until then, "
                "or say --compromised to replace every key at once."
            )
        return KeyRing((*kept, _new(now + lead)))

    @classmethod
    def replaced(cls, now: datetime) -> "KeyRing":
        """A new key alone, for when an old one is in wrong hands: every token out there is worth nothing any more."""
        return cls((_new(now),))

    def _kept(self, now: datetime) -> tuple[Turn, ...]:
        ends = (self._published_until(turn) for turn in self.turns)
        return tuple(turn for turn, end in zip(self.turns, ends, strict=True) if end is None or end > now)

    def _published_until(self, turn: Turn) -> datetime | None:
        follower = next((other for other in self.turns if other.signs_from > turn.signs_from), None)
        return None if follower is None else follower.signs_from + KEPT


def _turn(pem: str, time: str | None) -> Turn:
    try:
        signs_from = BEGINNING if time is None else datetime.fromisoformat(time)
    except ValueError:
        raise StartupRefused(f"A token key signs from {time!r}, which is not a time as in RFC 3339.") from None
    if signs_from.tzinfo is None:
        raise StartupRefused(f"A token key signs from {time}, which does not say its distance from UTC.")
    return Turn(SigningKey.from_pem(pem.encode()), signs_from, pem)


def _new(signs_from: datetime) -> Turn:
    """Whole seconds, as tokens and the file have them."""
    pem = SigningKey.generate_pem().decode().strip()
    return Turn(SigningKey.from_pem(pem.encode()), signs_from.replace(microsecond=0), pem)


def _state(turn: Turn, current: SigningKey, now: datetime) -> State:
    if turn.key is current:
        return "current"
    return "next" if turn.signs_from > now else "retired"


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
