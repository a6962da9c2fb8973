"""Which issuers an operator trusts, and what their tokens mean here: one JSON file, read once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared_kernel.errors import StartupRefused
from shared_kernel.text import slug
from shared_kernel.transport import is_loopback

MIN_RSA_BITS = 2_048
"""What Keycloak and Auth0 sign with unless they are told otherwise: 112 bits of security."""

Algorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]


def safe_address(url: str) -> str:
    """Raises ValueError unless this is https, or http to this very machine, without user, query and fragment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in (("https", "http") if is_loopback(host) else ("https",)):
        raise ValueError("must begin with https://")
    if not host or any((parts.username, parts.query, parts.fragment)):
        raise ValueError("must be an address without user, query and fragment")
    return url


class OutsideIssuer(BaseModel):
    """One issuer. Its users belong to one tenant and are known by (issuer, sub), never by an address or a name.

    `roles_claim` is where its tokens say roles, with dots for what is nested (Keycloak: `realm_access.roles`); only
    those that `roles` translates count, so nobody becomes an administrator because a role there is called so.
    `acr` and `amr` say what a sign-in there must have been to count as fresh proof; one of them is enough.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Annotated[str, AfterValidator(safe_address)]
    audience: Annotated[str, Field(min_length=1)]
    tenant: Annotated[str, AfterValidator(slug)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    types: Annotated[tuple[str, ...], Field(min_length=1)] = ("at+jwt", "JWT")
    roles_claim: Annotated[str, Field(min_length=1)] = "roles"
    roles: Mapping[str, Literal["admin", "operator", "auditor", "member"]] = {}
    acr: tuple[str, ...] = ()
    amr: tuple[str, ...] = ()
    smallest_rsa_key: Annotated[int, Field(ge=MIN_RSA_BITS)] = MIN_RSA_BITS

    def is_strong(self, acr: Any, amr: Any) -> bool:
        """Whether a sign-in of this kind counts as proof; what an issuer does not say counts as nothing."""
        if not self.acr and not self.amr:
            return True
        methods = amr if isinstance(amr, list) else ()
        return (isinstance(acr, str) and acr in self.acr) or any(each in self.amr for each in methods)

    def roles_in(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """Our names of the roles in a token, each once."""
        found: Any = claims
        for name in self.roles_claim.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        names = found if isinstance(found, list) else []
        return tuple(dict.fromkeys(self.roles[name] for name in names if isinstance(name, str) and name in self.roles))


_LIST = TypeAdapter(tuple[OutsideIssuer, ...])


def load_issuers(path: Path | None) -> tuple[OutsideIssuer, ...]:
    """The issuers in a file; none without one. Raises StartupRefused with one sentence."""
    if path is None:
        return ()
    try:
        found = _LIST.validate_json(path.read_bytes())
    except OSError as error:
        raise StartupRefused(f"The file of outside issuers {path} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise StartupRefused(f"The file of outside issuers {path} is not usable: {where}: {first['msg']}.") from None
    if len({each.issuer for each in found}) < len(found):
        raise StartupRefused(f"The file of outside issuers {path} names an issuer twice.")
    return found
