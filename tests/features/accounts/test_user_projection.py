"""A user's row follows from the events of the account."""

from uuid import UUID

from query_service.features.accounts.projection import PROJECTION
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.contract import ERASED
from tests.support.stories import NOON, TENANT, given

ID = UUID("0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02")


def test_registered_user_is_known_by_address_and_name_and_nothing_secret() -> None:
    registered = UserRegistered(user_id=ID, email="ada@example.org", name="Ada", password_hash="$argon2id$x")
    given(registered).folded_by(PROJECTION).then(
        {
            "tenant": TENANT,
            "id": ID,
            "version": 1,
            "created_position": 1,
            "email": "ada@example.org",
            "name": "Ada",
            "created_at": NOON,
            "updated_at": NOON,
        }
    )


def test_erased_person_is_projected_without_personal_values() -> None:
    registered = UserRegistered(user_id=ID, email=ERASED, name=ERASED, password_hash=ERASED)
    given(registered).folded_by(PROJECTION).then({"email": ERASED, "name": ERASED})


def test_every_personal_column_is_declared_for_erasure() -> None:
    assert set(PROJECTION.table.personal) == {"email", "name"}
    assert PROJECTION.table.subject == "id"
