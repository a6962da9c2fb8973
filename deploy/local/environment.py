"""The variables each service of a stack is given, and how a command finds those of a stack that is running."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.data_folder import DataFolder, write_whole
from deploy.local.provision import TOKEN_KEY, DatabaseUrls

PREFIX = "TWINLOG_"
DATABASES = ("COMMAND", "QUERY", "VAULT")
OWNER_URLS = tuple(f"{database}_OWNER_URL" for database in DATABASES)
NOT_FOR = {
    "command": {"QUERY_DATABASE_URL", "QUERY_READER_URL", *OWNER_URLS},
    "query": {"COMMAND_DATABASE_URL", "COMMAND_SECRET", "TOKEN_KEY_FILE", *OWNER_URLS},
    "owner": {"COMMAND_SECRET", "SHARED_SECRET", "KEK"},
}

WIDE_RATES = {
    "RATE_ADDRESS": "600000/60",
    "RATE_USER": "300000/60",
    "RATE_TENANT": "3000000/60",
    "RATE_NETWORK": "3000/60",
}
"""On a machine of one's own everybody is at one address, and measures. What can be guessed stays as narrow."""

Variables = dict[str, str]


@dataclass(frozen=True, slots=True)
class Environments:
    """Settings without their prefix, for each service, and for migrations."""

    command: Variables
    query: Variables
    owner: Variables

    def of(self, service: str) -> Variables:
        return {"command": self.command, "query": self.query, "owner": self.owner}[service]

    def for_process(self, service: str, *, asks: bool = False) -> Variables:
        """Everything a process of that service finds in its environment; one that only asks knows only the reader."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        mine = self.of(service)
        if asks and "QUERY_READER_URL" in mine:
            mine = mine | {"QUERY_DATABASE_URL": mine["QUERY_READER_URL"]}
        return inherited | {f"{PREFIX}{name}": value for name, value in mine.items()}


def explicit() -> Variables:
    """The settings a person gave as variables, without the prefix; empty ones count as absent."""
    return {name.removeprefix(PREFIX): value for name, value in os.environ.items() if name.startswith(PREFIX) and value}


def default_data() -> Path:
    """The data folder of commands that name none."""
    return Path(os.environ.get(f"{PREFIX}DATA") or ".twinlog")


def needs_postgres(given: Mapping[str, str]) -> bool:
    """Whether any of the three databases is left to the embedded engine."""
    return any(f"{database}_DATABASE_URL" not in given for database in DATABASES)


def compose(
    folder: DataFolder, given: Variables, places: Variables, urls: DatabaseUrls | None, redis_url: str | None
) -> Environments:
    """Put together what the services are told: addresses (`places`), engines, secrets; what a person gave wins."""
    engines = dict(WIDE_RATES) if redis_url is None else {**WIDE_RATES, "REDIS_URL": redis_url}
    command = engines | {"SECRETS_DIR": str(folder.secrets / "command")}
    command["TOKEN_KEY_FILE"] = str(folder.secrets / "command" / TOKEN_KEY)
    query = engines | {"SECRETS_DIR": str(folder.secrets / "query")}
    if urls is not None:
        command |= {"COMMAND_DATABASE_URL": urls.command, "VAULT_DATABASE_URL": urls.vault_writer}
        query |= {"QUERY_DATABASE_URL": urls.query, "QUERY_READER_URL": urls.query_reader}
        query |= {"VAULT_DATABASE_URL": urls.vault_reader}
    fixed = places | {"DATA": str(folder.path)}
    return Environments(
        command=_allowed("command", command | given | fixed),
        query=_allowed("query", _with(query, given) | fixed),
        owner=_owner(given, urls),
    )


def _allowed(service: str, variables: Variables) -> Variables:
    return {name: value for name, value in variables.items() if name not in NOT_FOR[service]}


def _with(found: Variables, given: Mapping[str, str]) -> Variables:
    """Who names another database does not mean the reader of the one that was found."""
    if "QUERY_DATABASE_URL" in given:
        found = {name: value for name, value in found.items() if name != "QUERY_READER_URL"}
    return {**found, **given}


def _owner(given: Variables, urls: DatabaseUrls | None) -> Variables:
    """The way in for migrations; a database that a person named is migrated only if its owner's URL was given too."""
    found = {name: given[name] for name in OWNER_URLS if name in given}
    if urls is not None:
        embedded = zip(DATABASES, (urls.command_owner, urls.query_owner, urls.vault_owner), strict=True)
        for database, url in embedded:
            if f"{database}_DATABASE_URL" not in given:
                found.setdefault(f"{database}_OWNER_URL", url)
    return found


def remember(folder: DataFolder, environments: Environments) -> None:
    """Keep the variables where only the owner of the stack can read them."""
    write_whole(folder.secrets / "environment.json", json.dumps(asdict(environments)))


def of_running(folder: DataFolder) -> Environments | None:
    """The variables of the stack at work in `folder`; None when there is none, or it is another user's."""
    if folder.endpoints() is None:
        return None
    with suppress(FileNotFoundError, PermissionError):
        return Environments(**json.loads((folder.secrets / "environment.json").read_text()))
    return None


def of_secrets(service: str) -> Variables | None:
    """Where containers keep a service's settings, when `TWINLOG_SECRETS_BASE` names the folder of them all."""
    base = os.environ.get(f"{PREFIX}SECRETS_BASE")
    if not base:
        return None
    folder = Path(base) / service
    return {"SECRETS_DIR": str(folder), "TOKEN_KEY_FILE": str(folder / TOKEN_KEY)}


def of_files(folder: Path) -> Variables:
    """The settings that a folder of secret files holds, named without their prefix. Raises OSError."""
    prefix = PREFIX.lower()
    files = [file for file in folder.iterdir() if file.name.startswith(prefix)]
    return {file.name.removeprefix(prefix).upper(): file.read_text() for file in files}


def with_given(found: Environments, given: Variables) -> Environments:
    """What was found, except where a person has said otherwise."""
    owner = found.owner | {name: given[name] for name in OWNER_URLS if name in given}
    return Environments(_allowed("command", found.command | given), _allowed("query", _with(found.query, given)), owner)


@contextmanager
def as_of(variables: Variables) -> Iterator[None]:
    """For a moment, have these settings and no others; nothing else may run in this process meanwhile."""
    mine = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    _set(mine, {f"{PREFIX}{name}": value for name, value in variables.items()})
    try:
        yield
    finally:
        _set({name for name in os.environ if name.startswith(PREFIX)}, mine)


def _set(gone: Iterable[str], wanted: Mapping[str, str]) -> None:
    for name in gone:
        os.environ.pop(name, None)
    os.environ.update(wanted)


def adopt(variables: Variables) -> None:
    """Make them this process's own, except where a person has said otherwise."""
    for name, value in variables.items():
        if not os.environ.get(f"{PREFIX}{name}"):
            os.environ[f"{PREFIX}{name}"] = value
