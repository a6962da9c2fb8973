"""Alembic enters here; the mechanics are shared by every database of the pair."""

from shared_kernel import migrations

migrations.run()
