"""Figures that documents may quote: one JSON file each in docs/results, with what they depend on."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "results"


def about() -> dict[str, Any]:
    """When, of which commit and on what machine figures were taken."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len(_git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "machine": {
            "cpus": os.cpu_count(),
            "processor": _processor(),
            "system": platform.system(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 2),
            "real_time_scheduling": os.sched_getscheduler(0) != os.SCHED_OTHER if hasattr(os, "SCHED_OTHER") else False,
        },
    }


def write(name: str, figures: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Keep figures (seed, rounds, whatever was counted) in `<folder>/<name>.json`; answers where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**about(), **figures}, indent=2) + "\n", encoding="utf-8")
    return path


def _git(*command: str) -> str:
    done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    """The model, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
