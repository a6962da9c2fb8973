"""What a rule says when it finds a fault: where, which rule, and why in words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A fault at `path` (POSIX, relative to the checked root) and `line` (0: the whole file or folder)."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


Rule = Callable[[Path], list[Finding]]
"""Reads the tree under a root (the folder that holds the four packages) and answers every fault it finds."""
