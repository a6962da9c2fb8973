"""Tokens of other issuers: Keycloak's and Auth0's are understood, and whatever breaks a rule is refused by its name."""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

from shared_kernel.auth.claims import TokenRefused, UnknownKey
from shared_kernel.auth.elevation import StepUp, StepUpRequired, require_elevation
from shared_kernel.auth.jwk import Jwk, decode_segment, encode_segment
from shared_kernel.auth.outside.issuer import OutsideIssuer
from shared_kernel.auth.outside.tokens import OutsideVerifier, issuer_named_in
from tests.support.identity_provider import AUDIENCE, EC, ED, KEYS, PSS, RSA, auth0, keycloak, signed

NOW = datetime(2026, 3, 12, 12, 0, 0, tzinfo=UTC)
ISSUER = "https://id.example/realms/twinlog"
REALM = OutsideIssuer(
    issuer=ISSUER,
    audience=AUDIENCE,
    tenant="acme",
    algorithms=("RS256", "PS256", "ES256", "EdDSA"),
    roles_claim="realm_access.roles",
    roles={"twinlog-auditor": "auditor"},
)


def _signed_with(key: Key, content: dict[str, Any]) -> str:
    header = {"alg": "RS256", "typ": "JWT", "kid": key.kid}
    return jws.serialize_compact(header, orjson.dumps(content), key, algorithms=["RS256"])


def published(*keys: Key) -> dict[str, Jwk]:
    return {key.kid or "": key.as_dict(private=False) for key in keys}


def verify(token: str, keys: Mapping[str, Jwk] | None = None, issuer: OutsideIssuer = REALM) -> Any:
    return OutsideVerifier(issuer).verify(token, published(*KEYS.values()) if keys is None else keys, NOW)


def refusal(token: str, keys: Mapping[str, Jwk] | None = None) -> str:
    with pytest.raises(TokenRefused) as refused:
        verify(token, keys)
    assert refused.value.status == 401
    return refused.value.reason


def claims(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in {**keycloak(ISSUER, NOW), **changed}.items() if value is not ...}


@pytest.mark.parametrize("algorithm", KEYS)
def test_keycloak_s_token_is_understood(algorithm: str) -> None:
    who = verify(signed(claims(), algorithm))
    assert (who.tenant, who.roles, who.auth_time) == ("acme", ("auditor",), int(NOW.timestamp()) - 20)
    assert who == verify(signed(claims(jti="another"), algorithm)), "the same user in the same session"


def test_auth0_s_token_is_understood() -> None:
    issuer = OutsideIssuer(
        issuer="https://acme.eu.auth0.com/",
        audience=AUDIENCE,
        tenant="acme",
        roles_claim="twinlog_roles",
        roles={"editor": "member"},
    )
    who = verify(signed(auth0(issuer.issuer, NOW), typ="at+jwt"), issuer=issuer)
    assert (who.roles, who.auth_time) == (("member",), 0)


@pytest.mark.asvs("V6.8.4", "V10.3.4")
@pytest.mark.parametrize(
    ("told", "asked", "fresh"),
    [
        ({}, {}, True),
        ({"auth_time": ...}, {}, False),
        ({"acr": "2"}, {"acr": ("2", "3")}, True),
        ({"acr": "1"}, {"acr": ("2", "3")}, False),
        ({"acr": ...}, {"acr": ("2", "3")}, False),
        ({"amr": ["pwd", "otp"]}, {"amr": ("otp", "hwk")}, True),
        ({"amr": ["pwd"]}, {"amr": ("otp", "hwk")}, False),
        ({}, {"amr": ("otp", "hwk")}, False),
        ({"acr": "1", "amr": ["hwk"]}, {"acr": ("2",), "amr": ("hwk",)}, True),
        ({"acr": "2", "auth_time": ...}, {"acr": ("2",)}, False),
        ({"acr": 2}, {"acr": ("2",)}, False),
        ({"acr": ["2"]}, {"acr": ("2",)}, False),
        ({"amr": "otp"}, {"amr": ("otp", "o")}, False),
        ({"amr": [["otp"], 1]}, {"amr": ("otp",)}, False),
    ],
)
def test_proof_is_fresh_only_if_the_issuer_says_when_and_as_strong_as_is_asked(
    told: dict[str, Any], asked: dict[str, Any], fresh: bool
) -> None:
    """What an issuer does not say counts as the weakest: else every refreshed token would pass for a new sign-in."""
    who = verify(signed(claims(**told)), issuer=REALM.model_copy(update=asked))
    if fresh:
        require_elevation(who, StepUp.RECENT, NOW)
    else:
        with pytest.raises(StepUpRequired):
            require_elevation(who, StepUp.RECENT, NOW)
    with pytest.raises(StepUpRequired):
        require_elevation(who, StepUp.ALWAYS, NOW)


def test_operator_may_ask_for_longer_keys_of_an_issuer() -> None:
    key = RSAKey.generate_key(2048, {"kid": "short"}, private=True)
    published_short = {"short": key.as_dict(private=False)}
    token = _signed_with(key, claims())
    assert verify(token, published_short).tenant == "acme"
    with pytest.raises(TokenRefused) as refused:
        verify(token, published_short, REALM.model_copy(update={"smallest_rsa_key": 3072}))
    assert refused.value.reason == "key"


@pytest.mark.asvs("V6.8.1", "V10.3.3")
def test_user_is_issuer_and_subject() -> None:
    known = verify(signed(claims()))
    other = REALM.model_copy(update={"issuer": "https://other.example"})
    elsewhere = verify(signed(claims(iss="https://other.example")), issuer=other)
    assert known.user_id not in {elsewhere.user_id, verify(signed(claims(sub="somebody else"))).user_id}
    assert known.session_id != verify(signed(claims(sid="another session"))).session_id


@pytest.mark.asvs("V10.3.2")
def test_role_that_is_called_like_ours_is_not_ours() -> None:
    assert "admin" not in verify(signed(claims())).roles
    strange: Any
    for strange in (..., "admin", {"roles": "twinlog-auditor"}, {"roles": [["twinlog-auditor"], 7]}, []):
        assert verify(signed(claims(realm_access=strange))).roles == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://id.example"}, "iss"),
        ({"iss": ...}, "claims"),
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": []}, "claims"),
        ({"aud": ...}, "claims"),
        ({"sub": ...}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 7}, "claims"),
        ({"exp": ...}, "claims"),
        ({"exp": int(NOW.timestamp())}, "exp"),
        ({"exp": "2026-03-12T13:00:00Z"}, "claims"),
        ({"exp": float(NOW.timestamp()) + 60.5}, "claims"),
        ({"exp": int(NOW.timestamp()) + 86_401}, "lifetime"),
        ({"iat": ...}, "claims"),
        ({"iat": int(NOW.timestamp()) + 6}, "iat"),
        ({"nbf": int(NOW.timestamp()) + 6}, "nbf"),
        ({"iat": int(NOW.timestamp()) + 4, "exp": int(NOW.timestamp()) + 4}, "lifetime"),
        ({"sid": ["a"]}, "claims"),
    ],
)
def test_wrong_claim_is_refused_by_its_name(changed: dict[str, Any], reason: str) -> None:
    assert refusal(signed(claims(**changed))) == reason


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_clock_that_is_five_seconds_ahead_is_forgiven(claim: str) -> None:
    assert verify(signed(claims(**{claim: int(NOW.timestamp()) + 5})))


def test_token_may_live_for_a_second_or_a_day() -> None:
    for seconds in (1, 86_400):
        assert verify(signed(claims(exp=int(NOW.timestamp()) + seconds)))


def test_token_without_a_session_makes_one_of_each_sign_in() -> None:
    at = int(NOW.timestamp())
    earlier, later, again = (verify(signed(claims(sid=..., iat=iat))) for iat in (at - 1, at, at))
    assert earlier.user_id == later.user_id
    assert earlier.session_id != later.session_id == again.session_id


def test_assurance_is_that_of_an_outsider() -> None:
    assert verify(signed(claims())).acr == "urn:twinlog:outside"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "dpop+jwt"},
        {"typ": None},
        {"kid": None},
        {"crit": ["exp"], "exp": 1},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": EC.as_dict(private=False)},
        {"cty": "JWT"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_strange_header_is_refused(header: dict[str, Any]) -> None:
    assert refusal(spoiled(lambda members: {**members, **header})) == "header"


def test_thumbprint_in_the_header_is_of_no_account() -> None:
    assert verify(signed(claims(), x5t="dGh1bWJwcmludA")).tenant == "acme"


@pytest.mark.asvs("V9.1.2")
@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", "ES384"])
def test_algorithm_that_was_not_agreed_upon_is_refused(algorithm: str) -> None:
    assert refusal(spoiled(lambda members: {**members, "alg": algorithm})) == "header"


def test_public_key_is_no_shared_secret() -> None:
    header, payload = (
        encode_segment(orjson.dumps(part)) for part in ({"alg": "HS256", "typ": "JWT", "kid": "rsa-1"}, claims())
    )
    for secret in (RSA.as_pem(private=False), RSA.as_der(private=False)):
        mac = hmac.digest(secret, f"{header}.{payload}".encode(), "sha256")
        assert refusal(f"{header}.{payload}.{encode_segment(mac)}") == "header"


@pytest.mark.parametrize(
    "change",
    [
        lambda jwk: {**jwk, "use": "enc"},
        lambda jwk: {**jwk, "alg": "PS256"},
        lambda jwk: {**jwk, "key_ops": ["encrypt"]},
        lambda jwk: {**jwk, "d": "AQAB"},
        lambda jwk: {**jwk, "kty": "EC"},
        lambda jwk: {**jwk, "n": "!"},
        lambda _: {"kid": "rsa-1", "kty": "RSA"},
        lambda jwk: {**jwk, "n": encode_segment(decode_segment(jwk["n"])[:127] + b"\x01")},
        lambda _: EC.as_dict(private=False) | {"kid": "rsa-1"},
    ],
    ids=["use", "alg", "ops", "private", "kty", "number", "empty", "short", "other"],
)
def test_key_that_is_not_for_this_is_refused(change: Callable[[Any], Any]) -> None:
    assert refusal(signed(claims()), {"rsa-1": change(RSA.as_dict(private=False))}) == "key"


def test_key_need_not_say_what_it_is_for() -> None:
    bare = {name: value for name, value in RSA.as_dict(private=False).items() if name in {"kty", "n", "e", "kid"}}
    assert verify(signed(claims()), {"rsa-1": bare}).tenant == "acme"


def test_curve_must_be_the_algorithm_s() -> None:
    key = ECKey.generate_key("P-384", {"kid": "ec-1"})
    assert refusal(signed(claims(), "ES256"), published(key)) == "key"


def test_unknown_key_is_told_apart_so_that_keys_are_fetched_again() -> None:
    with pytest.raises(UnknownKey) as unknown:
        verify(signed(claims()), published(PSS, EC, ED))
    assert unknown.value.reason == "kid"


@pytest.mark.asvs("V6.8.2")
def test_any_other_signature_is_refused() -> None:
    token, other = signed(claims()), signed(claims(sub="somebody else"))
    head, body, _ = token.split(".")
    assert refusal(f"{head}.{body}.{other.split('.')[2]}") == "signature"
    assert refusal(f"{head}.{other.split('.')[1]}.{token.split('.')[2]}") == "signature"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda token: token + ".a", "segments"),
        (lambda token: token + "=", "encoding"),
        (lambda token: token.replace(".", ".\n", 1), "encoding"),
        (lambda _: "a" * 9_000, "size"),
    ],
)
def test_only_one_spelling_is_read(change: Callable[[str], str], reason: str) -> None:
    assert refusal(change(signed(claims()))) == reason


def test_member_that_stands_twice_is_refused() -> None:
    twice = orjson.dumps(claims())[:-1] + b',"sub":"somebody else"}'
    assert refusal(signed(twice)) == "claims"


def test_hint_is_only_a_hint() -> None:
    assert issuer_named_in(signed(claims())) == ISSUER
    for nonsense in ("", "a.b.c", signed(claims(iss=7)), signed(b"[]")):
        assert issuer_named_in(nonsense) is None


def test_time_moves_on() -> None:
    token = signed(claims())
    with pytest.raises(TokenRefused):
        OutsideVerifier(REALM).verify(token, published(RSA), NOW + timedelta(minutes=5))


def spoiled(change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """A token with another header; its signature cannot hold, and is not come to."""
    head, rest = signed(claims()).split(".", 1)
    members = change(orjson.loads(decode_segment(head)))
    return f"{encode_segment(orjson.dumps(members))}.{rest}"
