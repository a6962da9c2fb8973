"""Fresh proof counts for five minutes, and nothing else counts as fresh proof."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared_kernel.auth.elevation import ELEVATED, StepUpRequired, require_elevation
from shared_kernel.auth.principal import Principal

NOW = datetime(2026, 3, 12, 12, tzinfo=UTC)


def caller(acr: str, age: float) -> Principal:
    return Principal(UUID(int=1), "acme", UUID(int=2), (), acr, int((NOW - timedelta(seconds=age)).timestamp()))


@pytest.mark.parametrize("age", [0, 1, 299])
def test_fresh_proof_is_enough(age: float) -> None:
    require_elevation(caller(ELEVATED, age), NOW)


@pytest.mark.parametrize(
    ("acr", "age"), [(ELEVATED, 300), (ELEVATED, 3600), (ELEVATED, -1), ("aal1", 0), ("aal2", 0), ("", 0)]
)
def test_old_future_or_weaker_proof_is_challenged(acr: str, age: float) -> None:
    with pytest.raises(StepUpRequired) as required:
        require_elevation(caller(acr, age), NOW)
    assert (required.value.status, required.value.code()) == (401, "step-up-required")
    challenge = required.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication"')
    assert challenge.endswith('acr_values="elevated", max_age="300"')
