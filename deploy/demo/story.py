"""What happened so far in the story, and whether each promise held."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from deploy.demo.visitor import Timings


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and whether it held."""

    promise: str
    held: bool
    seen: str


@dataclass
class Story:
    """Tells the reader what is going on and remembers every promise that was checked."""

    console: Console
    timings: Timings
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def chapter(self, title: str) -> None:
        """A heading."""
        self.console.print(f"\n[bold]{title}[/bold]")

    def tell(self, text: str) -> None:
        """A sentence."""
        self.console.print(f"  {text}", highlight=False)

    def expect(self, promise: str, held: bool, seen: object = "") -> bool:
        """Check a promise; what was seen is shown when it did not hold."""
        check = Check(promise, held, str(seen))
        self.checks.append(check)
        mark = "[green]✓[/green]" if held else "[red]✗[/red]"
        self.console.print(f"  {mark} {escape(promise)}", highlight=False)
        if not held:
            self.console.print(f"      [red]{escape(check.seen)}[/red]", highlight=False)
        return held

    def broken(self) -> list[Check]:
        """The promises that did not hold."""
        return [check for check in self.checks if not check.held]

    def show_refusal(self, title: str, answer: Any, status: int, code: str) -> None:
        """Show a problem answer and check its status and code."""
        problem = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        said = escape(str(problem.get("detail", "")))
        self.tell(f"[dim]{title}: {answer.status_code} {problem.get('type', '')}[/dim] {said}")
        held = answer.status_code == status and problem.get("code") == code
        self.expect(f"{title} is refused as {code}", held, f"{answer.status_code} {answer.text[:300]}")


Advance = Callable[[], None]
"""Moves a progress bar one step."""
