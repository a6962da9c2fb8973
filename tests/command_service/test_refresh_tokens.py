"""A refresh token has one spelling, says whose it is, and leads to one successor that nobody else can make."""

from uuid import UUID

import pytest

from command_service.infrastructure.refresh_tokens import RefreshToken, RefreshTokens

TOKENS = RefreshTokens(b"s" * 32)
SESSION = UUID(int=5)
TOKEN = RefreshToken("acme", SESSION, bytes(range(32)))


@pytest.mark.asvs("V7.2.3")
def test_token_is_read_as_it_was_made() -> None:
    assert RefreshTokens.parse(str(TOKEN)) == TOKEN
    assert (TOKEN.tenant, TOKEN.session_id, len(TOKEN.secret)) == ("acme", SESSION, 32)


@pytest.mark.asvs("V7.2.3", "V11.5.1")
def test_tokens_are_different_and_their_secrets_do_not_show() -> None:
    assert len({TOKENS.first("acme", SESSION).hash for _ in range(100)}) == 100
    assert TOKEN.secret.hex() not in repr(TOKEN)
    assert str(TOKEN.secret) not in repr(TOKEN)


@pytest.mark.parametrize(
    "text",
    ["", "tlr_", "tlr_AAAA", str(TOKEN)[4:], f"{TOKEN}=", f" {TOKEN}", f"{TOKEN}A", f"{TOKEN}\n", "tlr_" + "A" * 300],
)
def test_anything_else_is_no_token(text: str) -> None:
    assert RefreshTokens.parse(text) is None


@pytest.mark.parametrize("tenant", ["ACME", "acme corp", "-acme", "\u00e4"])
def test_token_of_an_impossible_tenant_is_none(tenant: str) -> None:
    assert RefreshTokens.parse(str(TOKENS.first(tenant, SESSION))) is None


def test_other_spelling_of_the_same_bytes_is_no_token() -> None:
    text = str(TOKENS.first("ac", SESSION))  # 50 bytes: the last character carries spare bits
    variants = [text[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
    assert [each for each in variants if (found := RefreshTokens.parse(each)) and str(found) == text] == [text]


def test_successor_is_always_the_same_and_needs_the_services_secret() -> None:
    assert TOKENS.successor(TOKEN) == TOKENS.successor(TOKEN)
    assert TOKENS.successor(TOKEN).hash != TOKEN.hash
    assert RefreshTokens(b"t" * 32).successor(TOKEN).secret != TOKENS.successor(TOKEN).secret
    assert TOKENS.successor(TOKENS.successor(TOKEN)) != TOKENS.successor(TOKEN)


def test_successor_stays_the_same_in_every_release() -> None:
    assert (
        RefreshTokens(b"s" * 32).successor(TOKEN).secret.hex()
        == "88dd3926553cad2382371f57183e142cc0da59226d5da4a2c6bb91c3bfc5d005"
    )
