"""The `Consistency-Token`: "show me at least what I just wrote", authenticated and opaque to its bearer."""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass

from shared_kernel.errors import TwinlogError

_HEAD = struct.Struct(">BIQ")
_MAC_BYTES = 16
_VERSION = 1


class MalformedConsistencyToken(TwinlogError):
    """The Consistency-Token is not one that this system issued; send the header exactly as you received it."""

    status = 400


@dataclass(frozen=True, slots=True)
class ConsistencyToken:
    """A point in the log: epoch, position, and the tenant and stream that was written there."""

    epoch: int
    position: int
    tenant: str
    stream: str

    def seal(self, key: bytes) -> str:
        """The header's value: base64url without padding, authenticated with HMAC-SHA-256 under `key`."""
        body = _HEAD.pack(_VERSION, self.epoch, self.position) + f"{self.tenant}\x00{self.stream}".encode()
        return base64.urlsafe_b64encode(_mac(key, body) + body).rstrip(b"=").decode()

    @classmethod
    def open(cls, sealed: str, key: bytes) -> "ConsistencyToken":
        """Raises MalformedConsistencyToken for anything that `seal` with this key did not make."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
            mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if not hmac.compare_digest(mac, _mac(key, body)):
                raise MalformedConsistencyToken
            version, epoch, position = _HEAD.unpack_from(body)
            tenant, stream = body[_HEAD.size :].decode().split("\x00")
        except (ValueError, struct.error):
            raise MalformedConsistencyToken from None
        if version != _VERSION:
            raise MalformedConsistencyToken
        return cls(epoch, position, tenant, stream)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_MAC_BYTES]
