"""Rules that must run the code: each asks a probe, a script in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from tests.architecture.rules.finding import Finding

_PROBES = Path(__file__).resolve().parent.parent / "probes"


def quiet_import(root: Path) -> list[Finding]:
    """Importing a module connects nothing, starts nothing, writes nothing and holds no connection or settings."""
    return _ask("imports.py", root, "quiet-import")


def route_permission(root: Path) -> list[Finding]:
    """Every route of every feature names exactly one permission, or is public."""
    return _ask("routes.py", root, "route-permission")


def event_compatibility(root: Path) -> list[Finding]:
    """What was committed as the schema of a topic can still be read: a changed class gets a topic of its own."""
    return _ask("schemas.py", root, "event-compatibility")


def _ask(probe: str, root: Path, rule: str) -> list[Finding]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-P", str(_PROBES / probe), str(root)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        return [Finding(".", 0, rule, f"the probe failed: {done.stderr.strip()[-500:]}")]
    return [Finding(path, line, rule, message) for path, line, message in json.loads(done.stdout)]
