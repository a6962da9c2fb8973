"""A stored payload that cannot be read is named by its position, with what is wrong with it and nothing it holds."""

import orjson
import pytest

from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.envelope import OPAQUE
from shared_kernel.privacy.cipher import SubjectKey
from shared_kernel.privacy.payload import UnreadablePayload
from tests.shared_kernel.privacy.test_payload import CODEC, KEY, REGISTERED, USER, encoded, row_of


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"not json", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"$sealed": ["email"]}', "has a broken $sealed list"),
        (b'{"$sealed": "email", "email": "x"}', "has a broken $sealed list"),
        (b'{"$sealed": [1]}', "has a broken $sealed list"),
        (b'{"$sealed": ["email"], "email": "x"}', "cannot be opened in its field 'email'"),
        (b"{}", "does not fit its contract"),
    ],
)
def test_payload_is_refused_for_what_is_wrong_with_it(payload: bytes, why: str) -> None:
    with pytest.raises(UnreadablePayload) as refused:
        CODEC.decode(row_of(payload), KEY)
    assert str(refused.value) == f"The event at position 5 {why}."


def test_payload_of_unknown_shape_is_called_so() -> None:
    with pytest.raises(UnreadablePayload) as refused:
        CODEC.decode(row_of(b"\x80", payload_format=OPAQUE), KEY)
    assert str(refused.value) == "The event at position 5 has a payload of unknown shape."


def test_personal_fields_of_nobody_are_called_so() -> None:
    with pytest.raises(UnreadablePayload) as refused:
        CODEC.subject_of(row_of(b'{"$sealed": ["email"], "email": "x"}'))
    assert str(refused.value) == "The event at position 5 has personal fields, but does not say whose."


def test_field_that_does_not_open_is_the_one_that_is_named() -> None:
    data = orjson.loads(encoded(REGISTERED))
    strange = orjson.loads(
        CODEC.encode(
            UserRegistered(user_id=USER, email="a@example.org", name="A", password_hash="x"),
            tenant="default",
            stream=f"users-{USER}",
            version=1,
            key=SubjectKey(KEY.key_id, bytes(32)),
        )
    )
    with pytest.raises(UnreadablePayload, match="in its field 'name'"):
        CODEC.decode(row_of(orjson.dumps({**data, "name": strange["name"]})), KEY)
