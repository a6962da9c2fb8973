"""Answers in the caller's language."""

import inspect

import pytest

from shared_kernel.errors import Message, TwinlogError
from shared_kernel.web.problems import known_problems, title_of
from shared_kernel.web.translation import Catalogue

WHERE = ("shared_kernel.errors", "shared_kernel.web", "shared_kernel.messaging")


def own_problems() -> dict[str, type[TwinlogError]]:
    return {code: cls for code, cls in known_problems().items() if cls.__module__.startswith(WHERE)}


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("de-AT, en;q=0.8", "de"),
        ("en, de", "en"),
        ("fr, de;q=0.4, en;q=0.3", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("en;q=0, de;q=0.1", "de"),
        ("de;q=0", "en"),
        ("de;q=nonsense, en;q=0.1", "en"),
        ("de" * 5000, "en"),
        ("DE", "de"),
    ],
)
def test_language_follows_the_callers_preference(accept_language: str | None, language: str) -> None:
    assert Catalogue().choose(accept_language) == language


def test_every_problem_of_the_kernel_has_a_german_title_and_detail() -> None:
    catalogue = Catalogue()
    for code, cls in own_problems().items():
        message = inspect.cleandoc(cls.__doc__ or "").splitlines()[0]
        assert catalogue.knows(title_of(code), "de"), title_of(code)
        assert catalogue.knows(message, "de"), message


def test_message_is_english_text_that_can_be_said_again() -> None:
    message = Message("The body is nested more than {depth} levels deep.", depth=32)
    assert message == "The body is nested more than 32 levels deep."
    assert Catalogue().say(message, "de") == "Der Inhalt ist tiefer als 32 Ebenen verschachtelt."


def test_text_without_translation_stays_english() -> None:
    assert Catalogue().say("Never heard of it.", "de") == "Never heard of it."
    assert Catalogue().say(Message("Never {what}.", what="mind"), "de") == "Never mind."


def test_later_translations_win_and_may_add_a_language() -> None:
    catalogue = Catalogue([{"de": {"Forbidden": "Verboten"}, "fr": {"Forbidden": "Interdit"}}])
    assert catalogue.languages == ("en", "de", "fr")
    assert catalogue.say("Forbidden", "de") == "Verboten"
    assert catalogue.say("Forbidden", catalogue.choose("fr-CA")) == "Interdit"
