"""The rules of a second factor, told as given / when / then; the codes are those of RFC 6238, appendix B."""

from base64 import b32encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from command_service.features.sessions.commands import ActivateTotp, EnrolTotp, RemoveTotp, UseOtp
from command_service.features.sessions.domain.totp import (
    FREE_TRIES,
    LONGEST_WAIT,
    NoTotpActive,
    NoTotpToActivate,
    SecondFactor,
    TooManyWrongCodes,
    TotpAlreadyActive,
    activate_totp,
    code_at,
    enrol_totp,
    evolve_totp,
    recovery_hash,
    remove_totp,
    use_otp,
)
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.contract import Event
from shared_kernel.events.sessions import (
    RecoveryCodeUsed,
    SessionEnded,
    TotpActivated,
    TotpCodeAccepted,
    TotpCodeRefused,
    TotpEnrolled,
    TotpRemoved,
)
from tests.support.given import NOON, Given, given

USER = UUID("0192f000-0000-7000-8000-000000000002")
SECRET = b32encode(b"12345678901234567890").decode()
NOW_STEP = int(NOON.timestamp()) // 30
RECOVERY = "ABCD-EFGH-2345"
ENROLLED = TotpEnrolled(user_id=USER, secret=SECRET)
ACTIVATED = TotpActivated(user_id=USER, step=NOW_STEP - 10, recovery_hashes=f"{recovery_hash(RECOVERY)},other")
WRONG = TotpCodeRefused(user_id=USER, refused_at=NOON)


def code(step: int) -> str:
    return code_at(SECRET, step).decode()


def active(*more: Event) -> Given:
    return given(ENROLLED, ACTIVATED, *more).by(evolve_totp)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_the_last_six_digits_of_the_standard(seconds: int, expected: str) -> None:
    assert code_at(SECRET, seconds // 30).decode() == expected[2:]


def test_secret_may_have_any_number_of_bytes() -> None:
    for size in (10, 16, 20, 32):
        padded = b32encode(bytes(range(size))).decode()
        assert code_at(padded.rstrip("="), 1) == code_at(padded, 1)


def test_new_factor_knows_no_step_and_a_removed_one_remembers_whose_it_was_and_its_last_step() -> None:
    assert given(ENROLLED).by(evolve_totp).state == SecondFactor(USER, SECRET, last_step=-1)
    assert active(TotpRemoved(user_id=USER)).state == SecondFactor(USER, last_step=NOW_STEP - 10)


def test_new_secret_replaces_one_that_was_never_used_but_not_an_active_one() -> None:
    given().when(enrol_totp, EnrolTotp(USER, SECRET)).then(ENROLLED)
    given(ENROLLED).by(evolve_totp).when(enrol_totp, EnrolTotp(USER, SECRET)).then(ENROLLED)
    active().when(enrol_totp, EnrolTotp(USER, SECRET)).then_refused(TotpAlreadyActive)


def test_first_code_activates() -> None:
    command = ActivateTotp(code(NOW_STEP), ("a", "b"))
    activated = TotpActivated(user_id=USER, step=NOW_STEP, recovery_hashes="a,b")
    given(ENROLLED).by(evolve_totp).when(activate_totp, command).then(activated)


def test_wrong_first_code_activates_nothing_and_leaves_its_trace() -> None:
    given(ENROLLED).by(evolve_totp).when(activate_totp, ActivateTotp("000000", ())).then(WRONG)


@pytest.mark.asvs("V2.3.1")
@pytest.mark.parametrize("history", [(), (ENROLLED, ACTIVATED), (ENROLLED, TotpRemoved(user_id=USER))])
def test_without_a_waiting_secret_there_is_nothing_to_activate(history: tuple[Event, ...]) -> None:
    given(*history).by(evolve_totp).when(activate_totp, ActivateTotp("1", ())).then_refused(NoTotpToActivate)


@pytest.mark.parametrize(("away", "right"), [(1, False), (0, True), (-1, True), (-2, False)])
def test_code_of_this_step_and_the_one_before_is_right(away: int, *, right: bool) -> None:
    step = NOW_STEP + away
    accepted = TotpCodeAccepted(user_id=USER, step=step)
    active().when(use_otp, UseOtp(code(step))).then(accepted if right else WRONG)


@pytest.mark.asvs("V6.5.5")
@pytest.mark.parametrize(("second", "right"), [(0, True), (29, True), (30, False), (59, False), (-1, False)])
def test_code_may_count_for_its_own_thirty_seconds_alone(second: int, right: bool) -> None:
    """NOON begins a step; the code is that step's."""
    found = active().at(NOON + timedelta(seconds=second)).when(use_otp, UseOtp(code(NOW_STEP), steps=1))
    if right:
        found.then(TotpCodeAccepted(user_id=USER, step=NOW_STEP))
    else:
        found.then(TotpCodeRefused(user_id=USER, refused_at=NOON + timedelta(seconds=second)))


def test_spaces_in_a_code_do_not_matter() -> None:
    spaced = f" {code(NOW_STEP)[:3]} {code(NOW_STEP)[3:]} "
    active().when(use_otp, UseOtp(spaced)).then(TotpCodeAccepted(user_id=USER, step=NOW_STEP))


@pytest.mark.asvs("V6.5.1")
@pytest.mark.parametrize("earlier", [NOW_STEP, NOW_STEP - 1])
def test_accepted_step_and_those_before_it_are_never_accepted_again(earlier: int) -> None:
    history = active(TotpCodeAccepted(user_id=USER, step=NOW_STEP))
    history.when(use_otp, UseOtp(code(earlier))).then(WRONG)


def test_code_that_activated_signs_nobody_in() -> None:
    activated = TotpActivated(user_id=USER, step=NOW_STEP, recovery_hashes="a")
    given(ENROLLED, activated).by(evolve_totp).when(use_otp, UseOtp(code(NOW_STEP))).then(WRONG)


def test_step_is_spent_even_for_the_next_secret() -> None:
    history = (ENROLLED, TotpActivated(user_id=USER, step=NOW_STEP, recovery_hashes="a"), TotpRemoved(user_id=USER))
    again = given(*history, ENROLLED).by(evolve_totp)
    again.when(activate_totp, ActivateTotp(code(NOW_STEP), ())).then(WRONG)


@pytest.mark.parametrize(
    "offered", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "x" * 64]
)
def test_what_is_no_code_is_wrong(offered: str) -> None:
    active().when(use_otp, UseOtp(offered)).then(WRONG)


@pytest.mark.parametrize("offered", [RECOVERY, RECOVERY.lower(), "abcd efgh 2345", "ABCDEFGH2345"])
def test_recovery_code_works_once_in_any_spelling(offered: str) -> None:
    used = RecoveryCodeUsed(user_id=USER, number=0)
    active().when(use_otp, UseOtp(offered)).then(used)
    active(used).when(use_otp, UseOtp(offered)).then(WRONG)


def test_five_wrong_codes_cost_a_wait_that_doubles_and_has_an_end() -> None:
    right = UseOtp(code(NOW_STEP + 1))
    active(*[WRONG] * (FREE_TRIES - 1)).when(use_otp, UseOtp(code(NOW_STEP))).then(
        TotpCodeAccepted(user_id=USER, step=NOW_STEP)
    )
    waiting = active(*[WRONG] * FREE_TRIES)
    waiting.at(NOON + timedelta(seconds=29)).when(use_otp, right).then_refused(TooManyWrongCodes)
    waiting.at(NOON + timedelta(seconds=30)).when(use_otp, right).then(
        TotpCodeAccepted(user_id=USER, step=NOW_STEP + 1)
    )
    longer = active(*[WRONG] * (FREE_TRIES + 1))
    longer.at(NOON + timedelta(seconds=59)).when(use_otp, right).then_refused(TooManyWrongCodes)
    longest = active(*[WRONG] * 100).state
    assert longest.waits_until() == NOON + LONGEST_WAIT


def test_right_code_makes_earlier_wrong_ones_forgotten() -> None:
    history = active(*[WRONG] * FREE_TRIES, TotpCodeAccepted(user_id=USER, step=NOW_STEP - 1))
    history.when(use_otp, UseOtp(code(NOW_STEP))).then(TotpCodeAccepted(user_id=USER, step=NOW_STEP))


def test_right_code_begins_the_count_of_wrong_ones_anew() -> None:
    history = active(*[WRONG] * (FREE_TRIES - 1), TotpCodeAccepted(user_id=USER, step=NOW_STEP - 1), WRONG)
    history.when(use_otp, UseOtp(code(NOW_STEP))).then(TotpCodeAccepted(user_id=USER, step=NOW_STEP))
    assert (history.state.wrong, active(WRONG, RecoveryCodeUsed(user_id=USER, number=0)).state.wrong_at) == (1, None)


def test_wrong_codes_cost_a_wait_before_activation_too() -> None:
    waiting = given(ENROLLED, *[WRONG] * FREE_TRIES).by(evolve_totp)
    first = ActivateTotp(code(NOW_STEP), ("a",))
    waiting.at(NOON + timedelta(seconds=29)).when(activate_totp, first).then_refused(TooManyWrongCodes)
    waiting.at(NOON + timedelta(seconds=30)).when(activate_totp, first).then(
        TotpActivated(user_id=USER, step=NOW_STEP, recovery_hashes="a")
    )


def test_recovery_code_helps_those_who_have_to_wait() -> None:
    waiting = active(*[WRONG] * FREE_TRIES)
    waiting.when(use_otp, UseOtp(RECOVERY)).then(RecoveryCodeUsed(user_id=USER, number=0))


@pytest.mark.parametrize("history", [(), (ENROLLED,), (ENROLLED, ACTIVATED, TotpRemoved(user_id=USER))])
def test_account_without_an_active_factor_takes_no_codes(history: tuple[Event, ...]) -> None:
    given(*history).by(evolve_totp).when(use_otp, UseOtp(code(NOW_STEP))).then_refused(NoTotpActive)


def test_factor_is_removed_once() -> None:
    active().when(remove_totp, RemoveTotp()).then(TotpRemoved(user_id=USER))
    active(TotpRemoved(user_id=USER)).when(remove_totp, RemoveTotp()).then_nothing()
    given().when(remove_totp, RemoveTotp()).then_nothing()


def test_secrets_are_not_in_the_texts_of_things() -> None:
    said = (
        repr(active().state) + repr(EnrolTotp(USER, SECRET)) + repr(UseOtp("123456")) + repr(ActivateTotp("1", ("h",)))
    )
    for secret in (SECRET, "123456", recovery_hash(RECOVERY)):
        assert secret not in said


def test_impossible_histories_are_refused() -> None:
    ended = SessionEnded(session_id=USER, user_id=USER, reason="x", ended_at=datetime.now(UTC))
    for history in ((ACTIVATED,), (ENROLLED, ended)):
        with pytest.raises(ImpossibleHistory):
            _ = given(*history).by(evolve_totp).state
