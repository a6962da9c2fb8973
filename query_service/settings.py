"""The settings of the query service and its projector."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from shared_kernel import settings
from shared_kernel.settings import Port, PostgresUrl, SharedSettings


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return url.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http)]


class Settings(SharedSettings):
    """`query_database_url` names the run-time role, the owner URL is for migrations.

    `query_reader_url` names the query API's own role, which writes nothing and sees one tenant at a time.
    `command_url` is where the command service publishes its keys and its feed; with `tls_authority_file` (PEM) only a
    certificate of the authorities in it counts there.
    """

    query_database_url: PostgresUrl = Field(repr=False)
    query_reader_url: PostgresUrl | None = Field(default=None, repr=False)
    query_owner_url: PostgresUrl | None = Field(default=None, repr=False)
    command_url: HttpUrl = "http://127.0.0.1:8001"
    tls_authority_file: Path | None = None
    query_port: Port = 8002
    projector_port: Port = 8004

    @property
    def asking_url(self) -> str:
        """Where questions are asked: as the reader, if there is one."""
        return self.query_reader_url or self.query_database_url


def load() -> Settings:
    """The settings of this process. Raises StartupRefused with one sentence."""
    return settings.load(Settings)
