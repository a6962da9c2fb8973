"""What every operator command of this service rests on: its services without an API, and values told in sentences."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError

from command_service.bootstrap import Services, bootstrap
from command_service.settings import Settings
from shared_kernel.process import EXIT_REFUSED
from shared_kernel.terminal import end

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]


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


def _faults(error: ValidationError) -> str:
    found = (("--" + "-".join(map(str, each["loc"])), each["msg"]) for each in error.errors())
    return "; ".join(f"{name.rstrip('-') or 'The value'}: {why.removeprefix('Value error, ')}" for name, why in found)
