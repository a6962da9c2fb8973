"""The two OpenAPI documents as they are committed; `python -m tests.contract.documents` writes them anew."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI

import command_service.app
import command_service.bootstrap
import command_service.settings
import query_service.app
import query_service.bootstrap
import query_service.settings
from shared_kernel.web.openapi import openapi_document

FOLDER = Path(__file__).parents[2] / "docs" / "api"
NOWHERE = "postgresql://nobody@nowhere/nothing"


def applications() -> Mapping[str, FastAPI]:
    """Both services by the name of their document, wired but connected to nothing."""
    command = command_service.settings.Settings(
        env="development", command_database_url=NOWHERE, vault_database_url=NOWHERE
    )
    query = query_service.settings.Settings(
        env="development", query_database_url=NOWHERE, vault_database_url=NOWHERE, redis_url="redis://nowhere"
    )
    return {
        "command.openapi.json": command_service.app.create_app(command_service.bootstrap.bootstrap(command)),
        "query.openapi.json": query_service.app.create_app(query_service.bootstrap.bootstrap(query)),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, app in applications().items():
        (FOLDER / name).write_bytes(openapi_document(app))
