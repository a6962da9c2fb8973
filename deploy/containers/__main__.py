"""`python -m deploy.containers secrets | migrate | health <port>`: steps that docker-compose.yml runs."""

import http.client
import sys
from pathlib import Path

import psycopg

from deploy.containers.prepare import prepare
from deploy.containers.secrets import make_secrets
from shared_kernel.errors import SchemaMismatch
from shared_kernel.process import Unreachable

BASE = Path("/run/twinlog")
HEALTH_SECONDS = 4


def main(words: list[str]) -> int:
    """The exit code: 0 done, 1 not healthy, 2 wrong use, 3 something cannot be reached."""
    match words:
        case ["secrets"]:
            made = make_secrets(BASE)
            sys.stdout.write(f"{len(made)} secret files made.\n")
            return 0
        case ["migrate"]:
            return _migrate()
        case ["health", port] if port.isdecimal():
            return 0 if _healthy(int(port)) else 1
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


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
