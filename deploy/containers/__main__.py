"""`python -m deploy.containers secrets | migrate`: the steps that docker-compose.yml runs once."""

import sys
from pathlib import Path

import psycopg

from deploy.containers.prepare import prepare
from deploy.containers.secrets import make_secrets
from shared_kernel.errors import SchemaMismatch
from shared_kernel.process import Unreachable

BASE = Path("/run/twinlog")


def main(words: list[str]) -> int:
    """The exit code: 0 done, 2 wrong use, 3 something cannot be reached."""
    match words:
        case ["secrets"]:
            made = make_secrets(BASE)
            sys.stdout.write(f"{len(made)} secret files made.\n")
            return 0
        case ["migrate"]:
            return _migrate()
    sys.stderr.write(f"{__doc__}\n")
    return 2


def _migrate() -> int:
    try:
        done = prepare(BASE)
    except (SchemaMismatch, Unreachable, psycopg.Error) as error:
        sys.stderr.write(f"{str(error).strip().splitlines()[0]}\n")
        return 2 if isinstance(error, SchemaMismatch) else 3
    sys.stdout.write(f"At this release's schema: {', '.join(done)}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
