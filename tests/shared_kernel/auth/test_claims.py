"""The strict reading of JSON and UUIDs that every token goes through says what it found wrong."""

import pytest

from shared_kernel.auth.claims import _canonical_uuid, strict_json
from tests.shared_kernel.auth.forging import PRINCIPAL


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[1]", "not a JSON object"),
        (b'{"a": 1, "a": 2}', "a name stands twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
    ],
)
def test_json_is_refused_for_the_reason_that_is_wrong_with_it(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        strict_json(data)


def test_uuid_has_one_spelling() -> None:
    assert _canonical_uuid(str(PRINCIPAL.user_id)) == str(PRINCIPAL.user_id)
    with pytest.raises(ValueError, match=r"^not the canonical spelling of a UUID$"):
        _canonical_uuid(PRINCIPAL.user_id.hex)
