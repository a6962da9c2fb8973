"""What operators type about the write side; a new group is a line here."""

import typer

from command_service.cli.events import events
from command_service.cli.keys import keys
from command_service.cli.streams import streams
from command_service.cli.tenancy import tenants, users

app = typer.Typer(no_args_is_help=True)
app.add_typer(tenants, name="tenants")
app.add_typer(users, name="users")
app.add_typer(keys, name="keys")
app.add_typer(events, name="events")
app.add_typer(streams, name="streams")
