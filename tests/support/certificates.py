"""Certificates of authorities that exist for one test, and servers that prove themselves with them."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared_kernel.transport import Certificate

SSL_REQUEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority of its own; `file` is what is to be trusted."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @classmethod
    def found(cls, folder: Path, name: str) -> "Authority":
        key, title = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string(f"CN={name}")
        mine = cls(folder / f"{name}.pem", key, title)
        basics = x509.BasicConstraints(ca=True, path_length=0)
        mine.file.write_bytes(mine._signed(title, key.public_key(), [basics]))
        return mine

    def certificate(self, folder: Path, name: str, *names: x509.GeneralName) -> Certificate:
        """For this machine's loopback address, unless other names are given."""
        key = ec.generate_private_key(ec.SECP256R1())
        named = x509.SubjectAlternativeName(names or (x509.IPAddress(ip_address("127.0.0.1")),))
        made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
        subject = x509.Name.from_rfc4514_string(f"CN={name}")
        made.chain.write_bytes(self._signed(subject, key.public_key(), [named]))
        plain = serialization.NoEncryption()
        made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return made

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, told: list[x509.ExtensionType]) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(issuer_name=self.name, subject_name=subject, public_key=key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for each in told:
            builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@dataclass(slots=True)
class Listener:
    """A server that knows nothing but how to begin TLS; `greeted` says which clients trusted it."""

    port: int
    greeted: list[bool] = field(default_factory=list)


@contextmanager
def tls_listener(certificate: Certificate, *, postgres: bool = False) -> Iterator[Listener]:
    """With `postgres` it is asked for TLS first, as that protocol has it. Whoever has trusted it is hung up on."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server.getsockname()[1])
        thread = threading.Thread(target=_greet_all, args=(server, context, listener, postgres), daemon=True)
        thread.start()
        yield listener
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)


def _greet_all(server: socket.socket, context: ssl.SSLContext, listener: Listener, postgres: bool) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            with client:
                client.settimeout(5)
                listener.greeted.append(_greet(client, context, postgres=postgres))


def _greet(client: socket.socket, context: ssl.SSLContext, *, postgres: bool) -> bool:
    """Whether the client went on after it had seen the certificate: it sends what only follows trust."""
    try:
        if postgres:
            client.recv(SSL_REQUEST_BYTES)
            client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as encrypted:
            return bool(encrypted.recv(1))
    except (OSError, ssl.SSLError):
        return False
