"""The dependency graph names a circle of imports, and draws the rest."""

from tests.support.dependencies import cycle, drawing


def test_graph_without_circle_passes() -> None:
    assert cycle({("app", "bootstrap"), ("bootstrap", "store"), ("app", "store")}) is None


def test_circle_is_named_in_the_order_of_its_imports() -> None:
    found = cycle({("app", "store"), ("store", "clock"), ("clock", "store")})
    assert found in (["store", "clock", "store"], ["clock", "store", "clock"])


def test_drawing_shows_parts_of_packages_once() -> None:
    text = drawing({("query.api.routes", "kernel.web.problems"), ("query.api.pages", "kernel.web.headers")})
    assert text.count('"query.api" -> "kernel.web";') == 1
