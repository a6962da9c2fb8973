"""All trusted issuers of one service: who is asked about a token, and with which keys."""

import functools
from collections.abc import Iterable
from datetime import datetime

import httpx2

from shared_kernel.auth.claims import UnknownKey
from shared_kernel.auth.jwks import TIMEOUT, RemoteKeys
from shared_kernel.auth.outside.discovery import keys_address
from shared_kernel.auth.outside.issuer import OutsideIssuer
from shared_kernel.auth.outside.tokens import OutsideVerifier, issuer_named_in
from shared_kernel.auth.principal import Principal


class OutsideIssuers:
    """Each issuer's keys are fetched when its first token comes, and kept as our own are."""

    def __init__(self, issuers: Iterable[OutsideIssuer], client: httpx2.AsyncClient | None = None) -> None:
        self._client = client or httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False)
        self._by_name = {issuer.issuer: (OutsideVerifier(issuer), self._keys(issuer)) for issuer in issuers}

    def knows(self, token: str) -> bool:
        """Whether a token says that it comes from one of these."""
        return bool(self._by_name) and issuer_named_in(token) in self._by_name

    async def verify(self, token: str, now: datetime) -> Principal:
        """Ask only about a token that `knows`. Raises TokenRefused, or ServiceUnavailable when there are no keys."""
        verifier, keys = self._by_name[issuer_named_in(token) or ""]
        if keys.due:
            await keys.refresh()
        try:
            return verifier.verify(token, keys.keys, now)
        except UnknownKey:
            if not await keys.refresh():
                raise
            return verifier.verify(token, keys.keys, now)

    async def close(self) -> None:
        await self._client.aclose()

    def _keys(self, issuer: OutsideIssuer) -> RemoteKeys:
        return RemoteKeys(issuer.issuer, self._client, locate=functools.partial(keys_address, issuer))
