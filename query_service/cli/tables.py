"""What people see of read models on a terminal."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.table import Table

from query_service.cli.running import table_of
from query_service.infrastructure.rebuilds import RebuildProgress
from query_service.projector.diff import Difference
from query_service.projector.overview import Overview


def status_table(found: Sequence[Overview]) -> Table:
    columns = ("name", "live", "version", "horizon", "lag", "seconds", "shadow", "its lag", "parked")
    table = table_of("Read models", *columns)
    for each in found:
        version = f"{each.version} (rebuild due)" if each.rebuild_due else str(each.version)
        cells = (each.horizon, each.lag, each.lag_seconds, each.shadow, each.shadow_lag, each.parked)
        table.add_row(each.name, each.active, version, *("-" if cell is None else str(cell) for cell in cells))
    return table


def rebuilds_table(found: Sequence[RebuildProgress]) -> Table:
    table = table_of("Rebuilds under way", "name", "into", "state", "events", "per second", "time left", "reason")
    for each in found:
        left = "-" if each.seconds_left is None else str(timedelta(seconds=round(each.seconds_left)))
        events, rate = f"{each.done:,} of {each.total:,}", f"{each.per_second:,.0f}"
        table.add_row(each.projection, each.generation, each.state, events, rate, left, each.reason)
    return table


def diff_table(found: Mapping[str, Difference]) -> Table:
    table = table_of("Rebuilt against live", "name", "rows", "missing", "unexpected", "different", "first")
    for name, each in found.items():
        first = "; ".join("/".join(key) for key in each.first[:3])
        table.add_row(name, *map(str, (each.rows, each.missing, each.unexpected, each.different)), first)
    return table
