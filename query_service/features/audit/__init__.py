"""Audit: who did what, from the query side's own copy of the log."""
