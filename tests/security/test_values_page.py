"""The page about values that must fit together names rules, problems and tests that there are."""

import re

import pytest

from command_service.features.resources import commands as resources
from tests.security.reading import ROOT, rows, text_of

PAGE = text_of("values.md")
DOCUMENTED = "".join(
    (ROOT / f"docs/api/{name}.openapi.json").read_text(encoding="utf-8") for name in ("command", "query")
)


@pytest.mark.asvs("V2.1.2")
def test_every_rule_names_its_problem_and_a_test_that_there_is() -> None:
    for values, rule, otherwise, shown in rows(PAGE):
        assert values
        assert rule
        for code in re.findall(r"`([^`]+)`", otherwise):
            assert f'"{code}"' in DOCUMENTED, code
        (named,) = re.findall(r"`([^`]+)`", shown)
        file, _, test = named.partition("::")
        assert (ROOT / file).is_file(), file
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8") if test else True, named


@pytest.mark.asvs("V2.1.2")
def test_bounds_are_those_of_the_code() -> None:
    bounds = f"{resources.MAX_BYTES} bytes as JSON, {resources.MAX_DEPTH} levels, {resources.MAX_KEYS} keys"
    assert bounds in PAGE
