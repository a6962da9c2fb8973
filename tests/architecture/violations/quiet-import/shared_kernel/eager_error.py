"""A lending desk, planted to break a rule."""

raise RuntimeError("not today")
