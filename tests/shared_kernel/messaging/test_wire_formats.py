"""What travels between the services comes back as it was sent, and nothing else is taken for it."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_kernel.clock import rfc3339
from shared_kernel.events.envelope import OPAQUE, StoredRow
from shared_kernel.messaging import feed, message
from shared_kernel.messaging.mark import Mark
from shared_kernel.messaging.message import Message
from shared_kernel.messaging.partition import SLOTS, partition_of, slot_of, stream_key
from tests.support.history import History

ROW = History().append_bytes("resources-1", "resources.ResourceCreated.v1", b'{"name": "\xc3\xbc"}')

names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40)
big = st.integers(0, 2**63 - 1)


@st.composite
def rows(draw: st.DrawFn) -> StoredRow:
    return ROW._replace(
        position=draw(big),
        tenant=draw(names),
        tenant_seq=draw(big),
        stream=draw(names),
        version=draw(big),
        topic=draw(names),
        payload_format=draw(st.sampled_from((0, 1))),
        payload=draw(st.binary(max_size=200)),
        metadata=draw(st.binary(max_size=200)),
        event_id=draw(st.uuids()),
        slot=draw(st.integers(0, SLOTS - 1)),
        leaf_hash=draw(st.binary(min_size=32, max_size=32)),
    )


@settings(max_examples=50)
@given(rows(), big, big)
def test_message_comes_back_as_it_was_sent(row: StoredRow, epoch: int, previous: int) -> None:
    sent = Message(epoch, previous, row)
    assert message.decode(message.encode(sent)) == sent


@settings(max_examples=50)
@given(rows())
def test_line_of_the_feed_comes_back_as_it_was_sent(row: StoredRow) -> None:
    line = feed.encode(row)
    assert feed.decode(line) == row
    assert (line[-1:], line.count(b"\n")) == (b"\n", 1)


def test_entry_id_is_epoch_and_position() -> None:
    assert Message(3, 0, ROW._replace(position=17)).entry_id == "3-17"


def test_message_is_a_cloud_event_in_binary_mode() -> None:
    fields = message.encode(Message(1, 0, ROW))
    assert fields[b"ce_specversion"] == b"1.0"
    assert fields[b"ce_type"] == b"resources.ResourceCreated.v1"
    assert fields[b"ce_subject"] == b"resources-1"
    assert fields[b"ce_time"] == rfc3339(ROW.recorded_at).encode()
    assert fields[b"ce_datacontenttype"] == b"application/json"
    assert fields[b"data"] == ROW.payload


def test_opaque_payload_says_so() -> None:
    fields = message.encode(Message(1, 0, ROW._replace(payload_format=OPAQUE)))
    assert fields[b"ce_datacontenttype"] == b"application/octet-stream"


@pytest.mark.parametrize("field", [b"ce_id", b"ce_epoch", b"ce_position", b"ce_previous", b"ce_leafhash", b"data"])
def test_message_without_one_of_its_fields_is_none(field: bytes) -> None:
    fields = message.encode(Message(1, 0, ROW))
    with pytest.raises(KeyError):
        message.decode({name: value for name, value in fields.items() if name != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [(b"ce_id", b"1"), (b"ce_epoch", b"one"), (b"ce_leafhash", b"xyz"), (b"ce_subject", b"\xff"), (b"ce_slot", b"")],
)
def test_message_with_a_field_of_another_shape_is_none(field: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        message.decode({**message.encode(Message(1, 0, ROW)), field: value})


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"null", b'{"position": 1}', b"\xff", b"1"])
def test_line_that_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        feed.decode(line)


@pytest.mark.parametrize("field", ["payload", "metadata"])
def test_line_whose_bytes_are_not_base64_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        feed.decode(orjson.dumps({**orjson.loads(feed.encode(ROW)), field: "!"}))


def test_mark_comes_back_as_it_was_written() -> None:
    mark = Mark(2, 40, (40, 0, 39), 1_700_000_000_000_000)
    assert Mark.decode(mark.encode()) == mark


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"epoch":1}', b'{"epoch":1,"head":2,"last":3,"at":4}', b"x"])
def test_data_that_is_no_mark_is_refused(data: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Mark.decode(data)


@pytest.mark.parametrize(
    ("checkpoint", "watermark"),
    [(0, 0), (6, 6), (7, 20), (8, 20), (25, 25)],
    ids=["nothing handled", "one missing", "level", "ahead of the mark", "beyond the head"],
)
def test_watermark_rises_to_the_head_only_when_the_partition_is_handled(checkpoint: int, watermark: int) -> None:
    assert Mark(1, 20, (20, 7), 0).watermark(1, checkpoint) == watermark


def test_partition_without_any_event_is_complete_up_to_the_head() -> None:
    assert Mark(1, 20, (20, 0), 0).watermark(1, 0) == 20


def test_slot_is_decided_by_tenant_and_stream_alone() -> None:
    assert slot_of("default", "resources-1") == slot_of("default", "resources-1") != slot_of("acme", "resources-1")
    assert {partition_of(slot, 8) for slot in range(SLOTS)} == set(range(8))
    assert stream_key(5) == "events:{5}"
