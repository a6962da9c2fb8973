"""The HTTP bench measures: every contestant answers its load, and the report tells rates and processor time."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.http import Http
from tests.benchmarks.http_client import Load

LOAD = Load("127.0.0.1", 80, "GET", ["/a", "/b"], ["one", "two"], expect=200, pid=0, connections=2)


@pytest.mark.long
def test_short_run_reports_every_contestant(tmp_path: Path) -> None:
    main(["--section", "http", "--seconds", "0.5", "--rounds", "1", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "bench-http.json").read_text())
    judged = {name for demand in Http.demands for name in (demand.ours, demand.theirs)}
    assert set(report["figures"]) == judged
    assert all(figures["per_second"] > 0 and figures["cpu_us"] > 0 for figures in report["figures"].values())
    assert len(report["ratios"]) == len(Http.demands)


def test_connections_share_tokens_and_paths_evenly_and_each_request_has_room_for_its_key() -> None:
    (first, tail), (second, _) = LOAD.requests(0)
    assert first.startswith(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAuthorization: Bearer one\r\n")
    assert first.endswith(b"Idempotency-Key: ")
    assert tail == b"\r\n\r\n"
    assert second.startswith(b"GET /b ")
    assert LOAD.requests(1)[0][0].startswith(b"GET /b HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAuthorization: Bearer two")
