"""The table of bad input: one row per case, by the part of a request that is bad."""

from tests.e2e.bad_bodies import bodies, media, oversized, types
from tests.e2e.bad_heads import headers, parameters, smuggling, tokens
from tests.e2e.bad_row import Row

TABLE: dict[str, tuple[Row, ...]] = {
    part.__name__: tuple(part()) for part in (bodies, oversized, types, media, parameters, headers, tokens, smuggling)
}
