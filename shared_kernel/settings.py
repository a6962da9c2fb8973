"""Settings from the environment and from secret files: frozen, complete, or refused in one sentence."""

import hashlib
import os
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared_kernel.auth.outside.issuer import safe_address
from shared_kernel.auth.secrets import require_strong
from shared_kernel.auth.tokens import ISSUER
from shared_kernel.errors import StartupRefused
from shared_kernel.privacy.kek import Kek
from shared_kernel.rates.quota import Quota
from shared_kernel.transport import Certificate, database_is_encrypted, is_loopback, redis_is_encrypted
from shared_kernel.web.browsers import BrowserRules
from shared_kernel.web.proxies import ForwardedHeader, TrustedProxies

PREFIX = "TWINLOG_"
SECRETS_DIR = "TWINLOG_SECRETS_DIR"

T = TypeVar("T", bound="SharedSettings")


def _postgres(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must be a postgresql:// URL")
    try:
        conninfo_to_dict(url)
    except ProgrammingError:  # which quotes the URL with its password
        raise ValueError("must be a URL that PostgreSQL understands") from None
    return url


def _redis(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")):
        raise ValueError("must be a redis:// URL")
    try:
        _ = urlsplit(url).port
    except ValueError:  # which may quote a part of the password
        raise ValueError("must be a redis:// URL whose host and port can be read") from None
    return url


def _words(given: Any) -> Any:
    """A list as people write it in a variable: with commas, white space or both."""
    return tuple(given.replace(",", " ").split()) if isinstance(given, str) else given


def _networks(given: tuple[str, ...]) -> tuple[str, ...]:
    TrustedProxies.parse(given)
    return given


def _origins(given: tuple[str, ...]) -> tuple[str, ...]:
    BrowserRules.of(given)
    return given


def _quota(text: str) -> str:
    Quota.parse("any", text)
    return text


def _issuer(name: str) -> str:
    return name if name == ISSUER else safe_address(name).rstrip("/")


IssuerName = Annotated[str, AfterValidator(_issuer)]
QuotaText = Annotated[str, AfterValidator(_quota)]
PostgresUrl = Annotated[str, AfterValidator(_postgres)]
RedisUrl = Annotated[str, AfterValidator(_redis)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


class SharedSettings(BaseSettings):
    """What every process of both services is told. URLs hold passwords, so they never show in a message.

    `rate_*` are quotas of requests, `<amount>/<seconds>` or `off`; `rate_processes` says how many processes of a
    service share them when Redis cannot be asked. `trusted_proxies` are networks whose `forwarded_header` is believed,
    `cors_origins` the origins whose pages may read answers; both are lists with commas or spaces.
    `outside_issuers_file` is a JSON list of issuers whose access tokens are accepted besides our own.
    `issuer` is the `iss` of our own access tokens, best the address that callers reach the command API at.
    `tls_certificate_file` and `tls_key_file` let a process speak HTTPS itself; with `require_tls` it does not start if
    any of its connections would go in clear.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    env: Literal["production", "development"] = "production"
    issuer: IssuerName = ISSUER
    data: Path | None = None
    outside_issuers_file: Path | None = None
    host: str = "127.0.0.1"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    vault_database_url: PostgresUrl = Field(repr=False)
    vault_owner_url: PostgresUrl | None = Field(default=None, repr=False)
    redis_url: RedisUrl | None = Field(default=None, repr=False)
    shared_secret: SecretStr
    kek: SecretStr
    rate_address: QuotaText = "60000/60"
    rate_user: QuotaText = "30000/60"
    rate_tenant: QuotaText = "300000/60"
    rate_processes: int = Field(default=1, ge=1, le=1024)
    trusted_proxies: Annotated[Words, AfterValidator(_networks)] = ()
    forwarded_header: ForwardedHeader = ForwardedHeader.X_FORWARDED_FOR
    cors_origins: Annotated[Words, AfterValidator(_origins)] = ()
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    require_tls: bool = False

    @property
    def certificate(self) -> Certificate | None:
        """What this process proves itself with; None when it speaks plain HTTP."""
        if self.tls_certificate_file is None or self.tls_key_file is None:
            return None
        return Certificate(self.tls_certificate_file, self.tls_key_file)

    @model_validator(mode="before")
    @classmethod
    def _fill_in_for_development(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Nobody should have to make secrets to try something; outside development these are refused."""
        if values.get("env") != "development":
            return values
        missing = (name for name in _secret_names(cls) if name not in values)
        return values | {name: development_secret(name) for name in missing}

    @field_validator("*")
    @classmethod
    def _refuse_weak_secrets(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        if isinstance(value, SecretStr) and info.data.get("env") != "development":
            if value.get_secret_value() == development_secret(name):
                raise ValueError("is the one for development")
            if name != "kek":  # it has a form of its own
                require_strong("it", value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _refuse_connections_in_clear(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("TWINLOG_TLS_CERTIFICATE_FILE and TWINLOG_TLS_KEY_FILE need each other")
        if self.require_tls and (faults := self._in_clear()):
            raise ValueError(f"TWINLOG_REQUIRE_TLS refuses {' and '.join(faults)}")
        return self

    def _in_clear(self) -> list[str]:
        """Which settings would let something go over a network in clear, or to whoever answers."""
        urls = {name: getattr(self, name) for name in type(self).model_fields if name.endswith("_url")}
        faults = [PREFIX + name.upper() for name, url in urls.items() if not _is_encrypted(url)]
        if self.certificate is None and not is_loopback(self.host):
            faults.append(f"{PREFIX}HOST without TWINLOG_TLS_CERTIFICATE_FILE")
        return faults

    @field_validator("kek")
    @classmethod
    def _refuse_what_is_no_key(cls, value: SecretStr) -> SecretStr:
        Kek.parse(value.get_secret_value())
        return value


def _is_encrypted(url: str | None) -> bool:
    """Nothing goes in clear where nothing is told."""
    if url is None:
        return True
    if url.startswith(("postgresql://", "postgres://")):
        return database_is_encrypted(url)
    return url.startswith("https://") or redis_is_encrypted(url)


def load(cls: type[T]) -> T:
    """The settings of a process, from `TWINLOG_*` variables or files named like them in `TWINLOG_SECRETS_DIR`.

    Raises StartupRefused, in one sentence, for everything that is missing or not acceptable at once.
    """
    folder = os.environ.get(SECRETS_DIR) or None
    if folder is not None and not Path(folder).is_dir():
        raise StartupRefused(f"{SECRETS_DIR} names {folder}, which is not a folder.")
    try:
        return cls(_secrets_dir=folder)
    except ValidationError as error:
        faults = "; ".join(_fault(each["loc"], each["type"], each["msg"]) for each in error.errors())
        raise StartupRefused(f"The settings cannot be used: {faults}.") from None


def development_secret(name: str) -> str:
    """A secret that is none: the same on every machine, so that processes agree without being told."""
    return urlsafe_b64encode(hashlib.sha256(b"twinlog, for development only: " + name.encode()).digest()).decode()


def secret_bytes(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()


def _secret_names(cls: type[BaseSettings]) -> list[str]:
    return [name for name, field in cls.model_fields.items() if field.annotation is SecretStr]


def _fault(location: tuple[int | str, ...], kind: str, message: str) -> str:
    if not location:
        return message.removeprefix("Value error, ")
    name = PREFIX + "_".join(str(step) for step in location[:1]).upper()
    if kind == "missing":
        return f"{name} is missing"
    return f"{name}: {message.removeprefix('Value error, ').rstrip('.')}"
