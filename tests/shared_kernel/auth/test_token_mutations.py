"""Access tokens: whatever is changed at random, nothing but the original is accepted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_kernel.auth.claims import TokenRefused
from tests.shared_kernel.auth.forging import NOW, TOKEN, parts, signed, verifier


@pytest.mark.asvs("V9.1.1")
@given(st.data())
def test_no_mutation_of_a_token_is_accepted(data: st.DataObject) -> None:
    raw = bytearray(TOKEN.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(("replace", "delete", "insert", "swap"))):
            case "replace":
                raw[place] = data.draw(st.integers(0, 127))
            case "delete" if len(raw) > 1:
                del raw[place]
            case "insert":
                raw.insert(place, data.draw(st.integers(0, 127)))
            case _:
                raw[place], raw[-1] = raw[-1], raw[place]
    if raw != TOKEN.encode():
        with pytest.raises(TokenRefused):
            verifier().verify(raw.decode(), NOW)


@given(st.text(max_size=200))
def test_no_text_breaks_the_verifier(text: str) -> None:
    with pytest.raises(TokenRefused):
        verifier().verify(text, NOW)


@given(
    st.dictionaries(
        st.sampled_from(("alg", "typ", "kid", "crit", "jwk")), st.none() | st.text(max_size=8) | st.integers()
    )
)
def test_no_signed_header_of_another_shape_is_accepted(header: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        verifier().verify(signed(header, parts()[1]), NOW)
