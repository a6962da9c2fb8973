"""A lending desk, planted to break a rule."""

LOANS = eval("1 + 2")  # noqa: S307
READERS: int = "three"  # type: ignore[assignment]
COPIES = "three"  # noqa: S105 - a number in words, no password


def lend() -> None:  # pragma: no cover
    """Lends."""
