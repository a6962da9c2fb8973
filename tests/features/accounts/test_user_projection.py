"""A user's row follows from the events of the account."""

from uuid import UUID

import pytest

from query_service.features.accounts.projection import PROJECTION
from query_service.infrastructure.projection import RowMissing
from shared_kernel.events.accounts import (
    PasswordChanged,
    ProfileChanged,
    UserRegistered,
    UserReinstated,
    UserSuspended,
)
from shared_kernel.events.contract import ERASED
from tests.support.stories import NOON, TENANT, given

ID = UUID("0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02")
REGISTERED = UserRegistered(user_id=ID, email="ada@example.org", name="Ada", password_hash="$argon2id$x")
SUSPENDED = UserSuspended(user_id=ID, reason="left")


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
            "state": "active",
            "suspended_at": None,
            "suspension_reason": None,
        }
    )


def test_profile_and_suspension_follow_their_events() -> None:
    told = given(REGISTERED, ProfileChanged(user_id=ID, name="Ada King"), SUSPENDED)
    told.folded_by(PROJECTION).then(
        {"name": "Ada King", "state": "suspended", "suspended_at": NOON, "suspension_reason": "left", "version": 3}
    )
    told = given(REGISTERED, SUSPENDED, UserReinstated(user_id=ID))
    told.folded_by(PROJECTION).then({"state": "active", "suspended_at": None, "suspension_reason": None, "version": 3})


def test_changed_password_changes_the_version_alone() -> None:
    told = given(REGISTERED, PasswordChanged(user_id=ID, password_hash="$argon2id$y"))
    told.folded_by(PROJECTION).then({"version": 2, "name": "Ada", "state": "active"})


def test_change_of_an_account_that_never_began_parks_it() -> None:
    with pytest.raises(RowMissing):
        given(SUSPENDED).folded_by(PROJECTION)


def test_erased_person_is_projected_without_personal_values() -> None:
    registered = UserRegistered(user_id=ID, email=ERASED, name=ERASED, password_hash=ERASED)
    given(registered).folded_by(PROJECTION).then({"email": ERASED, "name": ERASED})


def test_every_personal_column_is_declared_for_erasure() -> None:
    assert set(PROJECTION.table.personal) == {"email", "name", "suspension_reason"}
    assert PROJECTION.table.subject == "id"
