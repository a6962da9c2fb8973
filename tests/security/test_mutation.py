"""How mutants are counted: what no test noticed is never called noticed, and the kept figures keep the promise."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.security.mutation import FLOOR, counted, figures, score, table, total
from tests.support import results


def written(folder: Path, name: str, *codes: int | None) -> None:
    path = folder / f"{name}.py.meta"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"exit_code_by_key": {str(number): code for number, code in enumerate(codes)}}))


def test_only_a_failed_or_endless_test_counts_as_noticed(tmp_path: Path) -> None:
    written(tmp_path, "kernel/auth/tokens", 1, 1, 3, 36, 0, 33, None, -11)
    counts = counted(tmp_path)
    assert counts == {"kernel.auth.tokens": {"killed": 3, "timeout": 1, "survived": 1, "untested": 1, "odd": 2}}
    assert score(total(counts)) == 50.0


def test_module_in_which_nothing_was_changed_is_left_out(tmp_path: Path) -> None:
    written(tmp_path, "kernel/empty")
    assert counted(tmp_path) == {}
    assert score(total({})) == 0.0


def test_table_and_figures_say_the_same() -> None:
    counts = {"a": Counter(killed=9, survived=1), "b": Counter(killed=10)}
    found: Any = figures(counts)
    assert (found["mutants"], found["killed"], found["survived"], found["score_per_cent"]) == (20, 19, 1, 95.0)
    assert found["modules"]["a"] == {"killed": 9, "survived": 1, "score_per_cent": 90.0}
    assert [line.split()[-1] for line in table(counts).splitlines()[1:]] == ["90.0%", "100.0%", "95.0%"]


def test_kept_figures_are_of_every_module_and_reach_the_floor() -> None:
    kept = json.loads((results.FOLDER / "mutation.json").read_text(encoding="utf-8"))
    assert kept["score_per_cent"] >= FLOOR
    assert kept["mutants"] == sum(kept[fate] for fate in ("killed", "survived", "timeout", "untested", "odd"))
    assert {"shared_kernel.auth.tokens", "shared_kernel.auth.policy", "shared_kernel.privacy.cipher"} <= set(
        kept["modules"]
    )
