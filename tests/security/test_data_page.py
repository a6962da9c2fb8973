"""The page about data: every sealed field, personal column and claim is in its class there, and none is missing."""

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from query_service.features import PROJECTIONS
from shared_kernel.auth.claims import encode
from shared_kernel.auth.principal import Principal
from shared_kernel.events.contract import Event
from shared_kernel.events.registry import registry
from tests.security.reading import rows, section, text_of

PAGE = text_of("data.md")


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.mark.asvs("V14.1.1")
def test_every_sealed_field_is_classified() -> None:
    told = {
        cells[0].strip("`"): (words(cells[1]), words(cells[2]))
        for cells in rows(section(PAGE, "Sealed fields of events"))
    }
    classes: list[type[Event]] = list(registry().by_topic.values())
    assert told == {
        event.TOPIC: (set(event.personal_fields()) - set(event.credential_fields()), set(event.credential_fields()))
        for event in classes
        if event.personal_fields()
    }


@pytest.mark.asvs("V14.1.1")
def test_every_personal_column_is_classified() -> None:
    told = {cells[0].strip("`"): words(cells[1]) for cells in rows(section(PAGE, "Personal columns of read models"))}
    tables = [projection.table for projection in PROJECTIONS]
    assert told == {table.name: set(table.personal) for table in tables if table.personal}


@pytest.mark.asvs("V14.1.1")
def test_what_a_token_shows_to_whoever_has_it_is_told() -> None:
    principal = Principal(uuid4(), "acme", uuid4(), ("member",), "aal1", 0)
    claims = encode(principal, issuer="x", audience="y", jti="z", now=datetime.now(UTC), lifetime=600)
    assert words(section(PAGE, "What only looks secret")) == claims.keys()


@pytest.mark.asvs("V14.1.2")
def test_every_class_has_its_protection() -> None:
    classes = [cells[0] for cells in rows(section(PAGE, "Classes"))]
    lines = [line for line in section(PAGE, "Protection").splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0].strip("|").split("|")][1:] == classes
    kinds = {"who reads it", "how long", "against change", "in log lines, metrics, traces", "in read models"}
    told = {cells[0]: cells[1:] for cells in rows(section(PAGE, "Protection"))}
    assert kinds <= told.keys()
    assert all(len(cells) == len(classes) and all(cells) for cells in told.values())
