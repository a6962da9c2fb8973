"""What one look at one thing says, and what all of them together mean for an exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared_kernel.process import EXIT_UNREACHABLE
from shared_kernel.terminal import EXIT_FOUND


class State(StrEnum):
    """How a thing was found."""

    FINE = "fine"
    FOUND = "found"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what to do about it (`advice`, empty where nothing is to be done).

    `facts` are for machines: figures and lists that do not fit into a line.
    """

    name: str
    state: State
    says: str
    advice: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "state": str(self.state), "says": self.says, "advice": self.advice, **self.facts}

    def as_line(self) -> str:
        advice = f" To do: {self.advice}" if self.advice else ""
        return f"{self.state:<12}{self.name:<22}{self.says}{advice}"


def fine(name: str, says: str, **facts: Any) -> Check:
    return Check(name, State.FINE, says, facts=facts)


def found(name: str, says: str, advice: str, **facts: Any) -> Check:
    return Check(name, State.FOUND, says, advice, facts)


def unreachable(name: str, says: str, advice: str, **facts: Any) -> Check:
    return Check(name, State.UNREACHABLE, says, advice, facts)


def skipped(name: str, says: str) -> Check:
    return Check(name, State.SKIPPED, says)


def exit_code(checks: Sequence[Check]) -> int:
    """0 when all is fine; 3 when something could not be looked at because it does not answer; 1 for what was found."""
    states = {check.state for check in checks}
    if State.UNREACHABLE in states:
        return EXIT_UNREACHABLE
    return EXIT_FOUND if State.FOUND in states else 0
