"""Where everything is that belongs to one pair: found through its data folder, its secret files or variables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local import environment
from deploy.local.data_folder import DataFolder
from deploy.local.databases import url_for
from deploy.local.environment import Environments, Variables
from deploy.local.ports import LOOPBACK, WILDCARDS
from deploy.migrate import role_of, told_by
from shared_kernel.process import Unreachable

PROCESSES = {"command": 8001, "query": 8002, "relay": 8003, "projector": 8004}
RUN_TIME = (
    ("command", "command", "COMMAND_DATABASE_URL"),
    ("query", "query", "QUERY_DATABASE_URL"),
    ("query", "reader", "QUERY_READER_URL"),
    ("vault", "command", "VAULT_DATABASE_URL"),
    ("vault", "query", "VAULT_DATABASE_URL"),
)
"""Database, service, and the setting that leads this service there; the reader is the query API alone."""

SETTINGS = {"reader": "query"}
"""Whose settings those are, where it is not the service's own name."""

DATABASE_URLS = {name for _, _, name in RUN_TIME}


@dataclass(frozen=True, slots=True)
class Way:
    """A way into a database; `service` is who goes there at run time, empty for owners and administrators."""

    database: str
    service: str
    url: str

    @property
    def role(self) -> str:
        return role_of(self.url) or "?"

    @property
    def place(self) -> tuple[str, str]:
        """Hosts and ports, with commas where there are several."""
        told = told_by(self.url)
        return told.get("host", ""), told.get("port", "")

    @property
    def name(self) -> str:
        """The database as its server calls it."""
        return told_by(self.url).get("dbname", "")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Settings of both services and the owners, addresses and process ids of the four, and the data folder if any."""

    settings: Environments
    urls: Mapping[str, str]
    pids: Mapping[str, int]
    folder: DataFolder | None = None

    def run_time(self) -> list[Way]:
        """The ways that the services themselves take."""
        found = (Way(place, service, self._setting(service, name)) for place, service, name in RUN_TIME)
        return [way for way in found if way.url]

    def all_ways(self) -> list[Way]:
        """Those and the owners', and on an embedded server its administrator's: each role sees its own sessions."""
        owners = ((name.lower(), self.settings.owner.get(f"{name}_OWNER_URL")) for name in environment.DATABASES)
        ways = [*self.run_time(), *(Way(database, "", url) for database, url in owners if url)]
        return [*ways, *self._administrator(ways)]

    def _administrator(self, ways: list[Way]) -> Iterator[Way]:
        """Where an owner goes to the embedded server, which is the one whose password lies in the data folder."""
        if self.folder is None or not (self.folder.postgres / "password").exists():
            return
        password = (self.folder.postgres / "password").read_text()
        for owner in ways:
            if not owner.service and owner.place[0] == LOOPBACK:
                yield Way(owner.database, "", url_for(owner.url, owner.name, "postgres", password))

    def _setting(self, service: str, name: str) -> str:
        return self.settings.of(SETTINGS.get(service, service)).get(name, "")

    def redis_url(self) -> str | None:
        return self.settings.command.get("REDIS_URL") or self.settings.query.get("REDIS_URL")


def find(data: Path | None) -> Surroundings:
    """The pair that a person means: the stack running in a folder, one of containers, or the one variables name.

    Explicit variables win over what is found. Raises `Unreachable` when there is none.
    """
    folder = DataFolder(data or environment.default_data())
    given = environment.explicit()
    contained = Environments(environment.of_secrets("command") or {}, environment.of_secrets("query") or {}, {})
    running = environment.of_running(folder)
    if contained.command:
        return Surroundings(_settings(contained, given), _urls({}, given), {})
    if running is not None:
        return Surroundings(_settings(running, given), _urls(_listening(folder), given), folder.pids(), folder)
    if data is not None or given.keys().isdisjoint(DATABASE_URLS):
        raise Unreachable(f"No stack is running in {folder.path}; start one with `twinlog up`.")
    return Surroundings(_settings(Environments({}, {}, {}), given), _urls({}, given), {})


def _listening(folder: DataFolder) -> Variables:
    endpoints = folder.endpoints()
    return {name: getattr(endpoints, f"{name}_url") for name in PROCESSES} if endpoints else {}


def _settings(found: Environments, given: Variables) -> Environments:
    """What was found, with what stands in files, except where a person has said otherwise."""
    opened = Environments(_opened(found.command, given), _opened(found.query, given), found.owner)
    return environment.with_given(opened, given)


def _opened(variables: Variables, given: Variables) -> Variables:
    """Settings together with those that are kept in files; variables win."""
    folder = given.get("SECRETS_DIR") or variables.get("SECRETS_DIR")
    if folder is None:
        return variables
    try:
        return environment.of_files(Path(folder)) | variables
    except OSError as error:
        raise Unreachable(f"The secrets in {folder} cannot be read: {error.strerror}.") from None


def _urls(found: Variables, given: Variables) -> Variables:
    host = LOOPBACK if given.get("HOST") in WILDCARDS else given.get("HOST", LOOPBACK)
    usual = {name: f"http://{host}:{given.get(f'{name.upper()}_PORT', port)}" for name, port in PROCESSES.items()}
    named = {name: given[f"{name.upper()}_URL"] for name in PROCESSES if f"{name.upper()}_URL" in given}
    return usual | found | named
