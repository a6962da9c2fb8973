"""A lending desk, planted to break a rule."""

from pathlib import Path

Path("loans").mkdir()
