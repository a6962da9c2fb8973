"""A lending desk, planted to break a rule."""

from pydantic_settings import BaseSettings


class LendingSettings(BaseSettings):
    """How long a loan lasts."""

    days: int = 14


SETTINGS = LendingSettings()
