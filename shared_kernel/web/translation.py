"""Answers in the caller's language: English text is the key, each language a dictionary next to the code."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from shared_kernel.errors import Message
from shared_kernel.web.german import GERMAN

ENGLISH = "en"

Translations = Mapping[str, Mapping[str, str]]
"""Language tag (`de`) to a dictionary from English text or template to the same in that language."""

KERNEL_TRANSLATIONS: Translations = MappingProxyType({"de": GERMAN})

_QUALITY = r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?"
_RANGE = re.compile(rf"\s*([A-Za-z]{{1,8}}|\*)(?:-[A-Za-z0-9-]{{1,32}})?\s*(?:;\s*q\s*=\s*({_QUALITY}))?\s*")


class Catalogue:
    """All translations of one service: the kernel's and those its features bring, the later ones winning."""

    def __init__(self, further: Iterable[Translations] = ()) -> None:
        merged: dict[str, dict[str, str]] = {ENGLISH: {}}
        for translations in (KERNEL_TRANSLATIONS, *further):
            for language, texts in translations.items():
                merged.setdefault(language, {}).update(texts)
        self._texts: Mapping[str, Mapping[str, str]] = MappingProxyType(merged)
        self._choose = lru_cache(maxsize=256)(self._best)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self._texts)

    def choose(self, accept_language: str | None) -> str:
        """The language to answer in, by the Accept-Language header; English when nothing fits."""
        return self._choose(accept_language[:256]) if accept_language else ENGLISH

    def say(self, text: str, language: str) -> str:
        """The text in that language, or the English text where there is no translation."""
        texts = self._texts[language]
        if isinstance(text, Message):
            template = texts.get(text.template)
            return str(text) if template is None else template.format(**text.values)
        return texts.get(text, text)

    def knows(self, key: str, language: str) -> bool:
        """Whether there is a translation for this text or template."""
        return key in self._texts[language]

    def _best(self, accept_language: str) -> str:
        weights: dict[str, float] = {}
        for part in accept_language.split(","):
            found = _RANGE.fullmatch(part)
            if found:
                tag = found[1].lower()
                weights[tag] = max(weights.get(tag, 0.0), float(found[2] or 1))
        anything = weights.get("*", 0.0)
        ranked = {language: weights.get(language, anything) for language in self._texts}
        best = max(ranked, key=lambda language: ranked[language])
        return best if ranked[best] > 0 else ENGLISH
