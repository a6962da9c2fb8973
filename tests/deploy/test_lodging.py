"""Where an engine lives when its own place is closed to it, and that nobody else's place is touched."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from deploy.local import lodging
from deploy.local.child import Identity
from deploy.local.lodging import EngineUnavailable, Wheel

ONLY_FROM_A_COPY = """#!/bin/sh
case "$0" in *programs-*) exit 0 ;; esac
exit 1
"""


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine's folder that cannot be entered, beside a place that can."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(lodging, "ELSEWHERE", (tmp_path / "missing", elsewhere))
    monkeypatch.setattr(lodging, "can_enter", lambda folder, _: folder.is_relative_to(elsewhere))
    return tmp_path / "closed" / "engine"


def test_an_open_folder_is_its_own_home(tmp_path: Path) -> None:
    assert lodging.home_of(tmp_path / "engine", None) == tmp_path / "engine"
    assert lodging.home_of(tmp_path / "engine", None) == tmp_path / "engine"


def test_a_closed_folder_remembers_its_home(closed: Path, tmp_path: Path) -> None:
    home = lodging.home_of(closed, None)
    assert home.parent == tmp_path / "elsewhere"
    assert lodging.home_of(closed, None) == home == lodging.recorded_home(closed)


def test_removing_a_folder_removes_its_home(closed: Path) -> None:
    home = lodging.home_of(closed, None)
    lodging.remove(closed)
    assert not home.exists()
    assert not closed.exists()
    lodging.remove(closed)


def test_a_home_that_is_gone_is_not_replaced_by_an_empty_one(closed: Path) -> None:
    shutil.rmtree(lodging.home_of(closed, None))
    with pytest.raises(EngineUnavailable, match="that folder is gone"):
        lodging.home_of(closed, None)


def test_a_copied_folder_does_not_share_or_remove_the_originals_home(closed: Path) -> None:
    home = lodging.home_of(closed, None)
    copy = shutil.copytree(closed, closed.with_name("copy"))
    with pytest.raises(EngineUnavailable, match=r"is a copy: the data in .* belong to"):
        lodging.home_of(copy, None)
    lodging.remove(copy)
    assert home.exists()


def test_a_moved_folder_keeps_its_home(closed: Path) -> None:
    home = lodging.home_of(closed, None)
    moved = closed.rename(closed.with_name("moved"))
    assert lodging.home_of(moved, None) == home
    lodging.remove(moved)
    assert not home.exists()


def test_no_place_at_all_is_said_with_the_places_tried(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lodging, "can_enter", lambda *_: False)
    with pytest.raises(EngineUnavailable, match=r"can enter none of the folders tried .*elsewhere"):
        lodging.home_of(closed, None)
    assert not list((closed.parent.parent / "elsewhere").iterdir()), "nothing is left of the tries"


def wheel(folder: Path, program: str) -> Wheel:
    """An installed engine whose files only their owner may read, as with a umask of 077."""
    (folder / "engine" / "include").mkdir(parents=True)
    (folder / "engine" / "share").write_text("data")
    file = folder / "engine" / "program"
    file.write_text(program)
    file.chmod(0o700)
    return Wheel(folder, ["engine"], "engine/program", "1.0")


def test_a_program_that_runs_in_place_is_not_copied(tmp_path: Path) -> None:
    found = lodging.runnable(wheel(tmp_path / "wheel", "#!/bin/sh\n"), tmp_path / "home", None)
    assert found == tmp_path / "wheel" / "engine" / "program"


def test_a_program_out_of_reach_is_copied_once_and_opened_for_reading(tmp_path: Path) -> None:
    files, home = wheel(tmp_path / "wheel", ONLY_FROM_A_COPY), tmp_path / "home"
    (home / "programs-1.0.unfinished").mkdir(parents=True)
    found = lodging.runnable(files, home, None)
    assert found == home / "programs-1.0" / "engine" / "program"
    assert stat.S_IMODE(found.stat().st_mode) == 0o755
    assert stat.S_IMODE((found.parent / "share").stat().st_mode) == 0o644
    assert not (found.parent / "include").exists()
    made = found.stat().st_ino
    assert lodging.runnable(files, home, None).stat().st_ino == made


def test_a_program_that_runs_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="engine/program cannot be run"):
        lodging.runnable(wheel(tmp_path / "wheel", "#!/bin/sh\nexit 1\n"), tmp_path / "home", None)


def test_only_root_runs_engines_as_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert lodging.identity_for(tmp_path) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert lodging.identity_for(tmp_path / "missing") == lodging.NOBODY
    monkeypatch.setattr(Path, "stat", lambda _: os.stat_result([0o40700, 1, 1, 1, 1000, 1001, 0, 0, 0, 0]))
    assert lodging.identity_for(tmp_path) == Identity(1000, 1001), "data belong to whom they always did"
