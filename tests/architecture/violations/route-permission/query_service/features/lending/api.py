"""A lending desk, planted to break a rule: one route forgets to say who may call it, another says it twice."""

from typing import Annotated

from fastapi import APIRouter

from shared_kernel.auth.principal import Principal
from shared_kernel.feature import Permission
from shared_kernel.web.access import public, requires

READ = Permission("loan", "read")
inner = APIRouter()
router = APIRouter(prefix="/v1")


@inner.get("/loans")
async def forgetful() -> list[str]:
    """Says nothing."""
    return []


@inner.get("/loans/{loan_id}", dependencies=[public()])
async def contradictory(loan_id: str, _: Annotated[Principal, requires(READ)]) -> str:
    """Says both."""
    return loan_id


@inner.get("/desks", dependencies=[public()])
async def honest() -> list[str]:
    """Says it once."""
    return []


router.include_router(inner)
