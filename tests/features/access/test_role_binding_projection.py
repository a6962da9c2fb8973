"""Which roles a person holds follows from what was granted and withdrawn."""

from uuid import UUID

from query_service.features.access.projection import PROJECTION
from shared_kernel.events.access import RoleGranted, RoleWithdrawn
from tests.support.stories import ACTOR, NOON, given

USER = UUID("0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02")


def test_granted_role_is_a_binding_with_its_giver() -> None:
    given(RoleGranted(user_id=USER, role="auditor")).folded_by(PROJECTION).then(
        {"user_id": USER, "role": "auditor", "granted_by": ACTOR, "granted_at": NOON}
    )


def test_each_role_is_a_binding_of_its_own() -> None:
    story = given(RoleGranted(user_id=USER, role="admin"), RoleGranted(user_id=USER, role="operator"))
    story.folded_by(PROJECTION).then({"role": "admin"}, {"role": "operator"})


def test_withdrawn_role_leaves_nothing() -> None:
    story = given(RoleGranted(user_id=USER, role="admin"), RoleWithdrawn(user_id=USER, role="admin"))
    story.folded_by(PROJECTION).then_nothing()
