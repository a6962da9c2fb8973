"""The slot of a stream and the leaf hash of an event, as docs/architecture/log-format.md has them.

They are STABLE where `convert_to` makes them so: a function that claims more than what it calls is not inlined.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

SLOT = """
CREATE FUNCTION slot_v1(stream_hash bytea) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((get_byte(stream_hash, 2) & 3) * 256 + get_byte(stream_hash, 3))::smallint
"""

LEAF_HASH = r"""
CREATE FUNCTION leaf_hash_v1(
    at_position bigint, tenant text, tenant_seq bigint, stream text, version bigint, topic text,
    payload_format smallint, event_id uuid, recorded_at bigint, metadata bytea, payload bytea
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(
    '\x007477696e6c6f672f6576656e742f7631'::bytea
    || '\x00000008'::bytea || int8send(at_position)
    || int4send(octet_length(tenant)) || convert_to(tenant, 'UTF8')
    || '\x00000008'::bytea || int8send(tenant_seq)
    || int4send(octet_length(stream)) || convert_to(stream, 'UTF8')
    || '\x00000008'::bytea || int8send(version)
    || int4send(octet_length(topic)) || convert_to(topic, 'UTF8')
    || '\x00000002'::bytea || int2send(payload_format)
    || '\x00000010'::bytea || uuid_send(event_id)
    || '\x00000008'::bytea || int8send(recorded_at)
    || '\x00000020'::bytea || sha256(metadata)
    || '\x00000020'::bytea || sha256(payload))
"""


def upgrade() -> None:
    for statement in (SLOT, LEAF_HASH):
        op.execute(statement)
