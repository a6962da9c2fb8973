"""`.env.example` names every setting, and nothing that is none."""

import re

from command_service.settings import Settings as CommandSettings
from deploy.doctor.surroundings import PROCESSES
from query_service.settings import Settings as QuerySettings
from shared_kernel.settings import PREFIX, SECRETS_DIR
from tests.support.processes import ROOT


def test_the_example_lists_every_setting_of_both_services() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(rf"^({PREFIX}\w+)=", text, flags=re.MULTILINE))
    fields = {*CommandSettings.model_fields, *QuerySettings.model_fields}
    elsewhere = {f"{PREFIX}{name.upper()}_URL" for name in PROCESSES}  # of the doctor
    assert named == {SECRETS_DIR, *elsewhere, *(f"{PREFIX}{field.upper()}" for field in fields)}
