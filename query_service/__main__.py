"""`python -m query_service`: the query API as a process."""

import sys

from query_service.app import create_app
from query_service.bootstrap import bootstrap
from query_service.settings import Settings, load
from shared_kernel.process import run_process
from shared_kernel.web.server import serve


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    app = create_app(bootstrap(settings))
    await serve(app, settings.host, settings.query_port, certificate=settings.certificate)


if __name__ == "__main__":
    sys.exit(run_process("query", load, main))
