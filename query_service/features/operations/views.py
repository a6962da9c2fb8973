"""What the state of a projection looks like to an operator."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

EXAMPLE: JsonDict = {
    "name": "resources",
    "generation": "blue",
    "version": 1,
    "position": 1204,
    "lag": {"positions": 3, "seconds": 0.02},
    "parked": 0,
}


class LagView(BaseModel):
    """How far a projection is behind the published log."""

    model_config = ConfigDict(frozen=True)

    positions: Annotated[int | None, Field(description="null while the end of the log is not known")]
    seconds: Annotated[float, Field(description="for how long it has been behind; 0 when it is not")]


class ProjectionView(BaseModel):
    """One projection, in the generation that answers questions."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    name: str
    generation: Annotated[str, Field(description="blue or green")]
    version: int
    position: Annotated[int, Field(description="every event up to here has been handled or parked")]
    lag: LagView
    parked: Annotated[int, Field(description="events set aside until an operator has looked")]


class ProjectionList(BaseModel):
    """All projections by name."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: tuple[ProjectionView, ...]
