"""The tenants' policies as the log has them, read along with ended sessions."""

from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import args_row

from shared_kernel.auth.tenant_policies import TenantPolicies, news_of
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.policies import TOPICS
from shared_kernel.privacy.payload import PayloadCodec

_POLICIES = sql.SQL(
    "SELECT {columns} FROM events WHERE topic IN ({topics}) AND position > %s ORDER BY position"
).format(
    columns=sql.SQL(", ").join(sql.Identifier(name) for name in StoredRow._fields),
    topics=sql.SQL(", ").join(sql.Literal(topic) for topic in TOPICS),  # literally, as in the index made for it
)


class PolicyReader:
    """Keeps `known` equal to the log."""

    def __init__(self, known: TenantPolicies, codec: PayloadCodec) -> None:
        self.known = known
        self._codec = codec

    async def read(self, connection: AsyncConnection[Any], *, anew: bool) -> None:
        """Learn what is new, or everything. Raises psycopg.Error."""
        async with connection.cursor(row_factory=args_row(StoredRow)) as cursor:
            await cursor.execute(_POLICIES, (0 if anew else self.known.position,))
            rows = await cursor.fetchall()
        self.known.learn([news_of(self._codec.decode(row, None)) for row in rows], anew=anew)
