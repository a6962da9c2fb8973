"""What operators can ask of a read model, and the values they ask with."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared_kernel.text import LINE_PATTERN, NAME_PATTERN, line, shown

MAX_REASON = 500
MAX_STREAM = 255

Reason = Annotated[str, StringConstraints(max_length=MAX_REASON), AfterValidator(line), shown(LINE_PATTERN, MAX_REASON)]
GivenReason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON),
    AfterValidator(line),
    shown(NAME_PATTERN, MAX_REASON, 1),
]
StreamName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_STREAM),
    AfterValidator(line),
    shown(NAME_PATTERN, MAX_STREAM, 1),
]


class Action(StrEnum):
    """What an operator asks for."""

    REBUILD = "rebuild"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    SWITCH = "switch"
    ROLLBACK = "rollback"
    RETRY = "retry"
    SKIP = "skip"


class RebuildAction(StrEnum):
    """What can be asked once a rebuild was."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    SWITCH = "switch"
    ROLLBACK = "rollback"


class RebuildOrder(BaseModel):
    """How a read model is to be built anew."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"at_once": False, "reason": "version 2 of the folds"}]}
    )

    at_once: Annotated[bool, Field(description="switch as soon as it is level, without approval")] = False
    reason: Reason = ""


class Justification(BaseModel):
    """Why an operator asks."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the diff is empty"}]})

    reason: Reason = ""


class ParkedRetry(BaseModel):
    """Which stream's parked events are to be tried again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"stream": "resources-0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55"}]},
    )

    stream: StreamName
    reason: Reason = ""


class ParkedSkip(BaseModel):
    """Which parked event the read model is to do without, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "stream": "resources-0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55",
                    "position": 4711,
                    "reason": "written by a faulty import",
                }
            ]
        },
    )

    stream: StreamName
    position: Annotated[int, Field(ge=1, le=2**63 - 1)]
    reason: GivenReason


class OperationRecord(BaseModel):
    """The same for the command line, which speaks for whoever holds the services' secret, in any tenant."""

    model_config = ConfigDict(extra="forbid")

    projection: str
    action: Action
    at_once: bool = False
    of_tenant: str = ""
    stream: Annotated[str, StringConstraints(max_length=MAX_STREAM), AfterValidator(line)] = ""
    position: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    reason: Reason = ""
    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Operate:
    """One thing that an operator asks of one read model."""

    action: Action
    projection: str
    reason: str = ""
    at_once: bool = False
    of_tenant: str = ""
    stream: str = ""
    position: int = 0
    carried_out: bool = False
