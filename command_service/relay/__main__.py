"""`python -m command_service.relay`: the relay as a process, with health, readiness and metrics on its port."""

import asyncio
import sys

from command_service.infrastructure import schema
from command_service.relay.publisher import Publisher
from command_service.relay.relay import Relay
from command_service.relay.status import Status
from command_service.settings import Settings, load
from shared_kernel.clock import SystemClock
from shared_kernel.errors import StartupRefused
from shared_kernel.messaging.client import redis_client
from shared_kernel.observability import Metrics
from shared_kernel.process import require_database, require_redis, run_process, work_and_serve
from shared_kernel.web.application import probe_application
from shared_kernel.web.server import serve

SERVICE = "relay"


async def main(settings: Settings) -> None:
    """Publish until told to stop; the batch in hand is finished first."""
    if settings.redis_url is None:
        raise StartupRefused("The settings cannot be used: TWINLOG_REDIS_URL is missing.")
    await require_database(settings.command_database_url, schema.check)
    metrics, stop = Metrics(SERVICE), asyncio.Event()
    status = Status(metrics)
    async with redis_client(settings.redis_url) as client:
        await require_redis(client, settings.redis_url)
        relay = Relay(
            settings.command_database_url,
            Publisher(client, settings.stream_length),
            status,
            clock=SystemClock(),
            stop=stop,
            catch_up_at_most=settings.stream_length,
        )
        probes = probe_application(SERVICE, status, metrics=metrics)
        serving = serve(probes, settings.host, settings.relay_port, certificate=settings.certificate)
        await work_and_serve(relay.run(), serving, stop)


if __name__ == "__main__":
    sys.exit(run_process(SERVICE, load, main))
