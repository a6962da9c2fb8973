"""Changes the modules of tokens, policies and cryptography one place at a time and counts what no test notices:
`make mutation`, or `make mutation ARGS="shared_kernel.auth.tokens ..."` for some modules alone.

Which modules and which tests is said in pyproject.toml (`tool.mutmut`). It happens in a copy below build/mutation,
where `survivors.diff` shows what went unnoticed. A run of everything goes to docs/results/mutation.json.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

from tests.support import results

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "mutation"
TREE, TOOLS, LOG, SURVIVORS = (FOLDER / name for name in ("tree", "tools", "mutmut.log", "survivors.diff"))
LOCK = ROOT / "requirements-mutation.lock"
COPIED = ("command_service", "query_service", "shared_kernel", "deploy", "docs", "tests", "pyproject.toml")
FLOOR = 90.0
"""Per cent of all mutants that must be noticed."""

STATUSES: Mapping[int | None, str] = {
    0: "survived",
    **dict.fromkeys((1, 3), "killed"),
    **dict.fromkeys((24, -24, 36, 152, 255), "timeout"),
    **dict.fromkeys((5, 33), "untested"),
}
"""What the exit code of a mutant's tests means; any other is "odd", and counts as unnoticed."""

RUN = "from mutmut.__main__ import cli; cli()"
SHOW = """
from mutmut.__main__ import SourceFileMutationData, get_diff_for_mutant, walk_mutatable_files
for path in walk_mutatable_files():
    data = SourceFileMutationData(path=path)
    data.load()
    for name in (name for name, code in data.exit_code_by_key.items() if code == 0):
        print(name, get_diff_for_mutant(name, path=path), sep=" ")
"""

Counts = Mapping[str, Counter[str]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as shared_kernel.auth.tokens; all of them without")
    modules: list[str] = parser.parse_args(arguments).modules
    _install()
    _copy()
    begun = perf_counter()
    if not _mutmut(RUN, LOG, "run", *(f"{module}.*" for module in modules)):
        sys.stderr.write(f"mutation: no figures; {LOG.relative_to(ROOT)} holds what mutmut said.\n")
        return 2
    _mutmut(SHOW, SURVIVORS)
    counts = {name: each for name, each in counted(TREE / "mutants").items() if not modules or name in modules}
    sys.stdout.write(table(counts))
    if not modules:
        results.write("mutation", {"seed": None, "seconds": round(perf_counter() - begun), **figures(counts)})
    return 0 if score(total(counts)) >= FLOOR else 1


def counted(folder: Path) -> Counts:
    """By module, how many mutants had which fate, from what mutmut wrote."""
    found = {}
    for path in sorted(folder.rglob("*.py.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].values()
        if codes:
            module = ".".join(path.relative_to(folder).with_suffix("").with_suffix("").parts)
            found[module] = Counter(STATUSES.get(code, "odd") for code in codes)
    return found


def score(fates: Mapping[str, int]) -> float:
    """Per cent noticed: a test failed or came to no end. Of nothing, nothing was noticed."""
    return round(100 * (fates.get("killed", 0) + fates.get("timeout", 0)) / max(1, sum(fates.values())), 1)


def total(counts: Counts) -> Counter[str]:
    return sum(counts.values(), Counter[str]())


def table(counts: Counts) -> str:
    lines = [f"{'module':<48}{'mutants':>8}{'killed':>8}{'survived':>9}{'timeout':>8}{'other':>6}{'score':>8}"]
    for name, fates in [*counts.items(), ("all", total(counts))]:
        other = fates["untested"] + fates["odd"]
        lines.append(
            f"{name:<48}{fates.total():>8}{fates['killed']:>8}{fates['survived']:>9}{fates['timeout']:>8}"
            f"{other:>6}{score(fates):>7}%"
        )
    return "\n".join(lines) + "\n"


def figures(counts: Counts) -> dict[str, object]:
    fates = total(counts)
    return {
        "floor_per_cent": FLOOR,
        "mutants": fates.total(),
        **{name: fates[name] for name in ("killed", "survived", "timeout", "untested", "odd")},
        "score_per_cent": score(fates),
        "modules": {name: {**each, "score_per_cent": score(each)} for name, each in counts.items()},
    }


def _install() -> None:
    """The tool and what it needs, in a folder of its own: nobody else has to wait for it."""
    lock = LOCK.read_text(encoding="utf-8")
    installed = TOOLS / LOCK.name
    if installed.exists() and installed.read_text(encoding="utf-8") == lock:
        return
    shutil.rmtree(TOOLS, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps")
    subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK), "--target", str(TOOLS)], check=True)
    installed.write_text(lock, encoding="utf-8")


def _copy() -> None:
    """What git knows or would, as it stands in the working tree."""
    shutil.rmtree(TREE, ignore_errors=True)
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *COPIED)
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)


def _mutmut(program: str, output: Path, *arguments: str) -> bool:
    with output.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            (sys.executable, "-c", program, *arguments),
            cwd=TREE,
            env={**os.environ, "PYTHONPATH": str(TOOLS)},
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
