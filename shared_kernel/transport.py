"""Encryption of connections: what a process shows its callers, whom it trusts, and which URLs would go in clear."""

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from shared_kernel.errors import StartupRefused

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secret and authenticated alone. TLS 1.3 knows no others; anything older is refused."""

_CHECKS = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}
"""What these parameters of a Redis URL must be, where they are given."""
_ELSEWHERE = frozenset({"hostaddr", "service"})
"""What else says where a PostgreSQL URL leads; an address goes before the host."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a process proves itself with: PEM files of the certificate with its chain, and of its key."""

    chain: Path
    key: Path

    def require_usable(self) -> None:
        """Raises StartupRefused with one sentence."""
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.chain, self.key)
        except OSError as error:  # what is wrong with a certificate is one too
            why = error.strerror
            raise StartupRefused(f"The certificate {self.chain} and its key cannot be used: {why}.") from None


def trust_in(authority: Path | None) -> ssl.SSLContext:
    """Trusts the authorities in this PEM file and no others; without one those of the machine. Names are checked.

    Raises StartupRefused with one sentence.
    """
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:  # what is wrong with a certificate is one too
        raise StartupRefused(f"The authorities in {authority} cannot be used: {error.strerror}.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def database_is_encrypted(url: str) -> bool:
    """Whether a PostgreSQL URL asks for a certificate of the right name, or leads to a socket of this machine."""
    try:
        told = conninfo_to_dict(url)
    except ProgrammingError:
        return False
    hosts = str(told.get("host") or "").split(",")
    local = not _ELSEWHERE & told.keys() and all(host.startswith(("/", "@")) for host in hosts)
    return local or told.get("sslmode") == "verify-full"


def redis_is_encrypted(url: str) -> bool:
    """Whether a Redis URL asks for TLS and switches no check off, or leads to a socket of this machine."""
    parts = urlsplit(url)
    told = parse_qs(parts.query)
    checked = all(told.get(name, [value]) == [value] for name, value in _CHECKS.items())
    return parts.scheme == "unix" or (parts.scheme in ("rediss", "rediss+cluster") and checked)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
