"""A lending desk, planted to break a rule."""
