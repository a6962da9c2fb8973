"""The folders of tests: gone with the test, and with the next test if their own was killed."""

from pathlib import Path

import pytest

from tests.support.places import IN_USE, PREFIX, open_folder, sweep


def test_a_folder_is_gone_at_the_end() -> None:
    with open_folder() as folder:
        (folder / "engine").mkdir()
    assert not folder.exists()


def test_only_folders_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, young, foreign = (tmp_path / name for name in (f"{PREFIX}dead", f"{PREFIX}young", "foreign"))
    for folder in (dead, young, foreign):
        folder.mkdir()
    for folder in (dead, foreign):
        (folder / IN_USE).touch()
    with open_folder() as living:
        sweep(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([living, young, foreign])
