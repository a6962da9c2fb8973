"""Tenants and users from the command line: `twinlog tenants create`, `twinlog users create-admin`."""

import asyncio
import sys
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer
from pydantic import SecretStr, TypeAdapter

from command_service.bootstrap import Services
from command_service.cli.services import Json, refusing_values, with_services
from command_service.features.access.commands import ChangeSecondFactor, CreateTenant, GrantRole, Role, TenantSlug
from command_service.features.accounts.commands import Registration
from command_service.infrastructure.call import DEFAULT_TENANT, Call
from command_service.settings import load
from shared_kernel.terminal import say, sentences

Email = Annotated[str, typer.Option("--email", help="The address that the user signs in with.")]
OfTenant = Annotated[str, typer.Option("--tenant", help="The user's tenant.")]

tenants = typer.Typer(no_args_is_help=True, help="Tenants: worlds of their own for users and what they own.")
users = typer.Typer(no_args_is_help=True, help="Users, as far as operators make them.")


class SecondFactorRule(StrEnum):
    """What a tenant asks of whoever signs in."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@tenants.command()
def create(
    slug: Annotated[str, typer.Argument(help="Its name in addresses.")],
    *,
    invitation_only: Annotated[
        bool, typer.Option("--invitation-only", help="Let nobody register without an invitation of its admins.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create a tenant; its admins may change later who registers in it.

    Example: twinlog tenants create acme --invitation-only
    """
    with sentences(as_json=as_json), refusing_values(as_json=as_json):
        command = CreateTenant(TypeAdapter(TenantSlug).validate_python(slug), invitation_only)
        asyncio.run(with_services(load(), lambda services: _create_tenant(services, command)))
        say({"tenant": slug}, as_json=as_json, sentence=f"The tenant {slug} is created.")


@tenants.command("second-factor")
def second_factor(
    slug: Annotated[str, typer.Argument(help="Its name in addresses.")],
    rule: Annotated[
        SecondFactorRule, typer.Argument(help="Whether whoever signs in without a second factor holds any role.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Let roles count in a tenant only for whoever signs in with a second factor, or for everybody again.

    Example: twinlog tenants second-factor acme required
    """
    with sentences(as_json=as_json), refusing_values(as_json=as_json):
        command = ChangeSecondFactor(rule is SecondFactorRule.REQUIRED)
        tenant = TypeAdapter(TenantSlug).validate_python(slug)
        asyncio.run(with_services(load(), lambda services: _change_second_factor(services, tenant, command)))
        sentence = f"From the next token on a second factor is {rule.value} in {slug}."
        say({"tenant": slug, "second_factor": rule.value}, as_json=as_json, sentence=sentence)


@users.command("create-admin")
def create_admin(
    *,
    email: Email,
    tenant: OfTenant = DEFAULT_TENANT,
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


@users.command("reset-password")
def reset_password(
    *,
    email: Email,
    tenant: OfTenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Make a code with which a user who forgot the password chooses another one: once, within an hour.

    Find out first that it is really this user who asks, and hand the code over on a way that you trust. A second factor
    is asked for all the same.

    Example: twinlog users reset-password --tenant acme --email ada@example.com
    """
    with sentences(as_json=as_json), refusing_values(as_json=as_json):
        code = asyncio.run(with_services(load(), lambda services: _offer_reset(services, tenant, email)))
        sentence = f"Within an hour this code counts as the password, together with a new_password: {code}"
        say({"tenant": tenant, "code": code}, as_json=as_json, sentence=sentence)


@users.command("remove-second-factor")
def remove_second_factor(
    *,
    email: Email,
    tenant: OfTenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Take away the second factor of a user who lost it and all recovery codes. Their sessions end.

    Find out first that it is really this user who asks, as surely as when they were let in.

    Example: twinlog users remove-second-factor --tenant acme --email ada@example.com
    """
    with sentences(as_json=as_json), refusing_values(as_json=as_json):
        changed = asyncio.run(with_services(load(), lambda services: _remove_factor(services, tenant, email)))
        sentence = "The second factor is removed." if changed else "There was no second factor."
        say({"tenant": tenant, "changed": changed}, as_json=as_json, sentence=sentence)


async def _offer_reset(services: Services, tenant: str, email: str) -> str:
    return await services.credentials.offer_reset(tenant, email, Call.of_system(tenant, "cli"))


async def _remove_factor(services: Services, tenant: str, email: str) -> bool:
    user_id = await services.credentials.user_of(tenant, email)
    return bool((await services.totp.remove_of(user_id, Call.of_system(tenant, "cli"))).events)


async def _create_tenant(services: Services, command: CreateTenant) -> None:
    await services.access.create_tenant(command, Call.of_system(command.slug, "cli"))


async def _change_second_factor(services: Services, tenant: str, command: ChangeSecondFactor) -> None:
    await services.access.change_second_factor(command, Call.of_system(tenant, "cli"))


async def _make_admin(services: Services, tenant: str, registration: Registration) -> str:
    call = Call.of_system(tenant, "cli")
    user_id = (await services.accounts.register(registration, call, invited=True)).id
    await services.access.grant(GrantRole(UUID(user_id), Role.ADMIN), call)
    return user_id
