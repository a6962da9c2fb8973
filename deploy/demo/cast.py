"""Who plays in the story: two tenants, an admin, three people of the first tenant, a neighbour in the second."""

import secrets
from dataclasses import dataclass, field

from deploy.demo.operator import Operator
from deploy.demo.story import Story
from deploy.demo.visitor import Visitor

_PEOPLE = ("Ada Lovelace", "Grace Hopper", "Katherine Johnson")
_NEIGHBOUR = "Konrad Zuse"


@dataclass
class Cast:
    """Everybody, signed in. A run has its own tenants, so the story can be played again on the same stack."""

    admin: Visitor
    people: list[Visitor] = field(default_factory=list)
    neighbour: Visitor | None = None

    @property
    def author(self) -> Visitor:
        """The person whose resources the story changes."""
        return self.people[0]

    @property
    def colleague(self) -> Visitor:
        """A person of the same tenant who owns other resources."""
        return self.people[1]


async def assemble(story: Story, operator: Operator, stranger: Visitor) -> Cast:
    """Create the tenants and the admin on the command line, register and sign in everybody else over REST."""
    run = secrets.token_hex(3)
    home, next_door = f"acme-{run}", f"globex-{run}"
    story.chapter("Two tenants and their people")
    for slug in (home, next_door):
        await operator.create_tenant(slug)
    admin = _visitor("The admin", stranger)
    address, password = f"admin@{home}.example", _password()
    await operator.create_admin(home, address, password)
    signed_in = await admin.sign_in(home, address, password)
    story.expect(f"the admin of {home} signs in", signed_in.status_code == 200, signed_in.text)
    cast = Cast(admin)
    for name in _PEOPLE:
        cast.people.append(await _join(story, name, home, stranger))
    cast.neighbour = await _join(story, _NEIGHBOUR, next_door, stranger)
    return cast


async def _join(story: Story, name: str, tenant: str, stranger: Visitor) -> Visitor:
    visitor = _visitor(name, stranger)
    address, password = f"{name.split(maxsplit=1)[0].lower()}@{tenant}.example", _password()
    registered = await visitor.register(tenant, address, password)
    story.expect(f"{name} registers in {tenant}", registered.status_code == 201, registered.text)
    signed_in = await visitor.sign_in(tenant, address, password)
    story.expect(f"{name} signs in", signed_in.status_code == 200, signed_in.text)
    return visitor


def _visitor(name: str, like: Visitor) -> Visitor:
    return Visitor(name, like.http, like.command_url, like.query_url, like.timings)


def _password() -> str:
    return secrets.token_urlsafe(18)
