"""Where a request came from, as coarse as a person needs it to recognise their own devices."""

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
KEPT_BITS = {4: 24, 6: 48}


def device_of(user_agent: str | None) -> str | None:
    """`Firefox on Linux`, or the program's own name; never a version, which would make a person recognisable."""
    given = user_agent or ""
    browser, system = _first(_BROWSERS, given), _first(_SYSTEMS, given)
    if browser is None:
        product = _PRODUCT.match(given)
        return product[0] if product else None
    return f"{browser} on {system}" if system else browser


def _first(marks: Sequence[tuple[str, str]], text: str) -> str | None:
    return next((name for mark, name in marks if mark in text), None)


def network_of(address: str | None) -> str | None:
    """The address's network: 24 bits of an IPv4 address, 48 of an IPv6 address."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    return str(ip_network((parsed.packed, KEPT_BITS[parsed.version]), strict=False))
