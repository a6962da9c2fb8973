"""Words that a password may not be made of: those of the product, of the installation and of the person."""

import re
from collections.abc import Iterable

OWN_LETTERS = 2
"""How many letters a password must have besides these words; digits and signs do not count, everybody adds those.

No more: who uses a word of this place in a phrase of their own is not to be hindered.
"""

SHORTEST = 3
"""Shorter words are found in too many good passwords."""

PRODUCT = ("twinlog", "admin", "administrator", "operator", "auditor", "member", "tenant", "default")
"""The product and the names of its roles; an operator adds those of the organisation."""

_ALIKE = str.maketrans("0134579@$!|+l", "oieastgasiiti")
_WORD = re.compile(r"[^\W\d_]+")


def words_of(*texts: str) -> frozenset[str]:
    """The words in names, addresses and the like, as they are compared: `Ada.King@acme.example` has four."""
    found = (word for text in texts for part in _parts(text) for word in (part, *_WORD.findall(part)))
    return frozenset(word.translate(_ALIKE) for word in found if len(word) >= SHORTEST)


def is_made_of(password: str, words: Iterable[str]) -> bool:
    """Whether a password is hardly more than some of these words (of `words_of`), digits and signs.

    Case makes no difference, nor do digits and signs that stand for letters: `Tw1nl0g-2026!` is the product's name.
    """
    folded = password.casefold()
    left, alike = list(folded), folded.translate(_ALIKE)
    found = [match.span() for word in words for match in re.finditer(re.escape(word), alike)]
    for start, end in found:
        left[start:end] = " " * (end - start)
    return bool(found) and sum(character.isalpha() for character in left) < OWN_LETTERS


def _parts(text: str) -> list[str]:
    return re.split(r"[\s@._+\-]+", text.casefold())
