"""`python -m query_service.projector`: the projector as a process, with health, readiness and metrics on its port."""

import sys

from query_service.projector.bootstrap import GC_THRESHOLD, SERVICE, equipped
from query_service.projector.projector import Projector
from query_service.settings import Settings, load
from shared_kernel.process import require_redis, run_process, work_and_serve
from shared_kernel.web.application import probe_application
from shared_kernel.web.server import serve


async def main(settings: Settings) -> None:
    """Project until told to stop; the batch in hand is finished first."""
    async with equipped(settings) as equipment:
        tools = equipment.tools
        await require_redis(tools.redis, str(settings.redis_url))
        projector = Projector(tools, equipment.registry, equipment.keys, settings.query_database_url)
        probes = probe_application(SERVICE, tools.status, metrics=equipment.metrics)
        serving = serve(probes, settings.host, settings.projector_port, certificate=settings.certificate)
        await work_and_serve(projector.run(), serving, tools.stop)


if __name__ == "__main__":
    sys.exit(run_process(SERVICE, load, main, GC_THRESHOLD))
