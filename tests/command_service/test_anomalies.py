"""What looks like an attack is counted and logged, and no line says more than a code and an id."""

import json

import pytest

from shared_kernel.observability import configure_logging
from tests.features.sessions.test_refresh import form, refresh, signed_in
from tests.support.command_side import CommandSide


class Lines:
    """Everything that was logged, as it would stand on stderr."""

    def __init__(self) -> None:
        self.text = b""

    def write(self, line: bytes, /) -> object:
        self.text += line
        return None

    def flush(self) -> object:
        return None

    def those_with(self, word: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines() if word.encode() in line]


@pytest.fixture
def lines() -> Lines:
    found = Lines()
    configure_logging("command", "info", found)
    return found


async def counted(side: CommandSide, code: str) -> float:
    text = (await side.send("GET", "/metrics")).text
    name = f'twinlog_refusals_total{{code="{code}"}} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


@pytest.mark.asvs("V16.3.1")
async def test_refused_sign_ins_are_counted_and_logged_without_the_address(
    lines: Lines, command_side: CommandSide
) -> None:
    ada = await command_side.register()
    for address in (ada.email, "canary-nobody@example.com"):
        await command_side.sign_in(form(ada, username=address, password="canary-password"))
    assert await counted(command_side, "invalid-grant") == 2
    assert len(lines.those_with('"problem":"invalid-grant"')) == 2
    assert b"canary" not in lines.text
    assert ada.email.encode() not in lines.text


@pytest.mark.asvs("V16.3.3")
async def test_reuse_of_a_refresh_token_is_counted_apart_and_answered_alike(
    lines: Lines, command_side: CommandSide
) -> None:
    first = await signed_in(command_side)
    second = (await refresh(command_side, first["refresh_token"])).json()
    await refresh(command_side, second["refresh_token"])
    reused = await refresh(command_side, first["refresh_token"])
    over = await refresh(command_side, first["refresh_token"])
    assert (reused.status_code, reused.content) == (over.status_code, over.content)
    assert await counted(command_side, "refresh-token-reused") == 1
    assert len(lines.those_with('"problem":"refresh-token-reused"')) == 1
    assert first["refresh_token"].encode() not in lines.text


@pytest.mark.asvs("V16.3.2")
async def test_denied_decisions_are_counted_and_logged_with_their_rule(lines: Lines, command_side: CommandSide) -> None:
    ada, bob = await command_side.register(), await command_side.register("Bob")
    path = await command_side.create_resource(ada)
    answer = await command_side.send("PATCH", path, {"name": "canary-name"}, by=bob)
    assert answer.status_code == 403
    assert await counted(command_side, "forbidden") == 1
    (denied,) = lines.those_with('"allowed":false')
    assert (denied["actor"], denied["permission"]) == (str(bob.id), "resources:change")
    assert b"canary" not in lines.text
