"""The keys of access tokens: the private ones from their file, the public ones as published for the query service."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import APIRouter, Request, Response

from command_service.infrastructure.key_ring import BEGINNING, KeyRing, Turn
from shared_kernel.auth.jwks import MAX_AGE, PATH
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from shared_kernel.clock import Clock
from shared_kernel.errors import StartupRefused
from shared_kernel.settings import development_secret
from shared_kernel.web.access import public

LOOK_EVERY = 1.0
"""Seconds between two looks at the file: whoever rotates keys needs no restart."""

router = APIRouter(tags=["infrastructure"])


class Services(Protocol):
    """What this route needs of the service it is mounted in."""

    signer: TokenSigner


class TokenKeys:
    """The key ring in a file, read again when the file has changed; without a file the key for development.

    A file that cannot be read any more changes nothing: the keys known so far go on, and `trouble` says why.
    """

    def __init__(self, path: Path | None, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises StartupRefused when the file cannot be read or holds anything but P-256 private keys."""
        self._trouble = ""
        self._path = path
        self._clock = clock
        self._monotonic = monotonic
        self._seen = self._stamp()
        self._ring = _development() if path is None else read_ring(path)
        self._turn()

    @property
    def current(self) -> SigningKey:
        return self.published[0]

    @property
    def published(self) -> Sequence[SigningKey]:
        """The current key first."""
        self._keep_up()
        return self._published

    @property
    def trouble(self) -> str:
        """Why the file is of no use just now; empty when it is."""
        self._keep_up()
        return self._trouble

    def _keep_up(self) -> None:
        if self._monotonic() - self._looked_at >= LOOK_EVERY:
            self._look()
            self._turn()

    def _turn(self) -> None:
        """Asked with each request, so worked out once a second."""
        self._looked_at = self._monotonic()
        self._published = self._ring.published(self._clock.now())

    def _look(self) -> None:
        seen = self._stamp()
        if self._path is None or seen == self._seen:
            return
        try:
            self._ring = read_ring(self._path)
        except StartupRefused as refusal:
            self._trouble = refusal.detail
            structlog.get_logger("keys").error("the token keys cannot be read again", reason=refusal.detail)
        else:
            self._trouble = ""
            structlog.get_logger("keys").info("token keys read again", keys=len(self._ring.turns))
        self._seen = seen

    def _stamp(self) -> tuple[int, ...]:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            found = None
        if found is None:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size


def read_ring(path: Path) -> KeyRing:
    """Raises StartupRefused when the file cannot be read or holds anything but P-256 private keys."""
    try:
        return KeyRing.parse(path.read_text("ascii"))
    except OSError as error:
        raise StartupRefused(f"The token key file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StartupRefused("The token key is not an unencrypted PEM private key.") from None


def write_ring(path: Path, ring: KeyRing) -> None:
    """Replace the file in one step; it keeps its mode and, as far as this process may say so, its owner.

    Raises StartupRefused when that cannot be done; then the file is as it was.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        before = path.stat()
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(ring.text())
            file.flush()
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), before.st_mode & 0o777)
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise StartupRefused(f"The token key file {path} cannot be written: {error.strerror}.") from None


def _development() -> KeyRing:
    """The same on every machine."""
    number = int.from_bytes(hashlib.sha256(development_secret("token_key").encode()).digest(), "big")
    key = SigningKey(ec.derive_private_key(number >> 1, ec.SECP256R1()))  # halved, it is below the curve's order
    return KeyRing((Turn(key, BEGINNING, ""),))


@router.get(
    PATH,
    dependencies=[public()],
    responses={200: {"description": "A JWK set (RFC 7517).", "content": {"application/json": {}}}},
)
async def jwks(request: Request) -> Response:
    """The public keys that access tokens are checked with: the one that signs, the next one, and retired ones."""
    services: Services = request.app.state.services
    headers = {"Cache-Control": f"public, max-age={MAX_AGE:.0f}"}
    return Response(orjson.dumps(services.signer.jwks()), 200, headers, "application/json")
