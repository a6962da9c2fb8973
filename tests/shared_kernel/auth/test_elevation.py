"""Fresh proof counts for five minutes, and nothing else counts as fresh proof."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared_kernel.auth.elevation import ELEVATED, StepUp, StepUpRequired, require_elevation
from shared_kernel.auth.principal import Principal

NOW = datetime(2026, 3, 12, 12, tzinfo=UTC)


def caller(acr: str, age: float) -> Principal:
    return Principal(UUID(int=1), "acme", UUID(int=2), (), acr, int((NOW - timedelta(seconds=age)).timestamp()))


@pytest.mark.parametrize("age", [-1, 0, 1, 299])
@pytest.mark.parametrize("acr", ["aal1", "aal2", ELEVATED])
def test_sign_in_or_step_up_of_the_last_five_minutes_is_recent(acr: str, age: float) -> None:
    require_elevation(caller(acr, age), StepUp.RECENT, NOW)


@pytest.mark.parametrize("age", [-1, 0, 1, 299])
def test_step_up_of_the_last_five_minutes_always_counts(age: float) -> None:
    require_elevation(caller(ELEVATED, age), StepUp.ALWAYS, NOW)


@pytest.mark.asvs("V10.3.4")
@pytest.mark.parametrize(
    ("step_up", "acr", "age"),
    [
        *((step_up, ELEVATED, age) for step_up in StepUp for age in (300, 3600, -2)),
        *((StepUp.RECENT, acr, age) for acr in ("aal1", "aal2") for age in (300, 3600, -2)),
        *((StepUp.ALWAYS, acr, age) for acr in ("aal1", "aal2", "") for age in (0, 300)),
    ],
)
def test_old_future_or_weaker_proof_is_challenged(step_up: StepUp, acr: str, age: float) -> None:
    with pytest.raises(StepUpRequired) as required:
        require_elevation(caller(acr, age), step_up, NOW)
    assert (required.value.status, required.value.code()) == (401, "step-up-required")
    challenge = required.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication"')
    assert challenge.endswith('acr_values="elevated", max_age="300"')
