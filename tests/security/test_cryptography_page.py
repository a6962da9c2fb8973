"""The page about cryptography: every algorithm, key and holder that it tells of is the code's, and none is missing."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from command_service.features.sessions.domain import totp as totp_rules
from command_service.features.sessions.handlers import totp
from command_service.infrastructure import refresh_tokens
from command_service.settings import Settings as CommandSettings
from deploy.containers.secrets import make_secrets
from deploy.local.environment import NOT_FOR
from query_service.settings import Settings as QuerySettings
from shared_kernel import transport
from shared_kernel.auth import codes, passwords, secrets
from shared_kernel.auth.outside import issuer
from shared_kernel.privacy import cipher
from shared_kernel.settings import SharedSettings
from tests.security.reading import imports_of, rows, section, sources, text_of

CRYPTOGRAPHIC = {"argon2", "cryptography", "hashlib", "hmac", "jose", "joserfc", "secrets", "ssl"}
RANDOM = re.compile(r"\bos\.urandom\(")


@pytest.mark.asvs("V11.1.2")
def test_inventory_names_every_file_that_uses_cryptography() -> None:
    told = set(re.findall(r"`([a-z_/0-9]+/[a-z_0-9]+\.py)`", section(text_of("cryptography.md"), "Algorithms")))
    found = {path for path, source in sources().items() if imports_of(source) & CRYPTOGRAPHIC or RANDOM.search(source)}
    own = {path for path in sources() if "/migrations/" in path}
    assert found - own - told == set(), "add it to docs/security/cryptography.md"
    assert told <= sources().keys()


@pytest.mark.asvs("V11.1.2")
def test_inventory_names_every_purpose_of_a_derived_key_and_whose_secret_it_is_from() -> None:
    keys = {cells[0]: cells[3] for cells in rows(section(text_of("cryptography.md"), "Keys"))}
    told = {
        secret: set(re.findall(r"`([a-z-]+)`", keys[f"`TWINLOG_{secret.upper()}`"]))
        for secret in ("command_secret", "shared_secret")
    }
    assert not told["command_secret"] & told["shared_secret"]
    purposes = {
        call.args[1].value
        for source in sources().values()
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "derive" and isinstance(call.args[1], ast.Constant)
    }
    assert set().union(*told.values()) == purposes
    for path, source in sources().items():
        if path.startswith("query_service/"):
            asked = set(re.findall(r'derive\([^"]*"([a-z-]+)"\)', source))
            assert asked <= told["shared_secret"], path


@pytest.mark.asvs("V11.1.2")
def test_inventory_tells_the_parameters_that_the_code_has() -> None:
    text = section(text_of("cryptography.md"), "Algorithms")
    for told in (
        f"Argon2id, {passwords.MEMORY_KIB} KiB, {passwords.PASSES} passes, {passwords.LANES} lane",
        f"{passwords.SALT_BYTES} bytes of salt",
        f"RSA of {issuer.MIN_RSA_BITS} bits or more",
        f"AES-{cipher.KEY_BYTES * 8}-GCM",
        f"HKDF-SHA-256, {secrets.DERIVED_BYTES} bytes",
        f"{refresh_tokens.SECRET_BYTES * 8} random bits",
        f"{totp.RECOVERY_BYTES * 8} random bits, kept as SHA-256",
        f"{totp_rules.DIGITS} digits, {totp_rules.STEP} seconds, {totp.SECRET_BYTES * 8} random bits of secret",
        *get_args(issuer.Algorithm),
    ):
        assert told in text, told
    assert totp.RECOVERY_BYTES == codes.CODE_BYTES
    assert transport.CIPHERS.split(":") == ["ECDHE+AESGCM", "ECDHE+CHACHA20"]


@pytest.mark.asvs("V11.1.1")
def test_no_key_is_held_by_more_than_the_policy_says(tmp_path: Path) -> None:
    """Shared secrets have two holders, private keys one: what the containers are given is what the page says."""
    make_secrets(_with_volumes(tmp_path))
    holders = {name: {f.name for f in (tmp_path / name).iterdir()} for name in ("command", "query", "migrate")}
    told = {cells[0]: set(cells[2].split(", ")) for cells in rows(section(text_of("cryptography.md"), "Keys"))}
    files = {
        "token key (P-256, private)": "token_key.pem",
        "`TWINLOG_COMMAND_SECRET`": "twinlog_command_secret",
        "`TWINLOG_SHARED_SECRET`": "twinlog_shared_secret",
        "`TWINLOG_KEK`": "twinlog_kek",
    }
    for key, file in files.items():
        assert told[key] == {name for name in ("command", "query") if file in holders[name]}, key
        assert len(told[key]) <= 2
    assert not [file for file in holders["command"] | holders["query"] if "owner" in file]
    assert told["passwords of owners"] == {"owner"}
    secret_settings = {name for cls in (CommandSettings, QuerySettings) for name in _secrets_of(cls)}
    assert secret_settings == {"command_secret", "shared_secret", "kek"}, "a new secret needs a row in the page"
    for environment, held in NOT_FOR.items():
        if environment != "command":
            assert {"COMMAND_SECRET"} <= held


def _secrets_of(cls: type[SharedSettings]) -> list[str]:
    return [name for name, field in cls.model_fields.items() if field.annotation is SecretStr]


def _with_volumes(base: Path) -> Path:
    for name in ("migrate", "command", "query", "reader", "postgres", "redis"):
        (base / name).mkdir()
    return base


def test_connections_that_the_page_tells_of_are_those_that_are_checked() -> None:
    told = section(text_of("cryptography.md"), "Connections")
    settings = set(re.findall(r"`TWINLOG_([A-Z_]+)", told))
    known = {name.upper() for cls in (CommandSettings, QuerySettings) for name in cls.model_fields}
    assert settings <= known
    assert {name for name in known if "TLS" in name} <= settings
