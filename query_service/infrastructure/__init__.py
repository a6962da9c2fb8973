"""Plumbing of the query service: nothing here knows a feature."""
