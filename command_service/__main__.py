"""`python -m command_service`: the command API as a process."""

import sys

from command_service.app import create_app
from command_service.bootstrap import bootstrap
from command_service.settings import Settings, load
from shared_kernel.process import run_process
from shared_kernel.web.server import serve


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    app = create_app(bootstrap(settings))
    await serve(app, settings.host, settings.command_port, certificate=settings.certificate)


if __name__ == "__main__":
    sys.exit(run_process("command", load, main))
