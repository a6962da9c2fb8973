"""The bootstrap script: one sentence when it cannot work, an installation when it must, nothing when it need not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INTERPRETER = """#!/bin/sh
echo "$*" >>"$JOURNAL"
case "$*" in
*version_info*) exit "${TOO_OLD:-0}" ;;
*ensurepip*) exit "${WITHOUT_VENV:-0}" ;;
-V) echo "Python 3.9.2" ;;
"-m venv --clear .venv")
    rm -rf .venv
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    ;;
*--require-hashes*)
    echo "${SAID:-Collecting package==1}"
    exit "${NO_NETWORK:-0}"
    ;;
esac
"""


class Clone:
    """A fresh clone with an interpreter that only writes down what it is asked to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "deploy" / "local").mkdir(parents=True)
        shutil.copy(ROOT / "deploy" / "local" / "bootstrap.sh", folder / "deploy" / "local")
        (folder / "requirements-dev.lock").write_text("package==1\n")
        (folder / "pyproject.toml").write_text("[project]\n")
        self.interpreter = folder / "interpreter"
        self.interpreter.write_text(INTERPRETER)
        self.interpreter.chmod(0o755)

    def bootstrap(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        self.journal.unlink(missing_ok=True)
        own = {"PATH": os.environ["PATH"], "JOURNAL": str(self.journal), "PYTHON": str(self.interpreter)}
        script = [str(self.folder / "deploy" / "local" / "bootstrap.sh")]
        return subprocess.run(script, env=own | variables, capture_output=True, text=True, check=False, timeout=60)

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def asked_for(self, words: str) -> bool:
        return self.journal.exists() and words in self.journal.read_text()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def test_a_fresh_clone_gets_its_environment_and_the_second_time_nothing_is_done(clone: Clone) -> None:
    assert clone.bootstrap().returncode == 0
    assert clone.asked_for("-m venv --clear .venv")
    assert clone.asked_for("--require-hashes --requirement requirements-dev.lock")
    assert clone.asked_for("--no-deps --no-build-isolation --editable .")
    assert clone.bootstrap().returncode == 0
    assert not clone.asked_for("pip")


def test_an_old_python_is_named_in_one_sentence(clone: Clone) -> None:
    refused = clone.bootstrap(TOO_OLD="1")
    assert refused.returncode == 2
    assert refused.stderr.startswith("twinlog: Python 3.11 or newer is needed (Python 3.9.2);")
    assert len(refused.stderr.splitlines()) == 1
    assert not (clone.folder / ".venv").exists()


def test_no_python_at_all_is_said_in_one_sentence(clone: Clone) -> None:
    refused = clone.bootstrap(PYTHON="/nowhere/python3")
    assert refused.returncode == 2
    assert refused.stderr.startswith("twinlog: Python 3.11 or newer is needed (none was found);")
    assert len(refused.stderr.splitlines()) == 1


def test_a_missing_venv_module_is_said_in_one_sentence(clone: Clone) -> None:
    refused = clone.bootstrap(WITHOUT_VENV="1")
    assert refused.returncode == 2
    assert "has no venv module; install it (Debian and Ubuntu: apt install python3-venv)" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_an_installation_that_broke_off_is_made_anew(clone: Clone) -> None:
    broken = clone.bootstrap(NO_NETWORK="1")
    assert broken.returncode == 2
    assert clone.bootstrap().returncode == 0
    assert clone.asked_for("-m venv --clear .venv")


OTHER_HASH = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
NO_REGISTRY = """
twinlog: no package registry that has the packages can be reached from here; connect this machine to one, or name yours
(PIP_INDEX_URL=https://... make ...), and repeat; .venv/install.log holds what pip said.
"""


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError('refused')': /simple/x/", NO_REGISTRY),
        ("ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)", NO_REGISTRY),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            """twinlog: the packages could not be installed into .venv (ERROR: Could not install packages due to an
            OSError: [Errno 28] No space left on device); .venv/install.log holds all that pip said.""",
        ),
        (
            f"WARNING: Retrying (Retry(total=4)) after 'ReadTimeoutError()'\n{OTHER_HASH}\n    x==1:",
            f"""twinlog: the packages could not be installed into .venv ({OTHER_HASH}); .venv/install.log holds
            all that pip said.""",
        ),
        (
            "ERROR: Exception:\nTraceback (most recent call last):\nReadTimeoutError: Read timed out.",
            NO_REGISTRY,
        ),
    ],
)
def test_a_failed_installation_is_said_in_one_sentence(clone: Clone, said: str, sentence: str) -> None:
    broken = clone.bootstrap(NO_NETWORK="1", SAID=said)
    assert broken.returncode == 2
    assert broken.stdout == ""
    assert broken.stderr.splitlines()[1:] == [" ".join(sentence.split())], "after the line that says what begins"
    assert (clone.folder / ".venv" / "install.log").read_text() == f"{said}\n"


def test_no_network_for_the_real_pip_is_said_in_one_sentence(clone: Clone) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    (clone.folder / "requirements-dev.lock").write_text(f"package==1 --hash=sha256:{'0' * 64}\n")
    broken = clone.bootstrap(PYTHON=sys.executable, **nowhere)
    assert broken.returncode == 2
    assert broken.stdout == ""
    assert broken.stderr.splitlines()[1:] == [" ".join(NO_REGISTRY.split())]
    assert "package" in (clone.folder / ".venv" / "install.log").read_text()


def test_a_long_installation_shows_how_far_it_has_come(clone: Clone) -> None:
    names = [f"package{number}" for number in range(8)]
    (clone.folder / "requirements-dev.lock").write_text("".join(f"{name}==1\n" for name in names))
    words = [*(f"Collecting {name}==1" for name in names), f"Installing collected packages: {' '.join(names)}"]
    done = clone.bootstrap(SAID="\n".join(words))
    assert done.returncode == 0
    assert done.stderr.splitlines()[1:] == [
        "twinlog: found 2 of at most 8 packages",
        "twinlog: found 4 of at most 8 packages",
        "twinlog: found 6 of at most 8 packages",
        "twinlog: found 8 of at most 8 packages",
        "twinlog: installing what was found",
    ]


def test_new_locks_are_installed_into_the_environment_that_is_there(clone: Clone) -> None:
    clone.bootstrap()
    (clone.folder / "requirements-dev.lock").write_text("package==2\n")
    assert clone.bootstrap().returncode == 0
    assert clone.asked_for("--require-hashes")
    assert not clone.asked_for("venv --clear")


def test_a_moved_clone_gets_a_new_environment(clone: Clone) -> None:
    clone.bootstrap()
    moved = clone.folder.rename(clone.folder.with_name("elsewhere"))
    clone.folder, clone.interpreter = moved, moved / "interpreter"
    assert clone.bootstrap().returncode == 0
    assert clone.asked_for("-m venv --clear .venv")


def test_an_environment_whose_interpreter_is_gone_is_made_anew(clone: Clone) -> None:
    clone.bootstrap()
    (clone.folder / ".venv" / "bin" / "python").unlink()
    assert clone.bootstrap().returncode == 0
    assert clone.asked_for("-m venv --clear .venv")
