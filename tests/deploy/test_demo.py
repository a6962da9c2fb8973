"""The story holds, and a promise that does not is told and counted."""

import io
import json
import subprocess
import sys
from typing import Any

import httpx2
import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.cli import application
from deploy.demo.inventory import assets
from deploy.demo.operator import Operator, OperatorCommandFailed
from deploy.demo.play import play
from deploy.demo.register import Entry
from deploy.demo.story import Story
from deploy.demo.visitor import Timings, Visitor
from deploy.local.ports import free_port
from tests.support.stack import Stack


def told(words: list[str]) -> tuple[int, str]:
    result = CliRunner().invoke(application(), words)
    return result.exit_code, result.output


async def test_the_story_holds_on_a_running_stack(stack: Stack) -> None:
    told = io.StringIO()
    summary = await play(stack.command_url, stack.query_url, Operator(stack.data), Console(file=told))
    assert summary["ok"], summary["broken"]
    assert summary["promises"] > 20
    assert summary["figures"]["commands"] > len(assets())
    assert "is refused as stale-version" in told.getvalue()


@pytest.mark.e2e
def test_a_person_sees_the_story_on_a_stack_of_its_own() -> None:
    words = [sys.executable, "-m", "deploy.cli", "demo", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["ok"]


def test_inventory_is_what_is_installed() -> None:
    found = {asset.name.lower(): asset for asset in assets()}
    assert found["fastapi"].attributes["version"]
    assert found["fastapi"].attributes["requirements_total"] > 0
    assert found["pytest"].attributes["licence"] != "unknown"
    assert all(asset.description.isprintable() for asset in found.values())


def test_a_broken_promise_is_told_with_what_was_seen() -> None:
    screen = io.StringIO()
    story = Story(Console(file=screen), Timings())
    assert story.expect("two and two are four", held=True)
    assert not story.expect("two and two are [five]", held=False, seen="[four]")
    assert [check.promise for check in story.broken()] == ["two and two are [five]"]
    assert "[five]" in screen.getvalue()
    assert "[four]" in screen.getvalue()


def test_a_resource_that_reads_otherwise_is_named_by_its_fields() -> None:
    expected: dict[str, Any] = {
        "name": "a",
        "description": "",
        "attributes": {},
        "tags": ["x", "y"],
        "classification": "internal",
    }
    expected |= {"state": "active", "version": 1, "owner": "me"}
    entry = Entry("1", Visitor("me", httpx2.AsyncClient(), "", "", Timings()), expected)
    assert entry.differs(expected | {"tags": ["y", "x"]}) == []
    assert entry.differs(expected | {"state": "archived", "tags": ["x"]}) == ["tags", "state"]


def test_only_one_address_is_wrong_use() -> None:
    code, said = told(["demo", "--command-url", "http://127.0.0.1:1"])
    assert code == 2
    assert "--query-url" in said


def test_a_stack_that_is_not_there_ends_the_story_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("TWINLOG_DATA", "/nonexistent")
    code, said = told(["demo", "--command-url", nowhere, "--query-url", nowhere])
    assert code == 3
    assert "The story stopped" in said


async def test_an_operator_command_that_fails_says_why(stack: Stack) -> None:
    with pytest.raises(OperatorCommandFailed, match=r"tenants create default.* ended with"):
        await Operator(stack.data).create_tenant("default")
