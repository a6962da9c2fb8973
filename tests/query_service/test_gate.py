"""The query service lets in who may ask, and says why to everybody else."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx2
import pytest

from shared_kernel.auth.jwks import RemoteKeys, RemoteVerifier
from shared_kernel.auth.outside.issuers import OutsideIssuers
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from shared_kernel.clock import SystemClock
from shared_kernel.gate import Gate
from tests.support.query_side import Person, QuerySide

ADA = Person(uuid4())
NOBODY_LISTENS = "http://127.0.0.1:9"


async def status_of(query_side: QuerySide, authorization: str | None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await query_side.http.get("/v1/resources", headers=headers)
    if answer.status_code == 401:
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    return answer.status_code


@pytest.mark.asvs("V7.2.1")
async def test_only_a_bearer_token_of_the_command_service_opens_the_door(query_side: QuerySide) -> None:
    token = query_side.access_token(ADA)
    for accepted in (f"Bearer {token}", f"bearer {token}", f"BEARER   {token}"):
        assert await status_of(query_side, accepted) == 200
    head, body, signature = token.split(".")
    refused = (None, "", "Bearer", "Bearer ", token, f"Basic {token}", f"Bearer {token} x", f"Bearer {head}.{body}.")
    for authorization in (*refused, f"Bearer {head}.{body}x.{signature}", f"Bearer{token}"):
        assert await status_of(query_side, authorization) == 401, authorization


async def test_an_expired_or_foreign_token_is_refused(query_side: QuerySide) -> None:
    principal = Principal(ADA.id, ADA.tenant, ADA.session, ("admin",), "pwd", 0)
    expired = query_side.signer.sign(principal, jti="1", now=datetime.now(UTC) - timedelta(seconds=601))
    stranger = TokenSigner(SigningKey.from_pem(SigningKey.generate_pem()))
    foreign = stranger.sign(principal, jti="1", now=datetime.now(UTC))
    for token in (expired, foreign):
        assert await status_of(query_side, f"Bearer {token}") == 401


@pytest.mark.asvs("V16.5.2", "V16.5.3")
async def test_without_the_command_services_keys_nobody_gets_in_and_it_says_so(query_side: QuerySide) -> None:
    keys = RemoteKeys(NOBODY_LISTENS, httpx2.AsyncClient(trust_env=False))
    services = query_side.services
    gate = Gate(
        RemoteVerifier(keys).verify,
        OutsideIssuers(()),
        policies=services.policies,
        denials=services.denials.known,
        rates=services.rates,
        clock=SystemClock(),
    )
    object.__setattr__(query_side.services, "gate", gate)
    assert await status_of(query_side, f"Bearer {query_side.access_token(ADA)}") == 503
    await keys.aclose()


@pytest.mark.asvs("V3.5.3", "V8.2.1")
async def test_every_question_needs_a_token(query_side: QuerySide) -> None:
    paths = query_side.app.openapi()["paths"]
    assert len(paths) >= 10
    for path, operations in paths.items():
        assert operations.keys() == {"get"}
        answer = await query_side.http.get(path.replace("{position}", "1").format_map(Anything()))
        assert answer.status_code == 401, path


class Anything(dict[str, str]):
    """A well-formed id for every parameter of a path."""

    def __missing__(self, _: str) -> str:
        return str(uuid4())
