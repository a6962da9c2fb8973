"""Where an issuer publishes its keys, as its own metadata says (OpenID Connect Discovery 1.0, section 4)."""

from typing import Any

import httpx2
import orjson

from shared_kernel.auth.jwks import document_of
from shared_kernel.auth.outside.issuer import OutsideIssuer, safe_address

PATH = "/.well-known/openid-configuration"


async def keys_address(issuer: OutsideIssuer, client: httpx2.AsyncClient) -> str:
    """Raises httpx2.HTTPError, or ValueError unless the metadata are this very issuer's and name a safe address."""
    metadata: Any = orjson.loads(await document_of(client, issuer.issuer.rstrip("/") + PATH))
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer.issuer:
        raise ValueError("the metadata are another issuer's")
    address = metadata.get("jwks_uri")
    if not isinstance(address, str):
        raise ValueError("the metadata name no keys")  # noqa: TRY004 - callers catch what malformed answers raise
    return safe_address(address)
