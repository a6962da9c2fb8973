"""The documented format, by Python, by SQL and by a program that shares nothing with either."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shared_kernel.events.leaf import DOMAIN, LEAF_VERSION, leaf_hash
from shared_kernel.messaging.partition import slot_of
from tests.support.cluster import Database

DOCUMENTS = Path(__file__).parents[3] / "docs" / "architecture"
VECTORS_FILE = DOCUMENTS / "log-format.vectors.json"
DOCUMENT = json.loads(VECTORS_FILE.read_text("utf-8"))
VECTORS: list[dict[str, Any]] = DOCUMENT["vectors"]
HASHED = ("position", "tenant", "tenant_seq", "stream", "version", "topic", "payload_format", "event_id", "recorded_at")


def every_vector() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", VECTORS, ids=[vector["about"] for vector in VECTORS])


def test_vectors_are_of_the_version_that_is_written() -> None:
    assert (DOCUMENT["format"].encode(), DOCUMENT["leaf_version"]) == (DOMAIN, LEAF_VERSION)


@every_vector()
def test_python_reproduces_the_vector(vector: dict[str, Any]) -> None:
    fields: dict[str, Any] = {name: vector[name] for name in HASHED} | {"event_id": UUID(vector["event_id"])}
    contents: dict[str, Any] = {name: bytes.fromhex(vector[name]) for name in ("metadata", "payload")}
    assert leaf_hash(**fields, **contents).hex() == vector["leaf_hash"]
    assert slot_of(vector["tenant"], vector["stream"]) == vector["slot"]


def test_sql_reproduces_all_vectors(command_database: Database) -> None:
    with psycopg.connect(command_database.app_url) as connection:
        for vector in VECTORS:
            parameters = vector | {name: bytes.fromhex(vector[name]) for name in ("metadata", "payload")}
            computed = connection.execute(
                """
                SELECT leaf_hash_v1(%(position)s::bigint, %(tenant)s, %(tenant_seq)s::bigint, %(stream)s,
                    %(version)s::bigint, %(topic)s, %(payload_format)s::smallint, %(event_id)s::uuid,
                    %(recorded_at)s::bigint, %(metadata)s::bytea, %(payload)s::bytea) AS leaf_hash,
                    slot_v1(sha256(convert_to(%(tenant)s::text || %(stream)s::text, 'UTF8'))) AS slot
                """,
                parameters,
            ).fetchone()
            assert computed == (bytes.fromhex(vector["leaf_hash"]), vector["slot"]), vector["about"]


def independent(vectors: Path) -> subprocess.CompletedProcess[str]:
    perl = shutil.which("perl")
    if perl is None:
        pytest.skip("there is no Perl here, which git brings along on most systems")
    return subprocess.run(
        [perl, DOCUMENTS / "log-format.verify.pl", vectors], capture_output=True, text=True, check=False
    )


def test_independent_program_reproduces_all_vectors() -> None:
    done = independent(VECTORS_FILE)
    assert (done.returncode, done.stdout) == (0, f"{len(VECTORS)} vectors hold\n"), done.stderr


@pytest.mark.parametrize(("name", "value"), [("version", 2), ("stream", "other"), ("payload", "00"), ("slot", 7)])
def test_independent_program_names_a_vector_that_does_not_hold(tmp_path: Path, name: str, value: object) -> None:
    tampered = json.loads(VECTORS_FILE.read_text("utf-8"))
    tampered["vectors"][3][name] = value
    (tmp_path / "vectors.json").write_text(json.dumps(tampered))
    done = independent(tmp_path / "vectors.json")
    assert done.returncode != 0
    assert "vector 4 (the largest numbers)" in done.stderr


def test_bytes_written_out_in_the_document_are_the_first_vector() -> None:
    text = (DOCUMENTS / "log-format.md").read_text("utf-8")
    (block,) = re.findall(r"```\n(00\n.*?)```", text, re.DOTALL)
    assert hashlib.sha256(bytes.fromhex(re.sub(r"\s", "", block))).hexdigest() == VECTORS[0]["leaf_hash"]
    assert VECTORS[0]["leaf_hash"] in text
