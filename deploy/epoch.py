"""`twinlog epoch new`: after the log was restored from a backup, let it go on where nobody can mistake it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import psycopg
import typer
from psycopg import AsyncConnection
from redis.exceptions import RedisError

from command_service.infrastructure import schema as command_schema
from command_service.infrastructure.event_store.connections import open_connection
from command_service.relay.epochs import Sighting, begin_epoch, newest, seen_in_redis, standing
from deploy.doctor.surroundings import Surroundings, find
from deploy.local.commands import Data, Json, sentences
from shared_kernel import terminal
from shared_kernel.events.epochs import EpochBegun
from shared_kernel.messaging.client import redis_client
from shared_kernel.process import Unreachable, place_of

REDIS = "redis"
READ_MODELS = "read-models"
_CHECKPOINTS = "SELECT epoch, position FROM public.checkpoints ORDER BY epoch DESC, position DESC LIMIT 1"

epoch = typer.Typer(no_args_is_help=True, help="The epoch of the log, which a restore ends.")


@dataclass(frozen=True, slots=True)
class Where:
    """Everything that may know of a newer epoch than the restored log does."""

    owner_url: str
    redis_url: str | None
    query_url: str | None


@epoch.command()
def new(
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the log.")] = "restored from a backup",
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Do not ask `redis` or `read-models`: they are lost.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Begin a new epoch, one above the highest seen anywhere: the last step of restoring the log.

    The relay publishes again, read models let go of what was lost, tokens and cursors of before are refused.

    Example: twinlog epoch new --reason "backup of 12 March, disk failure"
    """
    with sentences(as_json=as_json):
        left_out = frozenset(without or ())
        if unknown := left_out - {REDIS, READ_MODELS}:
            raise typer.BadParameter(f"{', '.join(sorted(unknown))}: say {REDIS} or {READ_MODELS}.")
        begun, position, seen = asyncio.run(_begin(_where(find(data), left_out), reason))
    facts = {**begun.model_dump(), "position": position, "seen": [each.as_dict() for each in seen]}
    terminal.say(facts, as_json=as_json, sentence=_sentence(begun))


def _where(around: Surroundings, left_out: frozenset[str]) -> Where:
    """Raises Unreachable for what nobody has told us the way to."""
    owner = around.settings.owner.get("COMMAND_OWNER_URL")
    redis = None if REDIS in left_out else around.redis_url()
    query = None if READ_MODELS in left_out else around.settings.query.get("QUERY_DATABASE_URL")
    if owner is None:
        raise Unreachable("Only the owner of the log raises its epoch: set TWINLOG_COMMAND_OWNER_URL.")
    if redis is None and REDIS not in left_out:
        raise Unreachable(f"No Redis is known: set TWINLOG_REDIS_URL, or say --without {REDIS}.")
    if query is None and READ_MODELS not in left_out:
        raise Unreachable(f"No read models are known: set TWINLOG_QUERY_DATABASE_URL, or say --without {READ_MODELS}.")
    return Where(owner, redis, query)


async def _begin(where: Where, reason: str) -> tuple[EpochBegun, int, Sequence[Sighting]]:
    async with await open_connection(where.owner_url) as connection:
        await command_schema.check(connection)
        held, partitions, head, _ = await standing(connection)
    seen = [
        Sighting("log", held, head),
        *(await _in_redis(where.redis_url, partitions) if where.redis_url else ()),
        *(await _in_read_models(where.query_url) if where.query_url else ()),
    ]
    begun, position = await begin_epoch(where.owner_url, seen, reason)
    return begun, position, seen


async def _in_redis(url: str, partitions: int) -> Sequence[Sighting]:
    try:
        async with redis_client(url) as client:
            return await seen_in_redis(client, partitions)
    except (RedisError, OSError) as error:
        raise Unreachable(
            f"Redis at {place_of(url)} cannot be asked for the epoch it knows ({type(error).__name__}): "
            f"start it, or say --without {REDIS} if it is lost."
        ) from error


async def _in_read_models(url: str) -> Sequence[Sighting]:
    try:
        async with await AsyncConnection.connect(url, autocommit=True, connect_timeout=5) as connection:
            found = await (await connection.execute(_CHECKPOINTS)).fetchone()
    except psycopg.Error as error:
        raise Unreachable(
            f"The read models at {place_of(url)} cannot be asked for the epoch they know ({type(error).__name__}): "
            f"start their database, or say --without {READ_MODELS} if it is lost."
        ) from error
    return newest("checkpoints of the read models", [found] if found else [])


def _sentence(begun: EpochBegun) -> str:
    lost = max(0, begun.seen_upto - begun.restored_to)
    return (
        f"Epoch {begun.epoch} begins after position {begun.restored_to}; epoch {begun.followed} was seen up to "
        f"{begun.seen_upto}" + (f": {lost} positions are lost." if lost else ", so nothing is known to be lost.")
    )
