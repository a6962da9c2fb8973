"""The variables by which an `eventsourcing` application is told where its log is."""

from psycopg.conninfo import conninfo_to_dict

MODULE = "command_service.infrastructure.event_store"


def library_variables(url: str, **more: str) -> dict[str, str]:
    parts = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": MODULE,
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts.get("password", "")),
        **more,
    }
