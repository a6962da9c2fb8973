"""The chapter about who somebody is: a second factor, fresh proof, and a session that ends everywhere at once."""

import hashlib
import hmac
import time
from base64 import b32decode

import httpx2

from deploy.demo.cast import Cast
from deploy.demo.story import Story
from deploy.demo.visitor import Visitor

WITHIN = 1.0
"""Seconds after which an ended session must be refused everywhere."""


async def protect_an_account(story: Story, cast: Cast) -> None:
    """The colleague sets up a second factor, meets a step-up, and signs out."""
    story.chapter("A second factor, a step-up, and a session that ends")
    visitor = cast.colleague
    enrolled = (await visitor.command("POST", "/v1/me/totp")).json()
    story.expect("enrolling shows a QR code", str(enrolled.get("qr_svg", "")).startswith("<svg"), enrolled.keys())
    code = code_now(enrolled["secret"])
    activated = await visitor.command("PUT", "/v1/me/totp", {"otp": code})
    codes = activated.json().get("recovery_codes", [])
    story.expect(f"a first code activates it, and brings {len(codes)} recovery codes", len(codes) == 10, activated.text)
    removal = await visitor.command("DELETE", "/v1/me/totp")
    story.show_refusal("Removing it on an ordinary token", removal, 401, "step-up-required")
    used = await visitor.command("POST", "/v1/step-up", {"otp": code})
    story.show_refusal("A code that was used before", used, 403, "step-up-refused")
    await _remove_with_fresh_proof(story, visitor, codes)
    await _sign_out(story, visitor)


async def _remove_with_fresh_proof(story: Story, visitor: Visitor, codes: list[str]) -> None:
    risen = await visitor.command("POST", "/v1/step-up", {"otp": codes[0]})
    story.expect("a recovery code is fresh proof, once", risen.status_code == 200, risen.text)
    elevated = {"Authorization": f"Bearer {risen.json().get('access_token')}"}
    removed = await visitor.command("DELETE", "/v1/me/totp", headers=elevated)
    story.expect("with it the second factor is removed", removed.status_code == 200, removed.text)


async def _sign_out(story: Story, visitor: Visitor) -> None:
    ended = await visitor.http.post(f"{visitor.command_url}/v1/token/revoke", data={"token": visitor.token or ""})
    before = time.perf_counter()
    refused: set[int] = set()
    while refused != {401} and time.perf_counter() - before < WITHIN:
        refused = await _statuses(visitor)
    story.figures["sign-out everywhere ms"] = round(1000 * (time.perf_counter() - before))
    held = ended.status_code == 200 and refused == {401}
    story.expect("a revoked session is refused by both services within a second", held, refused)


async def _statuses(visitor: Visitor) -> set[int]:
    answers: list[httpx2.Response] = [
        await visitor.command("POST", "/v1/resources", {"name": "After signing out"}),
        await visitor.question("/v1/me/sessions"),
    ]
    return {answer.status_code for answer in answers}


def code_now(secret: str) -> str:
    """What an authenticator app shows just now (RFC 6238)."""
    digest = hmac.digest(b32decode(secret), (int(time.time()) // 30).to_bytes(8, "big"), hashlib.sha1)
    offset: int = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
