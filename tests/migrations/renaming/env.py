"""Alembic's entry point; everything it does is shared by all databases."""

from shared_kernel.migrations import run

run()
