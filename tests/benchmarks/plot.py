"""Draws the rates of a section's rows named `<contestant>/<writers>` over the number of writers, as SVG."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

Points = list[tuple[int, float]]


def lines_of(figures: Mapping[str, Mapping[str, float]]) -> dict[str, Points]:
    """Contestants that were measured with more than one number of writers."""
    lines: dict[str, Points] = defaultdict(list)
    for name, row in figures.items():
        contestant, _, writers = name.partition("/")
        if writers.isdigit():
            lines[contestant].append((int(writers), row["per_second"]))
    return {contestant: sorted(points) for contestant, points in lines.items() if len(points) > 1}


def draw(report: Mapping[str, Any], path: Path) -> bool:
    """Answers whether there was anything to draw."""
    lines = lines_of(report["figures"])
    if not lines:
        return False
    settings = {"svg.hashsalt": "twinlog", "svg.fonttype": "none"}  # the same figures make the same file
    with mpl.rc_context(settings):  # type: ignore[arg-type] # its stub wants a literal of its hundreds of names
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot(xlabel="writers", ylabel="events per second", title=report["title"])
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        for contestant, points in sorted(lines.items(), key=lambda line: -line[1][-1][1]):
            writers, rates = zip(*points, strict=True)
            axes.plot(writers, rates, marker="o", markersize=3, linewidth=1.2, label=contestant)
        ticks = sorted({writers for points in lines.values() for writers, _ in points})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.grid(visible=True, which="major", linewidth=0.3)
        figure.legend(loc="outside right upper", frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
    return True
