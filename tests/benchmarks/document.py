"""Writes the tables of docs/performance.md from docs/results: `python -m tests.benchmarks.document`.

What stands between `<!-- bench: NAME -->` and `<!-- end -->` is made from docs/results/bench-NAME.json. In the text
around it, a figure may only be one that stands in some file of docs/results; what is no finding (a setting, a name, a
number of writers) is written as `code`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.section import COLUMNS, sentence
from tests.support import results

DOCUMENT = results.ROOT / "docs" / "performance.md"

_PART = re.compile(r"(<!-- bench: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NO_FINDING = re.compile(
    r"<!-- bench: .*?<!-- end -->|```.*?```|`[^`]*`|\]\([^)]*\)|^\#.*?$|design 10|\bp(50|99)\b",
    re.DOTALL | re.MULTILINE,
)
_FIGURE = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


def written(text: str, folder: Path = results.FOLDER) -> str:
    """The document with its tables as the results have them."""
    return _PART.sub(lambda part: part[1] + "\n".join(lines_of(part["name"], folder)) + "\n" + part[3], text)


def lines_of(name: str, folder: Path) -> Iterator[str]:
    path = folder / f"bench-{name}.json"
    if not path.exists():
        yield "\nNot measured yet.\n"
        return
    report = json.loads(path.read_text(encoding="utf-8"))
    yield ""
    yield from _table(report["figures"])
    yield ""
    yield from (f"- {sentence(ratio)}" for ratio in report["ratios"])
    yield from (f"- {row}: not run, {reason}" for row, reason in report.get("not_run", {}).items())
    if (folder / f"bench-{name}.svg").exists():
        yield f"\n![{report['title']}](results/bench-{name}.svg)"
    yield f"\n{_measured(report)}\n"


def _table(figures: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    columns = {key: column for key, column in COLUMNS.items() if any(key in row for row in figures.values())}
    yield "| | " + " | ".join(heading for heading, _ in columns.values()) + " |"
    yield "|---" + "|---:" * len(columns) + "|"
    for name, row in figures.items():
        cells = [format(row[key], form) if key in row else "" for key, (_, form) in columns.items()]
        yield f"| {name} | " + " | ".join(cells) + " |"


def _measured(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    alone = "real-time scheduling" if machine["real_time_scheduling"] else "ordinary scheduling"
    parts = [f"{machine['cpus']} CPUs ({machine['processor']})", machine["system"], f"Python {machine['python']}"]
    parts += [f"{name} {version}" for name, version in report.get("versions", {}).items()]
    parts += [f"`{name}={value}`" for name, value in report.get("settings", {}).items()]
    return (
        f"Measured {report['at']} at commit `{report['commit'][:7]}`: {', '.join(parts)}; runs of {report['seconds']:g}"
        f" s, {report['rounds']} rounds, {alone}, load {machine['load']:g}."
    )


def undocumented(text: str, folder: Path = results.FOLDER) -> list[str]:
    """Figures of the text that no file of results has."""
    known = [figure for path in sorted(folder.glob("*.json")) for figure in _numbers(json.loads(path.read_text()))]
    said = _FIGURE.findall(_NO_FINDING.sub(" ", text))
    return [figure for figure in said if not _is_known(figure.rstrip(",").replace(",", ""), known)]


def _is_known(figure: str, known: Sequence[float]) -> bool:
    decimals = len(figure.partition(".")[2])
    return any(f"{number:.{decimals}f}" == figure for number in known)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)


def main() -> None:
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
