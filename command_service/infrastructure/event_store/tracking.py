"""The library's tracking recorder: how far a view has come, in the transaction that changes the view."""

from typing import Any

from eventsourcing.persistence import ProgrammingError
from eventsourcing.postgres import PostgresDatastore, PostgresRecorder, PostgresTrackingRecorder
from psycopg import Cursor, sql
from psycopg.rows import DictRow

_ADVANCE = """
SELECT notification_id
FROM {schema}.advance_tracking_v1({owner}, %(application_name)s, %(notification_id)s) AS advanced (notification_id)
"""

_TRACKED = "SELECT max(notification_id) AS max FROM {schema}.tracking WHERE owner = {owner} AND application_name = %s"


class LogTrackingRecorder(PostgresTrackingRecorder):
    """Subclass it for a view as one does with the library's own; the tracking table is the log's, made by migration."""

    def __init__(
        self, datastore: PostgresDatastore, *, tracking_table_name: str = "notification_tracking", **kwargs: Any
    ) -> None:
        if not datastore.single_row_tracking:
            raise ProgrammingError("SINGLE_ROW_TRACKING=n is not supported: the log keeps one row per application")
        super().__init__(datastore, tracking_table_name=tracking_table_name, **kwargs)
        self.sql_create_statements.clear()  # a view adds its own
        names = {"schema": sql.Identifier(datastore.schema), "owner": sql.Literal(tracking_table_name)}
        self.insert_tracking_statement = sql.SQL(_ADVANCE).format(**names)
        self.max_tracking_id_statement = sql.SQL(_TRACKED).format(**names)

    def create_table(self) -> None:
        """The view's own tables; the factory calls this under the migration lock."""
        PostgresRecorder.create_table(self)

    def _create_table(self, curs: Cursor[DictRow]) -> None:
        PostgresRecorder._create_table(self, curs)  # noqa: SLF001 (its own base, past the library's tracking table)
