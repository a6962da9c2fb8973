"""The ways of ordering a log do what the decision says of them: order for all, and who stalls behind a transaction."""

import asyncio
import json
from pathlib import Path

import psycopg
import pytest

from tests.benchmarks.ordering import main
from tests.benchmarks.orders import ORDERS, GroupCommit, Order, SnapshotHorizon
from tests.support.cluster import Cluster


async def appended(order: Order) -> None:
    async with order:
        await order.append(0)


@pytest.mark.parametrize(("kind", "seen"), [(SnapshotHorizon, 0), (GroupCommit, 1)], ids=["horizon", "ours"])
def test_transaction_elsewhere_keeps_events_from_readers_of_a_horizon_only(
    cluster: Cluster, empty_database: str, kind: type[Order], seen: int
) -> None:
    kind.install(empty_database)
    with psycopg.connect(cluster.server_url) as elsewhere, psycopg.connect(empty_database, autocommit=True) as reader:
        elsewhere.execute("SELECT pg_current_xact_id() AS mine")
        order = kind(empty_database, 1)
        asyncio.run(appended(order))
        ids, bookmark = order.read(reader, ())
        assert len(ids) == seen
        elsewhere.commit()
        assert len(ids) + len(order.read(reader, bookmark)[0]) == 1


@pytest.mark.integration
def test_short_run_reports_every_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seconds", "0.2", "--rounds", "1", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "ordering.json").read_text())
    assert list(report["figures"]) == list(ORDERS)
    for figures in report["figures"].values():
        assert all(rate > 0 for rate in figures["appends_per_second"].values())
        assert figures["visible"]["lost"] == figures["visible_beside_a_long_transaction"]["lost"] == 0
    assert report["settings"]["fsync"] == "on"
    assert set(report["group_commit_against"]) == set(ORDERS) - {"group commit"}
    assert "One order for all readers" in capsys.readouterr().out
