"""Every test method that the `eventsourcing` library publishes for persistence modules, run against this one.

The cases are taken as they are: nothing is overridden or skipped, which the last test checks.
"""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from eventsourcing.tests import application as published_applications
from eventsourcing.tests import persistence as published
from eventsourcing.utils import Environment, get_topic

from command_service.infrastructure.event_store.factory import Factory
from command_service.infrastructure.event_store.recorder import (
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogProcessRecorder,
)
from command_service.infrastructure.event_store.snapshots import SnapshotRecorder
from command_service.infrastructure.event_store.tracking import LogTrackingRecorder
from tests.infrastructure.event_store.library import library_variables

pytestmark = pytest.mark.timeout(120)


class OnEmptyDatabase:
    """Gives each test method of a case a database of its own, and takes the connections back."""

    env: Environment
    factory: Factory

    @pytest.fixture(autouse=True)
    def _variables(self, empty_database: str) -> Iterator[None]:
        self.env = Environment(env=library_variables(empty_database))
        self.own = Factory(self.env)
        yield
        self.own.close()


class TestAggregateRecorder(OnEmptyDatabase, published.AggregateRecorderTestCase):
    def create_recorder(self) -> LogAggregateRecorder:
        recorder = self.own.aggregate_recorder()
        assert isinstance(recorder, LogAggregateRecorder)
        return recorder


class TestSnapshotRecorder(OnEmptyDatabase, published.AggregateRecorderTestCase):
    def create_recorder(self) -> SnapshotRecorder:
        recorder = self.own.aggregate_recorder("snapshots")
        assert isinstance(recorder, SnapshotRecorder)
        return recorder


class TestApplicationRecorder(OnEmptyDatabase, published.ApplicationRecorderTestCase[LogApplicationRecorder]):
    def create_recorder(self) -> LogApplicationRecorder:
        recorder = self.own.application_recorder()
        assert isinstance(recorder, LogApplicationRecorder)
        return recorder

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleavingNotificationIDs(OnEmptyDatabase, published.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> LogApplicationRecorder:
        recorder = self.own.application_recorder()
        assert isinstance(recorder, LogApplicationRecorder)
        return recorder


class TestTrackingRecorder(OnEmptyDatabase, published.TrackingRecorderTestCase):
    def create_recorder(self) -> LogTrackingRecorder:
        return self.own.tracking_recorder(LogTrackingRecorder)


class TestProcessRecorder(OnEmptyDatabase, published.ProcessRecorderTestCase):
    def create_recorder(self) -> LogProcessRecorder:
        recorder = self.own.process_recorder()
        assert isinstance(recorder, LogProcessRecorder)
        return recorder


class ViewRecorder(LogTrackingRecorder):
    pass


class TestInfrastructureFactory(OnEmptyDatabase, published.InfrastructureFactoryTestCase[Factory]):
    def expected_factory_class(self) -> type[Factory]:
        return Factory

    def expected_aggregate_recorder_class(self) -> type[LogAggregateRecorder]:
        return LogAggregateRecorder

    def expected_application_recorder_class(self) -> type[LogApplicationRecorder]:
        return LogApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[LogTrackingRecorder]:
        return LogTrackingRecorder

    def tracking_recorder_subclass(self) -> type[ViewRecorder]:
        return ViewRecorder

    def expected_process_recorder_class(self) -> type[LogProcessRecorder]:
        return LogProcessRecorder


class TestExampleApplication(published_applications.ExampleApplicationTestCase):
    expected_factory_topic = get_topic(Factory)

    @pytest.fixture(autouse=True)
    def _variables(self, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in library_variables(empty_database).items():
            monkeypatch.setenv(name, value)


REQUIRED = {
    TestAggregateRecorder: published.AggregateRecorderTestCase,
    TestApplicationRecorder: published.ApplicationRecorderTestCase,
    TestNonInterleavingNotificationIDs: published.NonInterleavingNotificationIDsBaseCase,
    TestInfrastructureFactory: published.InfrastructureFactoryTestCase,
    TestExampleApplication: published_applications.ExampleApplicationTestCase,
}


def methods(case: type[object]) -> set[str]:
    return {name for name in dir(case) if name.startswith("test") and callable(getattr(case, name))}


def test_no_published_method_is_missing_overridden_or_skipped() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly", __file__],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    collected = {tuple(line.split("::")[1:]) for line in listed if "::" in line}
    for ours, theirs in REQUIRED.items():
        assert methods(theirs), theirs
        for name in methods(theirs):
            assert (ours.__name__, name) in collected
            assert getattr(ours, name) is getattr(theirs, name)
            assert not getattr(getattr(ours, name), "__unittest_skip__", False)
    assert not any(getattr(ours, "__unittest_skip__", False) for ours in REQUIRED)


def test_server_is_one_of_those_we_promise(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        assert 15 <= connection.info.server_version // 10_000 <= 18
