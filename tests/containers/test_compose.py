"""`docker compose up --build --wait`: the story, the hardening, a killed container, an upgrade with data kept."""

import functools
import json
import subprocess
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.compose import Containers, containers, run
from tests.support.processes import ROOT
from tests.support.waiting import eventually

pytestmark = pytest.mark.compose

OURS = ("command", "query", "relay", "projector")
BEFORE = ("secrets", "migrate")
"""What has done its work before the others start."""

PUBLISHED = {"command": "8001/tcp", "query": "8002/tcp"}
INSIDE = ("--command-url", "http://command:8001", "--query-url", "http://query:8002")
PASSWORD = "winter-otter-plays-chess"


@pytest.fixture(scope="module")
def stack() -> Iterator[Containers]:
    with containers("test") as made:
        made.compose("up", "--build", "--wait")
        yield made


def test_the_story_holds_in_containers(stack: Containers) -> None:
    told = stack.twinlog("demo", *INSIDE, "--json")
    summary = json.loads(told.strip().splitlines()[-1])
    print(json.dumps(summary["figures"]))  # noqa: T201 - shown by `make compose-test`
    assert summary["ok"], summary["broken"]


@pytest.mark.parametrize("service", [*OURS, "postgres", "redis"])
def test_a_container_has_no_more_rights_than_it_needs(stack: Containers, service: str) -> None:
    found = stack.inspect(service)
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert stack.compose("exec", "--no-TTY", service, "id", "-u").strip() != "0"
    refused = subprocess.run(["docker", "exec", stack.container(service), "touch", "/etc/x"], check=False, cwd=ROOT)
    assert refused.returncode != 0


def test_no_container_may_take_all_memory(stack: Containers) -> None:
    """Those that run once, or only when an operator calls, no less than those that serve."""
    services = json.loads(stack.compose("--profile", "tools", "config", "--format", "json"))["services"]
    assert services.keys() == {*OURS, *BEFORE, "postgres", "redis", "operator"}
    assert not [name for name, service in services.items() if not int(service.get("mem_limit", 0))]
    assert all(stack.inspect(name)["HostConfig"]["Memory"] > 0 for name in BEFORE)


def test_told_to_stop_every_container_ends_by_itself(stack: Containers) -> None:
    stack.compose("stop")
    try:
        ended = {name: stack.inspect(name)["State"]["ExitCode"] for name in (*OURS, "postgres", "redis")}
    finally:
        stack.compose("up", "--wait")
    assert set(ended.values()) == {0}, ended


def test_the_doctor_finds_nothing_wrong_in_containers(stack: Containers) -> None:
    found = json.loads(stack.twinlog("doctor", "--json").strip().splitlines()[-1])
    assert found["ok"]
    assert {check["name"]: check["state"] for check in found["checks"] if check["state"] != "fine"} == {
        "disk": "skipped"
    }


def test_no_secret_stands_in_an_environment(stack: Containers) -> None:
    for service in (*OURS, "postgres", "redis"):
        names = [line.partition("=")[0] for line in stack.inspect(service)["Config"]["Env"]]
        assert not [
            name for name in names if name.endswith(("_SECRET", "_KEK", "_URL")) and name != "TWINLOG_COMMAND_URL"
        ]
        assert "POSTGRES_PASSWORD" not in names


def test_only_the_two_apis_are_published_and_on_loopback(stack: Containers) -> None:
    for service in (*OURS, "postgres", "redis"):
        bound = {port: to for port, to in stack.inspect(service)["NetworkSettings"]["Ports"].items() if to}
        assert set(bound) == ({PUBLISHED[service]} if service in PUBLISHED else set())
        assert all(place["HostIp"] == "127.0.0.1" for places in bound.values() for place in places)


@pytest.mark.parametrize("service", ["command", "projector", "redis"])
async def test_a_killed_container_returns(stack: Containers, service: str) -> None:
    before = stack.inspect(service)
    _kill_from_outside(before["State"]["Pid"], stack.version)
    await eventually(lambda: stack.inspect(service)["RestartCount"] > before["RestartCount"], f"{service} again", 60)
    await eventually(lambda: _health(stack, service) == "healthy", f"{service} to be healthy", 120)
    for url in (stack.command_url, stack.query_url):
        await eventually(functools.partial(_is_ready, url), f"{url} to be ready", 60)


async def test_an_upgrade_keeps_the_data() -> None:
    """From the image of the commit before to this one, on the same volumes."""
    _build_previous("test-previous")
    with containers("test-previous") as stack:
        stack.compose("up", "--wait")
        resource, written = _create_resource(stack)
        stack.compose("up", "--build", "--wait", version="test")
        assert {stack.inspect(service)["Config"]["Image"] for service in OURS} == {"twinlog:test"}
        headers = {**_sign_in(stack), "Consistency-Token": written, "Prefer": "wait=10"}
        async with httpx2.AsyncClient(timeout=20, headers=headers) as http:

            async def shown() -> bool:
                answer = await http.get(f"{stack.query_url}{resource}")
                return answer.status_code == 200 and answer.json()["name"] == "kept"

            await eventually(shown, "what was written before to be shown", 60)


def _build_previous(version: str) -> None:
    archive = subprocess.run(["git", "archive", "HEAD~1"], cwd=ROOT, capture_output=True, check=True).stdout
    words = ["docker", "build", "--tag", f"twinlog:{version}", "--file", "deploy/Dockerfile", "-"]
    subprocess.run(words, input=archive, check=True, cwd=ROOT)


def _create_resource(stack: Containers) -> tuple[str, str]:
    """Where it is, and the token of the moment at which it was written."""
    person = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
    assert httpx2.post(f"{stack.command_url}/v1/users", json=person, timeout=10).status_code == 201
    headers = _sign_in(stack)
    made = httpx2.post(f"{stack.command_url}/v1/resources", json={"name": "kept"}, headers=headers, timeout=10)
    assert made.status_code == 201, made.text
    return str(made.headers["Location"]), str(made.headers["Consistency-Token"])


def _sign_in(stack: Containers) -> dict[str, str]:
    form = {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD}
    answer = httpx2.post(f"{stack.command_url}/v1/token", data=form, timeout=10)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _kill_from_outside(pid: int, version: str) -> None:
    """As the kernel would when memory runs out; `docker kill` counts as a wish to stop."""
    code = f"import os; os.kill({pid}, 9)"
    words = ("docker", "run", "--rm", "--pid=host", "--user=0", "--cap-add=KILL", f"twinlog:{version}", "python", "-c")
    run(*words, code)


def _health(stack: Containers, service: str) -> str:
    state = stack.inspect(service)["State"]
    return str(state["Health"]["Status"]) if state["Running"] else "down"


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx2.TransportError:
        return False
