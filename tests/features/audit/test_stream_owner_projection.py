"""Who owns a stream, and so may read its history, follows from its first event."""

from datetime import timedelta
from uuid import UUID

import pytest

from query_service.features.audit.projection import PROJECTION
from shared_kernel.events.access import RoleGranted
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.contract import Event
from shared_kernel.events.resources import ResourceCreated
from shared_kernel.events.sessions import SessionStarted
from tests.support.stories import NOON, TENANT, given

USER = UUID("0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02")
OTHER = UUID("0197d3a6-0b7d-7c19-8a5e-6d8a5f0e2b43")


@pytest.mark.parametrize(
    ("stream", "event"),
    [
        (f"users-{USER}", UserRegistered(user_id=USER, email="a@b.c", name="A", password_hash="x")),
        (f"roles-{USER}", RoleGranted(user_id=USER, role="admin")),
        (
            f"sessions-{OTHER}",
            SessionStarted(session_id=OTHER, user_id=USER, methods=("pwd",), expires_at=NOON + timedelta(hours=1)),
        ),
        (
            f"resources-{OTHER}",
            ResourceCreated(
                resource_id=OTHER, owner=USER, name="n", description="", classification="public", attributes={}, tags=()
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_stream_concerns_its_person_or_the_owner_of_its_object(stream: str, event: Event) -> None:
    given(event).in_stream(stream).folded_by(PROJECTION).then({"tenant": TENANT, "stream": stream, "owner": USER})
