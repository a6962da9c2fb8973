"""Trouble of one request or one stream is settled or told, and keeps nobody from listening to operators."""

import asyncio
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from redis.exceptions import RedisError

from query_service.infrastructure.feed import FeedUnavailable
from query_service.projector import auditor as auditor_module
from query_service.projector import control as control_module
from query_service.projector import parked_retry
from query_service.projector import projector as projector_module
from query_service.projector.batch import NotTheLog
from query_service.projector.control import Control
from query_service.projector.projector import Projector
from query_service.projector.shift import Tools
from query_service.projector.trouble import passing
from shared_kernel.errors import ServiceUnavailable
from shared_kernel.events.operations import ParkedRetryRequested, RebuildRequested, RollbackRequested
from tests.projector.test_control import NAME, ask, listening, operated, rebuild_is, settled, write
from tests.projector.test_personal_fields import signed_without_being_opened
from tests.support.cluster import Database, Vault
from tests.support.read_side import Interrupted, ReadSide, eventually, has_no_reason, has_reason
from tests.support.tallies import REGISTRY


async def test_request_that_fails_is_settled_and_holds_up_nobody(side: ReadSide, query_database: Database) -> None:
    (poison,) = write(side, 1, by=-1)
    async with operated(side, 3):
        with psycopg.connect(query_database.owner_url) as connection:
            connection.execute("UPDATE public.audit_events SET payload = '{}' WHERE position = 2")
        retry = ParkedRetryRequested(projection=NAME, of_tenant="default", stream=f"tallies-{poison}")
        await ask(side, retry, RebuildRequested(projection=NAME))
        await eventually(settled(side, ("retry", "refused"), ("rebuild", "done")), "both are settled")
        await rebuild_is(side, "built")
    [(outcome,)] = await side.rows("SELECT outcome FROM public.orders WHERE action = 'retry'")
    assert outcome.startswith("The event at position 2 was changed")


async def test_request_waits_for_what_is_away_and_others_do_not_wait_for_it(
    side: ReadSide, vault_database: Vault
) -> None:
    await side.register()
    stream = await signed_without_being_opened(side, vault_database)
    await side.apply(side.engine(), side.slices())
    side.vault = vault = Interrupted(side.vault, away=True)
    async with side.projector() as tools:
        await listening(side)
        retry = ParkedRetryRequested(projection=NAME, of_tenant="default", stream=stream)
        await ask(side, retry, RollbackRequested(projection=NAME), RebuildRequested(projection="nonsense"))
        await eventually(settled(side, ("rebuild", "refused")), "what does not need the vault is settled")
        await eventually(lambda: has_reason(tools, "operations"), "what the request waits for is told")
        vault.away = False
        expected = ("retry", "done"), ("rollback", "refused"), ("rebuild", "refused")
        await eventually(settled(side, *expected), "the others are settled in their order")
        await eventually(lambda: has_no_reason(tools, "operations"), "nothing waits any more")


async def test_parked_stream_that_needs_what_is_away_keeps_nobody_from_listening(
    side: ReadSide, vault_database: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked_retry, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(control_module, "RETRY_AFTER", 0.1)
    await side.register()
    await signed_without_being_opened(side, vault_database)
    write(side, 3)
    await side.apply(side.engine(), side.slices())
    side.vault = vault = Interrupted(side.vault, away=True)
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "operations"), "what is waited for is told")
        vault.away = False  # the rebuild itself needs it
        await listening(side)
        await ask(side, RebuildRequested(projection=NAME))
        await rebuild_is(side, "built")
        await eventually(lambda: has_no_reason(tools, "operations"), "nothing waits any more")


class Broken(Exception):
    """A mistake of ours that nobody has thought of."""


async def broken(*_: object) -> Any:
    raise Broken


async def test_mistake_of_ours_does_not_end_the_listening_unnoticed(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with side.projector() as tools:
        with monkeypatch.context() as patched:
            patched.setattr(control_module, "retry_due", broken)
            await eventually(lambda: tells(tools, "operations", "Broken in broken"), "the mistake is told")
        await eventually(lambda: has_no_reason(tools, "operations"), "operators are heard again")
        await listening(side)
        await ask(side, RollbackRequested(projection=NAME))
        await eventually(settled(side, ("rollback", "refused")), "it was heard")


async def test_mistake_of_ours_does_not_end_the_checking_unnoticed(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor_module, "EVERY", 0.1)
    async with side.projector() as tools:
        with monkeypatch.context() as patched:
            patched.setattr(auditor_module, "verify_sums", broken)
            await eventually(lambda: tells(tools, "completeness", "Broken in broken"), "the mistake is told")
        await eventually(lambda: has_no_reason(tools, "completeness"), "all is checked again")


async def tells(tools: Tools, check: str, words: str) -> bool:
    return words in (await tools.status.readiness())[check]


@pytest.mark.parametrize("error", [Broken, None], ids=["with an error", "just so"])
async def test_projector_does_not_go_on_when_nobody_listens_any_more(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch, error: type[Broken] | None
) -> None:
    class Deaf(Control):
        async def run(self) -> None:
            if error:
                raise error

    monkeypatch.setattr(projector_module, "Control", Deaf)
    running = Projector(side.tools(), REGISTRY, side.vault, side.query_url).run()
    with pytest.raises(error) if error else nullcontext():
        await asyncio.wait_for(running, 30)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.OperationalError(), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.LockNotAvailable(), True),
        (psycopg.InterfaceError(), True),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.NumericValueOutOfRange(), False),
        (psycopg.errors.ProgramLimitExceeded(), False),
        (psycopg.errors.InsufficientPrivilege(), False),
        (ConnectionError(), True),
        (RedisError(), True),
        (ServiceUnavailable(), True),
        (FeedUnavailable(), True),
        (NotTheLog(), False),
        (KeyError(), False),
    ],
)
def test_what_is_away_may_come_back_and_what_is_wrong_stays_wrong(error: Exception, expected: bool) -> None:
    assert passing(error) is expected
