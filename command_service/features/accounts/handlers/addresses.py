"""Under which key an e-mail address is claimed: an HMAC, so that no table holds the address itself."""

import hashlib
import hmac

from command_service.features.accounts.commands import normal
from shared_kernel.auth.secrets import derive


class Addresses:
    """Keys under a key that is derived from the service's secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = derive(secret, "claim")

    def key_of(self, tenant: str, email: str) -> str:
        """The same for all spellings of an address, and different in every tenant."""
        return hmac.digest(self._key, f"{tenant}\0{_folded(email)}".encode(), hashlib.sha256).hex()


def _folded(email: str) -> str:
    try:
        return normal(email.strip()).casefold()
    except ValueError:  # it is nobody's, and is looked up like any other
        return email.casefold()
