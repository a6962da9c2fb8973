"""What a page of the log looks like, and the table that says whom a stream concerns."""

from query_service.infrastructure.projection import Table

STREAM_OWNERS = Table(
    name="stream_owners",
    key=("tenant", "stream"),
    columns={"tenant": "text", "stream": "text", "owner": "uuid"},
)
