"""The keys of access tokens: the private one as configured, the public ones as published for the query service."""

import hashlib
from pathlib import Path
from typing import Protocol

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import APIRouter, Request, Response

from shared_kernel.auth.jwks import MAX_AGE, PATH
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from shared_kernel.settings import development_secret
from shared_kernel.web.access import public

router = APIRouter(tags=["infrastructure"])


class Services(Protocol):
    """What this route needs of the service it is mounted in."""

    signer: TokenSigner


def signing_key(path: Path | None) -> SigningKey:
    """The key in a PEM file; without one the key for development, the same on every machine. Raises StartupRefused."""
    if path is not None:
        return SigningKey.load(path)
    number = int.from_bytes(hashlib.sha256(development_secret("token_key").encode()).digest(), "big")
    return SigningKey(ec.derive_private_key(number >> 1, ec.SECP256R1()))  # halved, it is below the curve's order


@router.get(
    PATH,
    dependencies=[public()],
    responses={200: {"description": "A JWK set (RFC 7517).", "content": {"application/json": {}}}},
)
async def jwks(request: Request) -> Response:
    """The public keys that access tokens are checked with."""
    services: Services = request.app.state.services
    headers = {"Cache-Control": f"public, max-age={MAX_AGE:.0f}"}
    return Response(orjson.dumps(services.signer.jwks()), 200, headers, "application/json")
