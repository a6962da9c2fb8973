"""Pages of a list: a signed cursor that fits only the list it was made for, and the RFC 8288 link to the next page.

Every list is ordered by one log position (of the event, or of the event that made the row). Positions are unique and
never change, and nothing beyond the horizon is shown, so walking all pages neither repeats nor skips a row, whatever
is written meanwhile.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from shared_kernel.errors import FieldError, LogEpochChanged, ValidationFailed
from shared_kernel.text import LINE_PATTERN, line, shown

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

_PLACE = struct.Struct(">Q")
_MAC_BYTES = 16
_POSITION_BITS = 48
_EPOCHS = 1 << 16
"""A cursor holds position and epoch in eight bytes: more positions than a log will have, epochs modulo this."""

Word = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(line), shown(LINE_PATTERN, 255, 1)]
"""A value to filter by: one line of text that PostgreSQL can hold."""

Cursor = Annotated[Word, WithJsonSchema({"type": "string", "pattern": "^([A-Za-z0-9_-]{32}|0|[1-9][0-9]{0,17})$"})]
"""What `Cursors.seal` makes; a list whose items show their positions takes a bare position too."""


class PageQuery(BaseModel):
    """What every list may be asked; a list with filters adds its own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="how many items at most")] = DEFAULT_LIMIT
    after: Annotated[Cursor | None, Field(description="the cursor from the `Link` header of the page before")] = None

    @property
    def descending(self) -> bool:
        """Whether the newest come first; a list that can be sorted says so in a field `sort`."""
        return str(getattr(self, "sort", "")).startswith("-")

    @property
    def bare_position(self) -> int | None:
        """A position that was given in place of a cursor, in lists whose items show their positions anyway."""
        return None

    def filters(self) -> dict[str, Any]:
        """The values that were given for everything but `limit` and `after`, ready for a URL."""
        return self.model_dump(mode="json", exclude={"limit", "after"}, exclude_none=True, exclude_defaults=True)


class Cursors:
    """Seals positions into cursors and opens them again, with a key of their own."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, position: int, scope: bytes) -> str:
        """A cursor after a position (or whatever number stands for a place) in the list that `scope` describes."""
        body = _PLACE.pack(position)
        return base64.urlsafe_b64encode(self._mac(body, scope) + body).decode()

    def open(self, cursor: str, scope: bytes) -> int:
        """The position. Raises ValidationFailed for a cursor that was not sealed for this very list."""
        try:
            raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
        except ValueError:
            raise _foreign() from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if len(body) != _PLACE.size or not hmac.compare_digest(mac, self._mac(body, scope)):
            raise _foreign()
        return int(_PLACE.unpack(body)[0])

    def _mac(self, body: bytes, scope: bytes) -> bytes:
        return hmac.digest(self._key, hashlib.sha256(scope).digest() + body, hashlib.sha256)[:_MAC_BYTES]


@dataclass(frozen=True, slots=True)
class Page:
    """One page that was asked for: which rows belong on it, and how the next one is addressed."""

    cursors: Cursors
    path: str
    query: PageQuery
    scope: bytes
    epoch: int = 0

    @classmethod
    def of(cls, cursors: Cursors, path: str, query: PageQuery, *scope: str | int, epoch: int = 0) -> "Page":
        """`scope` names what else the list depends on: the tenant, the version of the projection."""
        described = orjson.dumps([path, query.filters(), *scope], option=orjson.OPT_SORT_KEYS)
        return cls(cursors, path, query, described, epoch % _EPOCHS)

    @property
    def after(self) -> int | None:
        """The position after which the page begins.

        Raises ValidationFailed for a foreign cursor, LogEpochChanged for one of before the log was restored.
        """
        if self.query.after is None:
            return None
        bare = self.query.bare_position
        if bare is not None:
            return bare
        epoch, position = divmod(self.cursors.open(self.query.after, self.scope), 1 << _POSITION_BITS)
        if epoch != self.epoch:
            raise LogEpochChanged("The log was restored since this cursor was issued; begin with the first page.")
        return position

    def split(self, rows: Sequence[Mapping[str, Any]], position: str) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """The rows to show and the value of `Link`, if there are more; `position` names the column of the order."""
        shown = rows[: self.query.limit]
        if len(rows) <= self.query.limit:
            return shown, None
        after = self.cursors.seal((self.epoch << _POSITION_BITS) + shown[-1][position], self.scope)
        parameters = {**self.query.filters(), "limit": self.query.limit, "after": after}
        return shown, f'<{self.path}?{urlencode(parameters)}>; rel="next"'


def _foreign() -> ValidationFailed:
    why = "is not a cursor of this list; take it unchanged from the Link header, with the same filters"
    return ValidationFailed(errors=(FieldError("/query/after", why),))
