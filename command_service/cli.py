"""What operators type about tenants and users: `twinlog tenants create`, `twinlog users create-admin`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar
from uuid import UUID

import typer
from pydantic import SecretStr, TypeAdapter, ValidationError

from command_service.bootstrap import Services, bootstrap
from command_service.features.access.commands import CreateTenant, GrantRole, Role, TenantSlug
from command_service.features.accounts.commands import Registration
from command_service.infrastructure.call import DEFAULT_TENANT, Call
from command_service.settings import Settings, load
from shared_kernel.process import EXIT_REFUSED
from shared_kernel.terminal import end, say, sentences

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True)
tenants = typer.Typer(no_args_is_help=True, help="Tenants: worlds of their own for users and what they own.")
users = typer.Typer(no_args_is_help=True, help="Users, as far as operators make them.")
app.add_typer(tenants, name="tenants")
app.add_typer(users, name="users")

Json = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]


@tenants.command()
def create(slug: Annotated[str, typer.Argument(help="Its name in addresses.")], *, as_json: Json = False) -> None:
    """Create a tenant.

    Example: twinlog tenants create acme
    """
    with sentences(as_json=as_json), refusing_values(as_json=as_json):
        command = CreateTenant(TypeAdapter(TenantSlug).validate_python(slug))
        asyncio.run(with_services(load(), lambda services: _create_tenant(services, command)))
        say({"tenant": slug}, as_json=as_json, sentence=f"The tenant {slug} is created.")


@users.command("create-admin")
def create_admin(
    *,
    email: Annotated[str, typer.Option("--email", help="The address the admin signs in with.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The admin's tenant.")] = DEFAULT_TENANT,
    name: Annotated[str, typer.Option("--name", help="What the admin is called.")] = "Administrator",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Register a user who is an admin of a tenant.

    Example: twinlog users create-admin --tenant acme --email ada@example.com --password-stdin < password.txt
    """
    with sentences(as_json=as_json), refusing_values(as_json=as_json):
        password = (
            sys.stdin.readline().rstrip("\r\n")
            if password_stdin
            else typer.prompt("Password", hide_input=True, err=True)
        )
        registration = Registration(email=email, password=SecretStr(password), name=name)
        user_id = asyncio.run(with_services(load(), lambda services: _make_admin(services, tenant, registration)))
        sentence = f"{registration.email} is an admin of {tenant}."
        say({"tenant": tenant, "user_id": user_id}, as_json=as_json, sentence=sentence)


def ensure_default_tenant(settings: Settings) -> None:
    """Create the tenant `default` unless it is there, as the command service itself does when it starts."""

    async def nothing_else(_: Services) -> None:
        """Starting is enough."""

    asyncio.run(with_services(settings, nothing_else))


async def with_services(settings: Settings, use: Callable[[Services], Awaitable[T]]) -> T:
    """Run something against the command service's stores; the service itself need not be running."""
    services = bootstrap(settings)
    async with services.running():
        return await use(services)


@contextmanager
def refusing_values(*, as_json: bool) -> Iterator[None]:
    """Turn a value that is not acceptable into a sentence; the value itself is not repeated."""
    try:
        yield
    except ValidationError as error:
        end("validation-failed", _faults(error), EXIT_REFUSED, as_json=as_json)


async def _create_tenant(services: Services, command: CreateTenant) -> None:
    await services.access.create_tenant(command, Call.of_system(command.slug, "cli"))


async def _make_admin(services: Services, tenant: str, registration: Registration) -> str:
    call = Call.of_system(tenant, "cli")
    user_id = (await services.accounts.register(registration, call)).id
    await services.access.grant(GrantRole(UUID(user_id), Role.ADMIN), call)
    return user_id


def _faults(error: ValidationError) -> str:
    found = (("--" + "-".join(map(str, each["loc"])), each["msg"]) for each in error.errors())
    return "; ".join(f"{name.rstrip('-') or 'The value'}: {why.removeprefix('Value error, ')}" for name, why in found)
