"""A caller of the sample service, in this process."""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import structlog

from shared_kernel.observability import configure_logging
from tests.shared_kernel.web.sample_service import calling, sample_application


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """JSON lines to the captured stderr instead of structlog's coloured tracebacks; undone afterwards."""
    configure_logging("sample")
    yield
    structlog.reset_defaults()


@pytest.fixture
async def caller() -> AsyncIterator[httpx2.AsyncClient]:
    async with calling(sample_application()) as client:
        yield client
