"""The settings of the command service and its relay."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared_kernel import settings
from shared_kernel.settings import Port, PostgresUrl, QuotaText, SharedSettings, Words


class Settings(SharedSettings):
    """`command_database_url` and `vault_database_url` name run-time roles, the owner URLs are for migrations.

    `command_secret` keys what only this service compares: e-mail addresses and idempotency keys. `token_key_file` is a
    PEM file with the private key of access tokens; only development goes without. `partitions` counts once, when the
    log is installed. `stream_length` is about how many events each partition keeps in Redis. `rate_sign_in` is the
    quota of attempts on one account from one network, `rate_account` of those from everywhere, `rate_network` of those
    from one network on any account, `rate_proof` of one user's codes. `code_steps` is for how many steps of 30
    seconds a time-based code counts. `password_words` are names that no new password may be made of;
    `breached_passwords_file` holds SHA-1 hashes, in order.
    """

    command_database_url: PostgresUrl = Field(repr=False)
    command_owner_url: PostgresUrl | None = Field(default=None, repr=False)
    command_port: Port = 8001
    relay_port: Port = 8003
    command_secret: SecretStr
    token_key_file: Path | None = None
    partitions: int = Field(default=8, ge=1, le=1024)
    stream_length: int = Field(default=100_000, ge=1_000)
    rate_sign_in: QuotaText = "30/300"
    rate_account: QuotaText = "300/3600"
    rate_network: QuotaText = "300/60"
    rate_proof: QuotaText = "300/300"
    code_steps: int = Field(default=2, ge=1, le=2)
    password_words: Words = ()
    breached_passwords_file: Path | None = None

    @model_validator(mode="after")
    def _need_a_token_key(self) -> Self:
        if self.token_key_file is None and self.env != "development":
            raise ValueError("TWINLOG_TOKEN_KEY_FILE is missing")
        return self


def load() -> Settings:
    """The settings of this process. Raises StartupRefused with one sentence."""
    return settings.load(Settings)
