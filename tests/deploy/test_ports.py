"""Ports: the usual one, else the next that is free, said aloud."""

import socket

import pytest

from deploy.local.ports import LOOPBACK, choose, free_port, is_free


def test_a_taken_port_is_replaced_by_the_next_free_one_and_said_aloud() -> None:
    said: list[str] = []
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        chosen = choose(LOOPBACK, {"command": port, "query": port + 1}, said.append)
    assert chosen["command"] > port + 1, "another's wanted port is not taken from it"
    assert said[0] == f"Port {port} is taken; command listens on {chosen['command']} instead."


def test_a_free_port_is_taken_without_a_word() -> None:
    said: list[str] = []
    port = free_port()
    assert choose(LOOPBACK, {"command": port}, said.append) == {"command": port}
    assert not said


def test_port_zero_stands_for_any() -> None:
    chosen = choose(LOOPBACK, {"command": 0, "query": 0}, pytest.fail)
    assert len({*chosen.values()} - {0}) == 2


def test_nobody_can_listen_where_somebody_does() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        assert not is_free(LOOPBACK, taken.getsockname()[1])
    assert not is_free(LOOPBACK, 0)
