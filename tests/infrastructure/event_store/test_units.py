"""The parts of group commit that need no database: packing, queueing, judging failures."""

from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.array import ListBinaryDumper

from command_service.infrastructure.event_store import arrays, batch
from command_service.infrastructure.event_store.failure import Failure, failure, named
from command_service.infrastructure.event_store.port import Append, Claim, MalformedAppend, StoreBusy, StoreUnavailable
from command_service.infrastructure.event_store.store import item_of
from command_service.infrastructure.event_store.waiting import MAX_ITEMS, MAX_WAITING_BYTES, Waiting
from tests.infrastructure.event_store.given import REQUIRE, TAKE, append, event, key


class TestArrays:
    @pytest.mark.parametrize("values", [["a"], ["", "ä", "x" * 1_000]])
    def test_text_is_packed_as_the_driver_does(self, values: list[str]) -> None:
        assert same_elements(arrays.text(values), drivers(values))

    @pytest.mark.parametrize("values", [[b"a"], [b"", b"\x00\xff", b"x" * 1_000]])
    def test_bytea_is_packed_as_the_driver_does(self, values: list[bytes]) -> None:
        assert same_elements(arrays.bytea(values), drivers(values))

    def test_empty_array_has_no_dimensions(self) -> None:
        assert arrays.integer(()) == b"\0" * 8 + b"\0\0\0\x17"

    def test_nulls_have_length_minus_one(self) -> None:
        assert arrays.nullable_bigint([None, 1])[20:] == b"\xff\xff\xff\xff" + b"\0\0\0\x08" + b"\0" * 7 + b"\1"

    @pytest.mark.asvs("V1.4.2")
    def test_number_too_large_is_unencodable(self) -> None:
        with pytest.raises(batch.Unencodable):
            batch.encode([item_of(append("loans-1", 2**70))])


def drivers(values: list[str] | list[bytes]) -> bytes:
    transformer = Transformer()
    dumper = transformer.get_dumper(values, PyFormat.BINARY)
    assert isinstance(dumper, ListBinaryDumper)
    return bytes(dumper.dump(values) or b"")


def same_elements(ours: bytes, theirs: bytes) -> bool:
    """All but the has-null flag, which the server does not rely on."""
    return ours[:4] + ours[8:] == theirs[:4] + theirs[8:]


@dataclass(eq=False)
class Ticket:
    item: batch.Item
    gone: bool = field(default=False)


def queue_of(*tickets: Ticket) -> Waiting[Ticket]:
    waiting: Waiting[Ticket] = Waiting(1_000, lambda ticket: ticket.gone)
    for ticket in tickets:
        waiting.add(ticket)
    return waiting


SAME = event()


class TestWaiting:
    def test_strangers_share_a_batch(self) -> None:
        tickets = [Ticket(item_of(append(f"loans-{number}"))) for number in range(5)]
        assert queue_of(*tickets).take() == tickets

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (append("loans-1"), append("loans-1", 1)),
            (append("loans-1", key=key("k")), append("loans-2", key=key("k"))),
            (append("loans-1", claims=[Claim(TAKE, "a", "b")]), append("loans-2", claims=[Claim(TAKE, "a", "b")])),
            (append("loans-1", claims=[Claim(TAKE, "a", "b")]), append("loans-2", claims=[Claim(REQUIRE, "a", "b")])),
            (append("loans-1", claims=[Claim(REQUIRE, "a", "b")]), append("loans-2", claims=[Claim(TAKE, "a", "b")])),
            (append("loans-1", 0, SAME), append("loans-2", 0, SAME)),
        ],
        ids=["stream", "key", "take-take", "take-require", "require-take", "event-id"],
    )
    def test_who_could_collide_waits_for_the_next_batch(self, first: Append, second: Append) -> None:
        one, two, three = (Ticket(item_of(wish)) for wish in (first, second, append("loans-3")))
        waiting = queue_of(one, two, three)
        assert waiting.take() == [one, three]
        assert waiting.take() == [two]

    def test_same_stream_of_another_tenant_does_not_collide(self) -> None:
        tickets = [Ticket(item_of(append("loans-1", tenant=tenant))) for tenant in ("north", "south")]
        assert queue_of(*tickets).take() == tickets

    def test_requiring_the_same_claim_does_not_collide(self) -> None:
        required = [Claim(REQUIRE, "tenant", "default")]
        tickets = [Ticket(item_of(append(f"loans-{number}", claims=required))) for number in range(3)]
        assert queue_of(*tickets).take() == tickets

    def test_who_waits_for_a_stream_keeps_his_place(self) -> None:
        tickets = [Ticket(item_of(append("loans-1", number))) for number in range(4)]
        waiting = queue_of(*tickets)
        assert [waiting.take() for _ in range(4)] == [[ticket] for ticket in tickets]

    def test_batch_is_bounded(self) -> None:
        waiting = queue_of(*(Ticket(item_of(append(f"loans-{number}"))) for number in range(MAX_ITEMS + 1)))
        assert (len(waiting.take()), len(waiting)) == (MAX_ITEMS, 1)

    def test_large_payloads_fill_a_batch_sooner(self) -> None:
        big = event(b"x" * 1_000_000)
        waiting = queue_of(*(Ticket(item_of(append(f"loans-{n}", 0, event(big.payload)))) for n in range(10)))
        assert len(waiting.take()) == 5

    def test_who_has_gone_is_left_out(self) -> None:
        here, gone = (Ticket(item_of(append(f"loans-{number}"))) for number in range(2))
        gone.gone = True
        assert queue_of(gone, here).take() == [here]

    def test_full_queue_is_busy(self) -> None:
        waiting: Waiting[Ticket] = Waiting(1, lambda ticket: ticket.gone)
        waiting.add(Ticket(item_of(append("loans-1"))))
        with pytest.raises(StoreBusy):
            waiting.add(Ticket(item_of(append("loans-2"))))

    def test_large_payloads_fill_the_queue_sooner(self) -> None:
        megabyte = bytes(1024 * 1024)
        large = [Ticket(item_of(append(f"loans-{number % 60}", 0, event(megabyte)))) for number in range(70)]
        waiting: Waiting[Ticket] = Waiting(1_000, lambda ticket: ticket.gone)
        room = -(-MAX_WAITING_BYTES // large[0].item.size)
        for ticket in large[:room]:
            waiting.add(ticket)
        with pytest.raises(StoreBusy):
            waiting.add(large[room])
        large[1].gone = True
        while waiting.take():
            assert waiting._bytes == sum(ticket.item.size for ticket in waiting._queue)
        assert waiting._bytes == 0


class TestFailure:
    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (psycopg.errors.AdminShutdown(), Failure.LATER),
            (psycopg.errors.LockNotAvailable(), Failure.LATER),
            (psycopg.errors.QueryCanceled(), Failure.LATER),
            (psycopg.errors.DiskFull(), Failure.BROKEN),
            (psycopg.errors.ReadOnlySqlTransaction(), Failure.LATER),
            (psycopg.errors.UniqueViolation(), Failure.POISONED),
            (psycopg.errors.CharacterNotInRepertoire(), Failure.POISONED),
            (psycopg.errors.UndefinedFunction(), Failure.BROKEN),
            (psycopg.errors.InsufficientPrivilege(), Failure.BROKEN),
            (batch.Unencodable(), Failure.POISONED),
            (psycopg.OperationalError("the connection before this one was lost"), Failure.LOST),
        ],
    )
    def test_error_on_a_living_connection(self, error: Exception, verdict: Failure) -> None:
        assert failure(error, connected=True) is verdict

    def test_verdict_on_the_statement_outlives_its_connection(self) -> None:
        assert failure(psycopg.errors.UndefinedFunction(), connected=False) is Failure.BROKEN

    @pytest.mark.parametrize("error", [psycopg.OperationalError(), psycopg.errors.UniqueViolation(), OSError()])
    def test_without_a_connection_nobody_knows(self, error: Exception) -> None:
        assert failure(error, connected=False) is Failure.LOST

    def test_caller_hears_a_named_error_with_its_cause(self) -> None:
        cause = psycopg.errors.NumericValueOutOfRange()
        assert isinstance(named(cause), MalformedAppend)
        assert named(cause).__cause__ is cause
        assert isinstance(named(psycopg.errors.UndefinedFunction()), StoreUnavailable)
