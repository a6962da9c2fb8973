"""Choosing ports: the usual one, or the next that is free."""

import socket
from collections.abc import Callable, Mapping

LOOPBACK = "127.0.0.1"
LAST_PORT = 65_535
WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound


def is_free(host: str, port: int) -> bool:
    """Whether somebody could listen there now; port 0 never counts as free."""
    if port == 0:
        return False
    try:
        with socket.create_server((host, port), family=_family(host)):
            return True
    except OSError:
        return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def free_port(host: str = LOOPBACK) -> int:
    """A port that was free a moment ago; whoever binds it must be ready to lose it."""
    with socket.create_server((host, 0), family=_family(host)) as probe:
        return int(probe.getsockname()[1])


def choose(host: str, wanted: Mapping[str, int], announce: Callable[[str], None]) -> dict[str, int]:
    """A port for each name: the wanted one, else the next free one, which is said aloud; 0 stands for any."""
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        others = {*chosen.values(), *(other for key, other in wanted.items() if key != name)}
        chosen[name] = _next_free(host, port, others) if port else free_port(host)
        if port and chosen[name] != port:
            announce(f"Port {port} is taken; {name} listens on {chosen[name]} instead.")
    return chosen


def _next_free(host: str, port: int, others: set[int]) -> int:
    if is_free(host, port):
        return port
    for candidate in range(port + 1, LAST_PORT + 1):
        if candidate not in others and is_free(host, candidate):
            return candidate
    return free_port(host)
