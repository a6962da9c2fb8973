"""What OAuth clients have to know about this server (RFC 8414), so that nobody configures it by hand."""

from typing import Any, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from shared_kernel.auth.elevation import ELEVATED
from shared_kernel.auth.jwk import ALGORITHM
from shared_kernel.auth.jwks import PATH as KEYS_PATH
from shared_kernel.auth.tokens import ISSUER, TokenSigner
from shared_kernel.web.access import public

PATH = "/.well-known/oauth-authorization-server"

router = APIRouter(tags=["infrastructure"])

EXAMPLE: dict[str, Any] = {
    "issuer": "https://commands.example",
    "token_endpoint": "https://commands.example/v1/token",
    "revocation_endpoint": "https://commands.example/v1/token/revoke",
    "jwks_uri": f"https://commands.example{KEYS_PATH}",
    "service_documentation": "https://commands.example/docs",
    "response_types_supported": [],
    "grant_types_supported": ["password", "refresh_token"],
    "token_endpoint_auth_methods_supported": ["none"],
    "revocation_endpoint_auth_methods_supported": ["none"],
    "acr_values_supported": ["aal1", "aal2", ELEVATED],
    "access_token_signing_alg_values_supported": [ALGORITHM],
}


class Services(Protocol):
    """What this route needs of the service it is mounted in."""

    signer: TokenSigner


class ServerMetadata(BaseModel):
    """Where tokens are issued, ended and checked, and how. `issuer` is the `iss` of every access token."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    service_documentation: str
    response_types_supported: list[str] = []
    grant_types_supported: list[str] = ["password", "refresh_token"]
    token_endpoint_auth_methods_supported: list[str] = ["none"]
    revocation_endpoint_auth_methods_supported: list[str] = ["none"]
    acr_values_supported: list[str] = ["aal1", "aal2", ELEVATED]
    access_token_signing_alg_values_supported: list[str] = [ALGORITHM]


@router.get(PATH, dependencies=[public()])
async def server_metadata(request: Request) -> ServerMetadata:
    """Where tokens are issued, ended and checked (RFC 8414); at the issuer's address, if it is one."""
    services: Services = request.app.state.services
    issuer = services.signer.issuer
    base = str(request.base_url).rstrip("/") if issuer == ISSUER else issuer
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=f"{base}/v1/token",
        revocation_endpoint=f"{base}/v1/token/revoke",
        jwks_uri=f"{base}{KEYS_PATH}",
        service_documentation=f"{base}/docs",
    )
