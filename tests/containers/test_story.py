"""The story on engines that somebody else runs: PostgreSQL and Redis in containers, named by variables."""

import json
import os

import pytest

from deploy.local.databases import COMMAND, QUERY, VAULT
from tests.support.cluster import ENGINES, Cluster
from tests.support.stack import ANY_PORTS, Stack, data_folder, twinlog

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.environ.get(ENGINES) != "containers", reason="runs in `make test-docker`"),
]


def test_the_story_holds_on_containers(cluster: Cluster, redis_url: str) -> None:
    with (
        cluster.copy_of(COMMAND) as command,
        cluster.copy_of(QUERY) as query,
        cluster.copy_of(VAULT) as vault,
        data_folder() as data,
    ):
        variables = {
            "TWINLOG_COMMAND_DATABASE_URL": cluster.url(command, COMMAND.users[0]),
            "TWINLOG_COMMAND_OWNER_URL": cluster.url(command, COMMAND.owner),
            "TWINLOG_QUERY_DATABASE_URL": cluster.url(query, QUERY.users[0]),
            "TWINLOG_QUERY_READER_URL": cluster.url(query, QUERY.users[1]),
            "TWINLOG_QUERY_OWNER_URL": cluster.url(query, QUERY.owner),
            "TWINLOG_VAULT_DATABASE_URL": cluster.url(vault, VAULT.users[0]),
            "TWINLOG_VAULT_OWNER_URL": cluster.url(vault, VAULT.owner),
            "TWINLOG_REDIS_URL": redis_url,
        }
        started = twinlog("up", "--data", str(data), "--detach", "--json", *ANY_PORTS, variables=variables)
        assert started.returncode == 0, started.stderr
        stack = Stack(**{**json.loads(started.stdout), "data": data})
        try:
            assert stack.pids().keys() == {"command", "query", "relay", "projector"}, "no embedded engine runs"
            urls = ("--command-url", stack.command_url, "--query-url", stack.query_url)
            told = twinlog("demo", *urls, "--json", variables={"TWINLOG_DATA": str(data)})
            assert told.returncode == 0, told.stderr
            summary = json.loads(told.stdout.splitlines()[-1])
            assert summary["ok"], summary["broken"]
            print(json.dumps(summary["figures"]))  # noqa: T201 - shown by `make test-docker`
        finally:
            stopped = twinlog("down", "--data", str(data), "--delete")
        assert stopped.returncode == 0, stopped.stderr
