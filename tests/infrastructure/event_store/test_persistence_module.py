"""What an `eventsourcing` application may rely on beyond the library's own cases."""

import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Tracking,
)
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.utils import Environment
from psycopg import sql

from command_service.infrastructure import schema
from command_service.infrastructure.event_store.factory import Factory
from command_service.infrastructure.event_store.recorder import LogApplicationRecorder, LogProcessRecorder
from command_service.infrastructure.event_store.tracking import LogTrackingRecorder
from shared_kernel.errors import SchemaMismatch
from shared_kernel.events.leaf import leaf_of
from tests.infrastructure.event_store.library import library_variables
from tests.infrastructure.event_store.rows import rows_of
from tests.support.cluster import Database

PROCESSES = 8


@contextmanager
def factory(url: str, name: str = "", **variables: str) -> Iterator[Factory]:
    with Factory(Environment(name, env=library_variables(url, **variables))) as opened:
        yield opened


def recorder_of(opened: Factory) -> LogApplicationRecorder:
    recorder = opened.application_recorder()
    assert isinstance(recorder, LogApplicationRecorder)
    return recorder


def stored(originator_id: UUID | str, version: int = 1, state: bytes = b"state") -> StoredEvent:
    return StoredEvent(originator_id, version, "topic", state)


def tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', %s)", ("information_schema",)
        )
        return [name for (name,) in rows]


def start_and_append(url: str) -> list[int]:
    """What one of many processes does at the same time as the others."""
    with factory(url) as opened:
        return list(recorder_of(opened).insert_events([stored(uuid4())]) or [])


class TestSchema:
    def test_eight_processes_may_start_at_once_on_an_empty_database(self, empty_database: str) -> None:
        with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            positions = pool.map(start_and_append, [empty_database] * PROCESSES)
        assert sorted(position for each in positions for position in each) == list(range(1, PROCESSES + 1))

    def test_without_create_table_an_empty_database_is_refused_and_stays_empty(self, empty_database: str) -> None:
        with factory(empty_database, CREATE_TABLE="n") as opened:
            for make in (
                opened.application_recorder,
                opened.aggregate_recorder,
                opened.process_recorder,
                opened.tracking_recorder,
            ):
                with pytest.raises(SchemaMismatch, match=f"is empty, this release needs {schema.head()}"):
                    make()
        assert tables(empty_database) == []

    @pytest.mark.parametrize("create", ["y", "n"])
    def test_newer_schema_is_refused(self, command_database: Database, create: str) -> None:
        with psycopg.connect(command_database.owner_url) as owner:
            owner.execute("UPDATE alembic_version SET version_num = '9999'")
        with (
            factory(command_database.owner_url, CREATE_TABLE=create) as opened,
            pytest.raises(SchemaMismatch, match="is at revision 9999"),
        ):
            opened.application_recorder()

    @pytest.mark.parametrize("create", ["y", "n"])
    def test_service_role_works_on_a_migrated_database(self, command_database: Database, create: str) -> None:
        with factory(command_database.app_url, CREATE_TABLE=create) as opened:
            recorder = recorder_of(opened)
            assert recorder.insert_events([stored(uuid4())]) == [1]
            opened.aggregate_recorder("snapshots").insert_events([stored(uuid4())])
            opened.process_recorder().insert_events([stored(uuid4())], tracking=Tracking("upstream", 1))
            assert opened.process_recorder().max_tracking_id("upstream") == 1

    def test_schemas_hold_separate_logs(self, empty_database: str) -> None:
        with psycopg.connect(empty_database) as owner:
            owner.execute("CREATE SCHEMA north")
        for name in ("north", "public"):
            with factory(empty_database, POSTGRES_SCHEMA=name) as opened:
                assert recorder_of(opened).insert_events([stored(uuid4())]) == [1]


class TestEvents:
    def test_any_bytes_any_topic_from_version_zero(self, empty_database: str) -> None:
        with factory(empty_database) as opened:
            recorder = recorder_of(opened)
            identity = uuid4()
            events = [stored(identity, 0, bytes(range(256))), StoredEvent(identity, 1, "any:topic#ä", b"")]
            assert recorder.insert_events(events) == [1, 2]
            assert recorder.select_events(identity) == events

    def test_row_is_whole(self, empty_database: str) -> None:
        with factory(empty_database) as opened:
            identity = uuid4()
            recorder_of(opened).insert_events([stored(identity), stored(identity, 2)])
        first, second = rows_of(empty_database)
        assert (first.tenant, first.stream, first.payload_format) == ("default", str(identity), 0)
        assert (second.position, second.tenant_seq, second.version) == (2, 2, 2)
        assert first.event_id != second.event_id
        assert [leaf_of(row) for row in (first, second)] == [first.leaf_hash, second.leaf_hash]

    def test_text_ids_are_text(self, empty_database: str) -> None:
        with factory(empty_database, ORIGINATOR_ID_TYPE="text") as opened:
            recorder = recorder_of(opened)
            recorder.insert_events([stored("account-7"), stored("1f0c8d5e-3a53-4c0b-9d93-0f4c6a1c7b11")])
            assert recorder.select_events("account-7") == [stored("account-7")]
            identities = [note.originator_id for note in recorder.select_notifications(None, 10)]
            assert identities == ["account-7", "1f0c8d5e-3a53-4c0b-9d93-0f4c6a1c7b11"]

    def test_text_where_uuids_are_wanted_is_refused(self, empty_database: str) -> None:
        with factory(empty_database) as opened:
            recorder = recorder_of(opened)
            with pytest.raises(DataError, match="'account-7' is not a UUID"):
                recorder.insert_events([stored("account-7")])
            identity = uuid4()
            recorder.insert_events([stored(str(identity).upper())])
            assert [found.originator_id for found in recorder.select_events(identity)] == [identity]

    def test_what_the_log_cannot_hold_is_a_data_error_and_hurts_nobody_else(self, empty_database: str) -> None:
        with factory(empty_database) as opened:
            recorder = recorder_of(opened)
            results: list[object] = []

            def insert(events: Sequence[StoredEvent]) -> None:
                try:
                    results.append(recorder.insert_events(events))
                except (DataError, IntegrityError) as error:
                    results.append(type(error))

            wishes = [[stored(uuid4())] for _ in range(20)]
            wishes[3] = [StoredEvent(uuid4(), 1, "nul \x00", b"")]
            wishes[5] = [stored(uuid4(), -1)]
            wishes[9] = [stored(identity := uuid4()), stored(identity)]
            threads = [threading.Thread(target=insert, args=(wish,)) for wish in wishes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert results.count(DataError) == 2
            assert results.count(IntegrityError) == 1
            positions = sorted(result[0] for result in results if isinstance(result, list))
            assert positions == list(range(1, 18))

    def test_several_streams_are_stored_together_or_not_at_all(self, empty_database: str) -> None:
        with factory(empty_database) as opened:
            recorder = recorder_of(opened)
            one, two = uuid4(), uuid4()
            recorder.insert_events([stored(one), stored(two)])
            with pytest.raises(IntegrityError):
                recorder.insert_events([stored(one, 2), stored(two)])
            assert [len(recorder.select_events(identity)) for identity in (one, two)] == [1, 1]

    def test_streams_of_the_append_port_keep_their_names(self, command_database: Database) -> None:
        with factory(command_database.app_url, CREATE_TABLE="n", ORIGINATOR_ID_TYPE="text") as opened:
            recorder_of(opened).insert_events([stored("loans-1")])
        with factory(command_database.app_url, CREATE_TABLE="n") as opened:
            assert recorder_of(opened).select_notifications(None, 10)[0].originator_id == "loans-1"

    def test_unreachable_database_is_an_operational_error(self, empty_database: str) -> None:
        with (
            factory(empty_database, POSTGRES_PORT="1", POSTGRES_CONNECT_TIMEOUT="1") as opened,
            pytest.raises(OperationalError),
        ):
            opened.application_recorder()


class View(PostgresTrackingRecorder):
    """A view as the library's users write them, over the library's own tracking table."""

    def __init__(self, datastore: PostgresDatastore, *, tracking_table_name: str = "t", **kwargs: object) -> None:
        super().__init__(datastore, tracking_table_name=tracking_table_name, **kwargs)
        self.sql_create_statements.append(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} (x int)").format(sql.Identifier("seen"))
        )


class LogView(LogTrackingRecorder):
    """The same over the log's tracking table."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: str) -> None:
        super().__init__(datastore, **kwargs)
        self.sql_create_statements.append(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} (x int)").format(sql.Identifier("seen"))
        )


class TestTracking:
    @pytest.mark.parametrize("view", [View, LogView])
    def test_views_bring_their_own_tables(self, empty_database: str, view: type[View | LogView]) -> None:
        for _ in range(2):
            with factory(empty_database, "Ledger") as opened:
                recorder = opened.tracking_recorder(view)
        with factory(empty_database, "Ledger") as opened:
            recorder = opened.tracking_recorder(view)
            recorder.insert_tracking(Tracking("upstream", 3))
            assert recorder.max_tracking_id("upstream") == 3
        assert "seen" in tables(empty_database)
        assert ("ledger_tracking" in tables(empty_database)) == (view is View)

    def test_applications_track_apart(self, empty_database: str) -> None:
        for name in ("One", "Two"):
            with factory(empty_database, name) as opened:
                opened.tracking_recorder(LogTrackingRecorder).insert_tracking(Tracking("upstream", 5))
                recorder = opened.process_recorder()
                assert isinstance(recorder, LogProcessRecorder)
                assert recorder.max_tracking_id("upstream") == 5
                with pytest.raises(IntegrityError):
                    recorder.insert_events([stored(uuid4())], tracking=Tracking("upstream", 5))

    def test_tracking_alone_takes_no_position(self, empty_database: str) -> None:
        with factory(empty_database) as opened:
            recorder = opened.process_recorder()
            assert recorder.insert_events([], tracking=Tracking("upstream", 1)) is None
            recorder.insert_tracking(Tracking("upstream", 2))
            with pytest.raises(IntegrityError):
                recorder.insert_tracking(Tracking("upstream", 2))
            assert recorder.insert_events([]) is None
            assert recorder.max_notification_id() is None

    def test_rows_per_notification_are_not_offered(self, empty_database: str) -> None:
        with (
            factory(empty_database, SINGLE_ROW_TRACKING="n") as opened,
            pytest.raises(ProgrammingError, match="SINGLE_ROW_TRACKING"),
        ):
            opened.tracking_recorder(LogTrackingRecorder)


class Account(Aggregate):
    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = 0

    @event("Paid")
    def pay(self, amount: int) -> None:
        self.balance += amount


def test_application_saves_follows_and_takes_snapshots(empty_database: str) -> None:
    variables = library_variables(empty_database, IS_SNAPSHOTTING_ENABLED="y")
    with Application[UUID](env=variables) as bank:
        account = Account("Ann")
        account.pay(10)
        bank.save(account)
        bank.take_snapshot(account.id)
        account.pay(5)
        recordings = bank.save(account)
        assert recordings[0].notification.id == 3
        assert bank.repository.get(account.id).balance == 15
        with bank.recorder.subscribe(gt=0) as subscription:
            assert [next(subscription).id for _ in range(3)] == [1, 2, 3]
            bank.save(Account("Bob"))
            assert next(subscription).id == 4


@pytest.mark.parametrize("variable", ["APPLICATION_RECORDER_TOPIC", "PROCESS_RECORDER_TOPIC"])
def test_recorder_class_named_in_the_environment_must_be_one_of_ours(empty_database: str, variable: str) -> None:
    module = "command_service.infrastructure.event_store.recorder"
    make = {"APPLICATION_RECORDER_TOPIC": "application_recorder", "PROCESS_RECORDER_TOPIC": "process_recorder"}[
        variable
    ]
    with factory(empty_database, **{variable: "eventsourcing.postgres:PostgresApplicationRecorder"}) as opened:
        with pytest.raises(TypeError, match=variable):
            getattr(opened, make)()
        opened.env[variable] = (
            f"{module}:LogProcessRecorder" if "PROCESS" in variable else f"{module}:LogApplicationRecorder"
        )
        assert getattr(opened, make)().max_notification_id() is None
