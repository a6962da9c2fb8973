"""Settings from the environment and from secret files: frozen, complete, or refused in one sentence."""

import hashlib
import os
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared_kernel.auth.secrets import require_strong
from shared_kernel.errors import StartupRefused
from shared_kernel.privacy.kek import Kek

PREFIX = "TWINLOG_"
SECRETS_DIR = "TWINLOG_SECRETS_DIR"

T = TypeVar("T", bound="SharedSettings")


def _postgres(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must be a postgresql:// URL")
    return url


def _redis(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must be a redis:// URL")
    return url


PostgresUrl = Annotated[str, AfterValidator(_postgres)]
RedisUrl = Annotated[str, AfterValidator(_redis)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class SharedSettings(BaseSettings):
    """What every process of both services is told. URLs hold passwords, so they never show in a message."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    env: Literal["production", "development"] = "production"
    data: Path | None = None
    host: str = "127.0.0.1"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    vault_database_url: PostgresUrl = Field(repr=False)
    vault_owner_url: PostgresUrl | None = Field(default=None, repr=False)
    redis_url: RedisUrl | None = Field(default=None, repr=False)
    shared_secret: SecretStr
    kek: SecretStr

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

    @field_validator("kek")
    @classmethod
    def _refuse_what_is_no_key(cls, value: SecretStr) -> SecretStr:
        Kek.parse(value.get_secret_value())
        return value


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
