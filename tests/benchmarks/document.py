"""Writes the tables of docs/performance.md from docs/results: `python -m tests.benchmarks.document`.

What stands between `<!-- bench: NAME -->` and `<!-- end -->` is made from docs/results/bench-NAME.json. In the text
around it, a figure may only be one that stands in a file of docs/results which its paragraph names, or its section when
the paragraph names none; what is no finding (a setting, a name, a number of writers) is written as `code`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.section import COLUMNS, Demand, sentence
from tests.support import results

DOCUMENT = results.ROOT / "docs" / "performance.md"

_ROUNDS = "rounds"

_PART = re.compile(r"(<!-- bench: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NO_FINDING = re.compile(
    r"`[^`]*`|\]\([^)]*\)|^\#.*?$|(?:design|decision) \d+|\bp(50|99)\b",
    re.DOTALL | re.MULTILINE,
)
_CODE = re.compile(r"```.*?```", re.DOTALL)
_SECTION = re.compile(r"^(?=\#)", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n\s*\n|\n(?=- )")
_RESULTS = re.compile(r"docs/results/(?P<name>[a-z-]+)\.json")
_FIGURE = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


def written(text: str, folder: Path = results.FOLDER, demands: Mapping[str, Sequence[Demand]] | None = None) -> str:
    """The document with its tables as the results have them, judged by what is demanded now."""
    asked = _demands() if demands is None else demands

    def part(found: re.Match[str]) -> str:
        return found[1] + "\n".join(lines_of(found["name"], folder, asked)) + "\n" + found[3]

    return _PART.sub(part, text)


def _demands() -> dict[str, Sequence[Demand]]:
    """By section. The sections know of this module too, so it looks for them late."""
    from tests.benchmarks import appends, feed, http, projecting  # noqa: PLC0415 (see above)

    return {
        "appends": appends.Appends.demands,
        "feed": feed.DEMANDS,
        "http": http.Http.demands,
        "projection": projecting.Projecting(0).demands,
    }


def lines_of(name: str, folder: Path, demands: Mapping[str, Sequence[Demand]]) -> Iterator[str]:
    path = folder / f"bench-{name}.json"
    if not path.exists():
        yield "\nNot measured yet.\n"
        return
    report = json.loads(path.read_text(encoding="utf-8"))
    yield ""
    yield from _table(_with_rounds(report))
    yield ""
    verdicts = [demand.judge(report["figures"]) for demand in demands.get(name, ())]
    yield from (f"- {sentence(verdict)}" for verdict in verdicts if verdict is not None)
    yield from (f"- {row}: not run, {reason}" for row, reason in report.get("not_run", {}).items())
    if (folder / f"bench-{name}.svg").exists():
        yield f"\n![{report['title']}](results/bench-{name}.svg)"
    yield f"\n{_measured(report)}\n"


def _table(figures: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    shown = {**COLUMNS, _ROUNDS: (_ROUNDS, ".0f")}
    columns = {key: column for key, column in shown.items() if any(key in row for row in figures.values())}
    yield "| | " + " | ".join(heading for heading, _ in columns.values()) + " |"
    yield "|---" + "|---:" * len(columns) + "|"
    for name, row in figures.items():
        cells = [format(row[key], form) if key in row else "" for key, (_, form) in columns.items()]
        yield f"| {name} | " + " | ".join(cells) + " |"


def _with_rounds(report: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The rows; where they were not all run equally often, each says how often it was."""
    counts = _rounds_of(report)
    told = len(set(counts.values())) > 1
    return {name: {**row, **({_ROUNDS: counts[name]} if told else {})} for name, row in report["figures"].items()}


def _rounds_of(report: Mapping[str, Any]) -> dict[str, int]:
    return {name: len(report["runs"][name]) for name in report["figures"]}


def _measured(report: Mapping[str, Any]) -> str:
    counts = set(_rounds_of(report).values())
    rounds = f"{max(counts)} rounds" if len(counts) == 1 else "as many rounds as each row says"
    machine = report["machine"]
    alone = "real-time scheduling" if machine["real_time_scheduling"] else "ordinary scheduling"
    parts = [f"{machine['cpus']} CPUs ({machine['processor']})", machine["system"], f"Python {machine['python']}"]
    parts += [f"{name} {version}" for name, version in report.get("versions", {}).items()]
    parts += [f"`{name}={value}`" for name, value in report.get("settings", {}).items()]
    return (
        f"Measured {report['at']} at commit `{report['commit'][:7]}`: {', '.join(parts)}; runs of {report['seconds']:g}"
        f" s, {rounds}, {alone}, load {machine['load']:g}."
    )


def undocumented(text: str, folder: Path = results.FOLDER) -> list[str]:
    """Figures of the text that stand in no file of results which is named where they are."""
    plain = _CODE.sub(" ", _PART.sub(lambda part: f"`docs/results/bench-{part['name']}.json`", text))
    return [figure for section in _SECTION.split(plain) for figure in _undocumented_in(section, folder)]


def _undocumented_in(section: str, folder: Path) -> Iterator[str]:
    named = _RESULTS.findall(section)
    for paragraph in _PARAGRAPH.split(section):
        known = list(_figures_of(_RESULTS.findall(paragraph) or named, folder))
        for figure in _FIGURE.findall(_NO_FINDING.sub(" ", paragraph)):
            if not _is_known(figure.rstrip(",").replace(",", ""), known):
                yield figure


def _figures_of(names: Iterable[str], folder: Path) -> Iterator[float]:
    for path in (folder / f"{name}.json" for name in dict.fromkeys(names)):
        if path.exists():
            yield from _numbers(json.loads(path.read_text(encoding="utf-8")))


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
