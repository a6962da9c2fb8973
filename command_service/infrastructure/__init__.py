"""Plumbing of the command service: nothing here knows a feature."""
