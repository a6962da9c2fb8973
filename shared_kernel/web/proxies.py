"""Where a request really came from, when it came through proxies that this process was told to believe.

Anybody can write forwarding headers. They are read only on a connection from a trusted proxy, only the one header that
the proxies are known to write (the other may have come from the client untouched), and from its end: each proxy adds
whom it heard, so the first address from the right that is no trusted proxy is the caller's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from starlette.types import Scope

MAX_HOPS = 32
MAX_READ = 4_096
"""Characters of a Forwarded header, from its end: what the proxies have added stands there."""

_PAIR = re.compile(r'\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^";,\s]*))\s*')
_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")


class ForwardedHeader(StrEnum):
    """The header that the trusted proxies write."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"


@dataclass(frozen=True, slots=True)
class Hop:
    """Whom one proxy says it heard, and over which scheme."""

    address: IPv4Address | IPv6Address | None
    scheme: str | None = None


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Networks whose word counts; without any, the connection alone says where a request came from."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    header: ForwardedHeader = ForwardedHeader.X_FORWARDED_FOR

    @classmethod
    def parse(cls, networks: Sequence[str], header: str = ForwardedHeader.X_FORWARDED_FOR) -> "TrustedProxies":
        """Raises ValueError for what is no network."""
        return cls(tuple(ip_network(each) for each in networks), ForwardedHeader(header))

    def correct(self, scope: Scope) -> None:
        """Let the scope tell the caller's address and scheme instead of the last proxy's."""
        peer = _address((scope.get("client") or ("",))[0])
        if peer is None or not self._trusts(peer):
            return
        caller = self._caller(scope, Hop(peer, self._scheme(scope)))
        scope["client"] = (str(caller.address), 0)
        if caller.scheme in {"http", "https"}:
            scope["scheme"] = caller.scheme

    def _caller(self, scope: Scope, peer: Hop) -> Hop:
        """The last hop whose address is known: whatever stands before it, somebody untrusted may have written."""
        caller = peer
        for hop in reversed(self._hops(scope)[-MAX_HOPS:]):
            if hop.address is None:
                break
            caller = replace(hop, scheme=hop.scheme or caller.scheme)
            if not self._trusts(hop.address):
                break
        return caller

    def _hops(self, scope: Scope) -> list[Hop]:
        given = ",".join(_values(scope, self.header))
        if self.header is ForwardedHeader.FORWARDED:
            return [_hop(element) for element in _elements(given) if element.strip()]
        return [Hop(_address(each.strip())) for each in given.split(",") if each.strip()]

    def _scheme(self, scope: Scope) -> str | None:
        """What the nearest proxy says, which is the last to have added to the header."""
        if self.header is ForwardedHeader.FORWARDED:
            return None  # there each hop says it for itself
        return ",".join(_values(scope, "x-forwarded-proto")).rpartition(",")[2].strip().lower() or None

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)


def _values(scope: Scope, header: str) -> list[str]:
    wanted = header.encode()
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _elements(given: str) -> list[str]:
    """The last elements of a Forwarded header; what a cut may have gone through is left out."""
    found = _split(given[-MAX_READ:], ",")
    return found if len(given) <= MAX_READ else found[1:]


def _hop(element: str) -> Hop:
    """One element of a Forwarded header (RFC 7239, section 4)."""
    pairs: dict[str, Any] = {}
    for part in _split(element, ";"):
        found = _PAIR.fullmatch(part)
        if found is None:
            return Hop(None)
        pairs[found[1].lower()] = found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
    return Hop(_address(pairs.get("for", "")), pairs.get("proto", "").lower() or None)


def _split(text: str, separator: str) -> list[str]:
    """Split outside of quoted strings, which are told from the end: nothing that stands before can hide a separator."""
    parts = [""]
    for number, piece in enumerate(reversed(text.split('"'))):
        *before, last = [piece] if number % 2 else piece.split(separator)
        parts[-1] = f'{last}"{parts[-1]}' if number else last
        parts += reversed(before)
    return parts[::-1]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, perhaps with a port; IPv6 with a port stands in brackets."""
    found = _PORT.fullmatch(text)
    try:
        parsed = ip_address(found["six"] or found["four"] if found else text)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return mapped or parsed
