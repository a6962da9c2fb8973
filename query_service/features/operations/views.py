"""What the state of a projection looks like to an operator."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from query_service.infrastructure.projection import Table

TABLE = Table(
    name="operations",
    key=("tenant", "position"),
    columns={
        "tenant": "text",
        "position": "bigint",
        "projection": "text",
        "action": "text",
        "actor": "text",
        "reason": "text",
        "recorded_at": "timestamptz",
    },
)

EXAMPLE: JsonDict = {
    "name": "resources",
    "generation": "blue",
    "version": 1,
    "position": 1204,
    "lag": {"positions": 3, "seconds": 0.02},
    "parked": 0,
    "rebuild": {
        "state": "built",
        "generation": "green",
        "position": 1204,
        "target": 1204,
        "per_second": 20480.0,
        "seconds_left": 0.0,
        "difference": {"rows": 128, "missing": 0, "unexpected": 0, "different": 0},
        "reason": "",
    },
}


class LagView(BaseModel):
    """How far a projection is behind the published log."""

    model_config = ConfigDict(frozen=True)

    positions: Annotated[int | None, Field(description="null while the end of the log is not known")]
    seconds: Annotated[
        float, Field(description="how old the oldest event is that it has not handled; 0 when there is none")
    ]


class DifferenceView(BaseModel):
    """Rows of the live generation, and how many are missing, unexpected or different in the rebuilt one."""

    model_config = ConfigDict(frozen=True)

    rows: int
    missing: int
    unexpected: int
    different: int


class RebuildView(BaseModel):
    """How building a projection anew goes, or went."""

    model_config = ConfigDict(frozen=True)

    state: Annotated[str, Field(description="running, paused, built (waits for approval), switched or cancelled")]
    generation: str
    position: Annotated[int, Field(description="how far into the log it is, as a mean of all partitions")]
    target: Annotated[int, Field(description="where it will be level, as a mean of all partitions")]
    per_second: Annotated[float, Field(description="positions per second of work")]
    seconds_left: Annotated[float | None, Field(description="null while nobody can tell")]
    difference: Annotated[DifferenceView | None, Field(description="against the live rows, once it is level")]
    reason: Annotated[str, Field(description="what keeps it from going on, if anything does")]


class ProjectionView(BaseModel):
    """One projection, in the generation that answers questions."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    name: str
    generation: Annotated[str, Field(description="blue or green")]
    version: int
    position: Annotated[int, Field(description="every event up to here has been handled or parked")]
    lag: LagView
    parked: Annotated[int, Field(description="events set aside until an operator has looked")]
    rebuild: RebuildView | None = None


class ProjectionList(BaseModel):
    """All projections by name."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: tuple[ProjectionView, ...]
