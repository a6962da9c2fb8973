"""Everything that can be checked about read models at once: sums, the audit copy, and rows."""

from collections.abc import Sequence

from query_service.infrastructure.projection import Projection
from query_service.projector import generations
from query_service.projector.auditing import SNAPSHOT, Finding, LogSide, held_against_the_log, standings
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.decoding import Decoder
from query_service.projector.replaying import compare_rows, inspect_copy
from query_service.projector.shift import Tools


async def verify_sums(tools: Tools) -> Sequence[Finding]:
    """Whether everything that was handled adds up to the log. Raises FeedUnavailable."""
    async with tools.pool.connection() as connection, connection.transaction():
        await connection.execute(SNAPSHOT)
        found = await standings(connection, [projection.name for projection in tools.projections])
    return await held_against_the_log(found, LogSide(tools.feed))


async def verify_rows(tools: Tools, decoder: Decoder, projection: Projection, partition: int) -> Sequence[Finding]:
    """Whether the live rows of one partition are what its events make. Raises ServiceUnavailable."""
    async with tools.pool.connection() as connection, connection.transaction():
        await connection.execute(SNAPSHOT)
        _, partitions = await generations.installed(connection) or (0, 0)
        known = (await generations.registered(connection)).get(projection.name)
        if known is None or projection.version != known.version:
            return []  # rows of another version of the folds; a rebuild is due anyway
        unit = Unit(projection.name, known.active)
        return await compare_rows(connection, decoder, projection, unit, partition, partitions=partitions)


async def verify_copy(tools: Tools, partition: int) -> Sequence[Finding]:
    """Whether the audit copy of one partition holds every event as it was written. Raises FeedUnavailable."""
    head = (await tools.feed.facts()).head
    log = [position for position, _ in await LogSide(tools.feed).terms(partition, 0, head)]
    async with tools.pool.connection() as connection, connection.transaction():
        await connection.execute(SNAPSHOT)
        _, partitions = await generations.installed(connection) or (0, 0)
        return await inspect_copy(connection, partition, partitions, log, head)


async def verify_all(tools: Tools, decoder: Decoder, chosen: Sequence[Projection]) -> Sequence[Finding]:
    """Every check for these projections; the findings in order of position. Raises what the checks raise."""
    names = {LOG.projection, *(projection.name for projection in chosen)}
    found = [each for each in await verify_sums(tools) if each.projection in names]
    async with tools.pool.connection() as connection:
        _, partitions = await generations.installed(connection) or (0, 0)
    for partition in range(partitions):
        found += await verify_copy(tools, partition)
        for projection in chosen:
            found += await verify_rows(tools, decoder, projection, partition)
    return sorted(found, key=first_known)


def first_known(finding: Finding) -> tuple[bool, int]:
    """Findings in the order of their positions, those without one at the end."""
    return finding.position is None, finding.position or 0
