"""The doctor and the addresses it is given: those of several hosts, of a cluster, and those that are none."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from deploy.doctor.examination import examine
from deploy.doctor.finding import Check, State
from deploy.doctor.surroundings import Way, find
from deploy.local.ports import free_port
from tests.support.cluster import Database
from tests.support.valkey_cluster import running_valkey_cluster


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    with running_valkey_cluster() as url:
        yield url


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """Four processes of which none runs, so that variables alone are enough for the doctor."""
    address = f"http://127.0.0.1:{free_port()}"
    for name in ("COMMAND", "QUERY", "RELAY", "PROJECTOR"):
        monkeypatch.setenv(f"TWINLOG_{name}_URL", address)
    monkeypatch.setenv("TWINLOG_COMMAND_DATABASE_URL", f"postgresql://a:hidden@127.0.0.1:{free_port()}/log")
    return address


def looked() -> dict[str, Check]:
    return {check.name: check for check in examine(find(None))}


def with_second_host(url: str) -> str:
    """Where nobody listens comes first, as after a failover."""
    place = urlsplit(url)
    credentials, _, host = place.netloc.rpartition("@")
    return f"postgresql://{credentials}@127.0.0.1:{free_port()},{host}{place.path}?target_session_attrs=read-write"


def test_database_of_several_hosts_is_reached(
    nowhere: str, command_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLOG_COMMAND_DATABASE_URL", with_second_host(command_database.app_url))
    checks = looked()
    assert checks["database.command"].state is State.FINE
    assert checks["rights.command"].state is State.FINE, checks["rights.command"].says


def test_ways_on_the_same_hosts_are_on_the_same_server() -> None:
    log, other = (Way("command", "command", f"postgresql://u:p@h1:1,h2:2/{name}?user=v") for name in ("log", "other"))
    assert log.place == other.place == ("h1,h2", "1,2")
    assert (log.name, log.role) == ("log", "v")


@pytest.mark.parametrize(
    ("name", "url", "check", "says"),
    [
        ("COMMAND_DATABASE_URL", "postgresql://a:hidden@[::1:5432/log", "database.command", "[::1:5432/log does not"),
        ("COMMAND_DATABASE_URL", "postgresql://a:hidden@h:port/log", "database.command", "h:port/log does not"),
        ("REDIS_URL", "redis://:hidden@h:port/0", "redis", "h:port/0 does not answer: that is no URL of a Redis"),
        ("RELAY_URL", "http://relay:abc", "process.relay", "http://relay:abc is no address"),
        ("COMMAND_URL", "http://command:abc", "process.command", "http://command:abc is no address"),
    ],
)
def test_address_that_is_none_is_named_without_its_password(
    nowhere: str, monkeypatch: pytest.MonkeyPatch, *, name: str, url: str, check: str, says: str
) -> None:
    monkeypatch.setenv(f"TWINLOG_{name}", url)
    checks = looked()
    assert checks[check].state is State.UNREACHABLE
    assert checks[check].says.startswith(says)
    assert "hidden" not in str(checks)


def test_every_server_of_a_cluster_is_looked_at(
    nowhere: str, cluster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLOG_REDIS_URL", cluster_url)
    checks = looked()
    assert (checks["redis"].state, checks["clock.redis"].state) == (State.FINE, State.FINE), checks["redis"].says


def test_cluster_that_is_away_is_named(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("TWINLOG_REDIS_URL", f"redis+cluster://:hidden@127.0.0.1:{port}")
    checks = looked()
    assert checks["redis"].state is State.UNREACHABLE
    assert checks["redis"].says.startswith(f"127.0.0.1:{port} does not answer: ")
    assert "hidden" not in str(checks)
