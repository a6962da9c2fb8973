"""Keys of access tokens take turns: published before they sign, kept until their last token has expired."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from command_service.infrastructure.key_ring import BEGINNING, KEPT, LEAD, KeyRing, RotationPending
from command_service.infrastructure.keys import LOOK_EVERY, TokenKeys, read_ring, write_ring
from shared_kernel.auth.tokens import SigningKey
from shared_kernel.errors import StartupRefused

NOW = datetime(2026, 3, 12, 12, 0, 0, tzinfo=UTC)
PEM = SigningKey.generate_pem().decode().strip()
KID = SigningKey.from_pem(PEM.encode()).kid
SECOND = timedelta(seconds=1)


@pytest.fixture
def machine_in_kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


def kids(keys: tuple[SigningKey, ...]) -> list[str]:
    return [key.kid for key in keys]


def test_plain_key_file_is_a_ring_of_one() -> None:
    ring = KeyRing.parse(PEM)
    assert (ring.current(NOW).kid, kids(ring.published(NOW))) == (KID, [KID])
    assert [(place.state, place.signs_from, place.published_until) for place in ring.places(NOW)] == [
        ("current", BEGINNING, None)
    ]


def test_new_key_is_published_at_once_signs_after_the_lead_and_the_old_one_stays_for_its_tokens() -> None:
    ring = KeyRing.parse(PEM).rotated(NOW)
    new = ring.turns[-1].key.kid
    turn = NOW + LEAD
    for at, published in (
        (NOW, [KID, new]),
        (turn - SECOND, [KID, new]),
        (turn, [new, KID]),
        (turn + KEPT - SECOND, [new, KID]),
        (turn + KEPT, [new]),
    ):
        assert kids(ring.published(at)) == published
        assert ring.current(at).kid == published[0]


def test_states_are_next_current_and_retired() -> None:
    ring = KeyRing.parse(PEM).rotated(NOW)
    assert [place.state for place in ring.places(NOW)] == ["next", "current"]
    assert [place.state for place in ring.places(NOW + LEAD)] == ["current", "retired"]


def test_places_say_which_key_and_until_when_it_is_published() -> None:
    ring = KeyRing.parse(PEM).rotated(NOW)
    new = ring.turns[-1].key.kid
    turn = NOW + LEAD
    assert [(place.kid, place.signs_from, place.published_until) for place in ring.places(NOW)] == [
        (new, turn, None),
        (KID, BEGINNING, turn + KEPT),
    ]


def test_times_are_written_in_utc_wherever_the_machine_stands(machine_in_kathmandu: None) -> None:
    assert KeyRing.replaced(NOW).text().startswith("Signs-From: 2026-03-12T12:00:00Z\n")


def test_ring_is_read_as_it_was_written() -> None:
    ring = KeyRing.parse(PEM).rotated(NOW)
    assert KeyRing.parse(ring.text()).places(NOW) == ring.places(NOW)
    assert KeyRing.parse(f"An old key:\n{ring.text()}\n\n").places(NOW) == ring.places(NOW)


def test_rotation_waits_for_the_one_before() -> None:
    ring = KeyRing.parse(PEM).rotated(NOW)
    third = ring.rotated(NOW + LEAD)
    assert len(third.turns) == 3
    with pytest.raises(RotationPending) as pending:
        third.rotated(NOW + LEAD + LEAD - SECOND)
    assert pending.value.detail == (
        f"The key {third.turns[-1].key.kid} takes its turn at 2026-03-12T12:20:00Z: wait until then, "
        "or say --compromised to replace every key at once."
    )


def test_rotation_forgets_keys_that_no_token_bears() -> None:
    ring = KeyRing.parse(PEM).rotated(NOW)
    later = ring.rotated(NOW + LEAD + KEPT)
    assert KID not in [turn.key.kid for turn in later.turns]


def test_compromised_keys_are_all_forgotten_at_once() -> None:
    ring = KeyRing.replaced(NOW)
    assert len(ring.turns) == 1
    assert kids(ring.published(NOW)) != [KID]


def test_key_whose_turn_is_to_come_signs_while_there_is_no_other() -> None:
    ring = KeyRing.parse(f"Signs-From: 2030-01-01T00:00:00Z\n{PEM}")
    assert ring.current(NOW).kid == KID


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not an unencrypted PEM"),
        (f"{PEM}\n{PEM}", "Two token keys sign from the same time"),
        (f"{PEM}\nSigns-From: 2026-01-01T00:00:00Z\n{PEM}", "A token key stands twice in its file"),
        (f"Signs-From: tomorrow\n{PEM}", "not a time"),
        (f"Signs-From: 2026-01-01T00:00:00\n{PEM}", "distance from UTC"),
        (PEM.replace("PRIVATE", "PUBLIC"), "not an unencrypted PEM"),
    ],
    ids=["empty", "same-time", "twice", "no-time", "no-zone", "public"],
)
def test_file_that_is_no_ring_is_refused_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(StartupRefused, match=why) as refusal:
        KeyRing.parse(text)
    assert refusal.value.detail.endswith(".")


def test_file_that_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match="cannot be read"):
        read_ring(tmp_path / "missing.pem")
    (tmp_path / "key.pem").write_bytes(b"\xff")
    with pytest.raises(StartupRefused, match="not an unencrypted PEM"):
        read_ring(tmp_path / "key.pem")


def test_written_file_keeps_its_mode_and_an_unfinished_one_does_not_hinder(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(PEM)
    path.chmod(0o640)
    (tmp_path / "key.pem.unfinished").touch()
    write_ring(path, KeyRing.replaced(NOW))
    assert path.stat().st_mode & 0o777 == 0o640
    assert read_ring(path).turns[0].signs_from == NOW
    with pytest.raises(StartupRefused, match="cannot be written"):
        write_ring(tmp_path / "nowhere" / "key.pem", KeyRing.replaced(NOW))


class Hand:
    """A monotonic clock that is moved by hand."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


class Wall:
    """A wall clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


def test_running_service_takes_up_a_changed_file_and_survives_a_broken_one(tmp_path: Path) -> None:
    path, hand = tmp_path / "key.pem", Hand()
    path.write_text(PEM)
    keys = TokenKeys(path, Wall(), hand)
    replaced = KeyRing.replaced(NOW)
    write_ring(path, replaced)
    assert keys.current.kid == KID
    hand.time += LOOK_EVERY
    assert keys.current.kid == replaced.turns[0].key.kid
    path.write_text("gone")
    hand.time += LOOK_EVERY
    assert keys.current.kid == replaced.turns[0].key.kid
    assert "not an unencrypted PEM" in keys.trouble
    path.unlink()
    hand.time += LOOK_EVERY
    assert "cannot be read" in keys.trouble
    path.write_text(replaced.text())
    hand.time += LOOK_EVERY
    assert (keys.current.kid, keys.trouble) == (replaced.turns[0].key.kid, "")


def test_turn_comes_without_a_change_of_the_file(tmp_path: Path) -> None:
    path, hand, clock = tmp_path / "key.pem", Hand(), Wall()
    ring = KeyRing.parse(PEM).rotated(NOW)
    path.write_text(ring.text())
    keys = TokenKeys(path, clock, hand)
    assert keys.current.kid == KID
    clock.time = NOW + LEAD
    hand.time += LOOK_EVERY
    assert keys.current.kid == ring.turns[-1].key.kid


def test_without_a_file_there_is_the_key_for_development() -> None:
    hand = Hand()
    keys, again = TokenKeys(None, Wall(), hand), TokenKeys(None, Wall())
    hand.time += LOOK_EVERY
    assert keys.current.kid == again.current.kid
    assert keys.trouble == ""
