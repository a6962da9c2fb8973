"""A storm of refusals is one log line a minute, and every one of them in the metric."""

import pytest
import structlog
from structlog.testing import capture_logs

from shared_kernel.observability import Metrics
from shared_kernel.rates.storms import Storms


@pytest.mark.asvs("V16.3.3")
def test_storm_is_said_once_a_minute_with_how_many_it_was() -> None:
    now, metrics = [0.0], Metrics("test")
    storms = Storms(metrics, lambda: now[0])
    with capture_logs() as lines:
        structlog.get_logger("rates")
        for second in range(125):
            now[0] = float(second)
            storms.refused("user")
        storms.refused("address")
    assert [(line["quota"], line["refusals"]) for line in lines] == [
        ("user", 1),
        ("user", 60),
        ("user", 60),
        ("address", 1),
    ]
    assert b'twinlog_rate_limited_total{quota="user"} 125.0' in metrics.render()
