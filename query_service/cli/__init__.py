"""What operators type about read models: `twinlog projections ...`, `twinlog parked ...`."""

import typer

from query_service.cli.parked import parked
from query_service.cli.projections import projections

app = typer.Typer(no_args_is_help=True)
app.add_typer(projections, name="projections")
app.add_typer(parked, name="parked")
