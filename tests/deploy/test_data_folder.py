"""The data folder: one stack at a time, whole files, and only its own things deleted."""

import stat
from pathlib import Path

import pytest

from deploy.local.child import Program
from deploy.local.data_folder import STOPS_WITHIN, DataFolder, Endpoints, FolderRefused, write_whole
from deploy.local.engines import EmbeddedPostgres, EmbeddedValkey
from tests.support.processes import start_python, wait_until

HOLD = """
import os, sys, time
from pathlib import Path
from deploy.local.data_folder import DataFolder, Endpoints
folder = DataFolder(Path(sys.argv[1]))
with folder.hold():
    folder.write_endpoints(Endpoints("c", "q", "r", "p", sys.argv[1], os.getpid()))
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_stack_in_the_same_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with start_python(["-c", HOLD, str(folder.path)]) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderRefused, match=rf"Another stack works in .*data already \(process {holder.pid}\)"):
            folder.hold().__enter__()
        assert folder.holder() == holder.pid
        assert folder.endpoints() == Endpoints("c", "q", "r", "p", str(folder.path), holder.pid)
        assert folder.stop_holder()
    assert folder.endpoints() is None
    assert not folder.stop_holder()


def test_the_addresses_of_a_killed_stack_are_not_believed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with start_python(["-c", HOLD, str(folder.path)]) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    assert (tmp_path / "endpoints.json").exists()
    assert folder.endpoints() is None
    with folder.hold():
        assert folder.endpoints() is None


def test_a_look_at_the_lock_does_not_refuse_a_start(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    look = (
        "import sys; from pathlib import Path; from deploy.local.data_folder import DataFolder\n"
        "print(1, flush=True)\nwhile True: DataFolder(Path(sys.argv[1])).holder()"
    )
    with start_python(["-c", look, str(tmp_path)]) as looker:
        assert looker.stdout is not None
        looker.stdout.readline()
        for _ in range(50):
            with folder.hold():
                pass
        looker.kill()


def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for refused in (DataFolder(tmp_path / "file" / "data").hold, DataFolder(Path("/proc/nowhere")).hold):
        with pytest.raises(FolderRefused, match=r"^The data folder /.* cannot be written: [A-Z][a-z ]+\.$"):
            refused().__enter__()


def test_deleting_leaves_what_is_not_the_stacks_own(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with folder.hold():
        write_whole(folder.path / "endpoints.json", "{}")
    (folder.path / "notes.txt").write_text("mine")
    folder.delete()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]
    (folder.path / "notes.txt").unlink()
    folder.delete()
    assert not folder.path.exists()


def test_a_file_is_written_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    (tmp_path / "secret.unfinished").write_text("half of one that was interr")
    write_whole(file, "first")
    write_whole(file, "second")
    assert file.read_text() == "second"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_stopping_has_patience_for_every_step_that_a_stop_may_take() -> None:
    """The command API, the other three processes together, and one engine after the other."""
    process = sum(seconds for _, seconds in Program([], {}, Path(), Path()).steps)
    engines = sum(seconds for engine in (EmbeddedPostgres, EmbeddedValkey) for _, seconds in engine.steps)
    assert 2 * process + engines < STOPS_WITHIN


def test_stopping_waits_for_the_stack_to_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HOLD
    folder = DataFolder(tmp_path)
    monkeypatch.setattr("deploy.local.data_folder.STOPS_WITHIN", 0.2)
    with start_python(["-c", stubborn, str(tmp_path)]) as holder:
        wait_until(lambda: folder.endpoints() is not None, "the stack is up")
        with pytest.raises(FolderRefused, match="does not stop"):
            folder.stop_holder()
        holder.kill()
