"""A log of many events in seconds: the database writes them itself, as the append function would have."""

import psycopg

_FILL = """
INSERT INTO events (position, tenant_seq, version, recorded_at, event_id, slot, payload_format, leaf_version,
    tenant, stream, topic, leaf_hash, metadata, payload)
SELECT n.position, n.tenant_seq, n.version, n.at, n.id, slot_v1(sha256(convert_to('default' || n.stream, 'UTF8'))),
    1, 1, 'default', n.stream, n.topic,
    leaf_hash_v1(n.position, 'default', n.tenant_seq, n.stream, n.version, n.topic, 1::smallint, n.id, n.at,
        n.metadata, n.payload),
    n.metadata, n.payload
FROM (
    SELECT h.head + g.n AS position, h.seq + g.n AS tenant_seq, {begun} + 1 + (g.n - 1) / {streams} AS version,
        h.at + g.n AS at, gen_random_uuid() AS id,
        'resources-' || md5('{name} ' || g.n % {streams})::uuid AS stream,
        CASE WHEN {begun} + g.n <= {streams} THEN 'resources.ResourceCreated.v1'
            ELSE 'resources.ResourceDetailsChanged.v1' END AS topic,
        convert_to('{{"actor":"019abcde-0000-7000-8000-000000000001","causation_id":null,'
            '"correlation_id":"019abcde-0000-7000-8000-000000000002","occurred_at":"2026-03-12T12:00:00.000000Z",'
            '"schema_version":1,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}}', 'UTF8') AS metadata,
        convert_to('{{"attributes":{{"number":' || g.n || '}},"classification":"internal",'
            '"description":"Somebody has described this in a few plain words.","name":"thing ' || g.n || '",'
            || CASE WHEN {begun} + g.n <= {streams} THEN '"owner":"019abcde-0000-7000-8000-000000000001",' ELSE '' END
            ||
            '"resource_id":"' || md5('{name} ' || g.n % {streams})::uuid || '","tags":["one","two"]}}', 'UTF8')
            AS payload
    FROM generate_series(1, {count}) g (n) CROSS JOIN (
        SELECT COALESCE(max(position), 0) AS head, COALESCE(max(tenant_seq), 0) AS seq,
            COALESCE(max(recorded_at), 1773316800000000) AS at FROM events) h) n
ORDER BY n.position
"""


def fill(owner_url: str, count: int, *, streams: int = 0, name: str = "resource", begun: int = 0) -> None:
    """Append `count` events of the tenant `default` to as many resources, or to `streams` of them in turn.

    Each resource is created and then changed again and again. Other names are other resources; with `begun` they have
    so many events already.
    """
    values = {"count": int(count), "streams": int(streams or count), "begun": int(begun), "name": name}
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(_FILL.format(**values).encode())
        connection.execute("VACUUM (ANALYZE) events")
