"""A lending desk, planted to break a rule."""


def lend_0() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_1() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_2() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_3() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_4() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_5() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_6() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_7() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_8() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_9() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""


def lend_10() -> None:  # pragma: no cover - planted to exceed the budget
    """Lends."""
