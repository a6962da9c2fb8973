"""What we are compared with over HTTP, each a process of its own: `python -m tests.benchmarks.http_peers echo PORT`.

Bare FastAPI that says back what it heard, and FastAPI with the `eventsourcing` library wired as its documentation does.
Both run on the same server as our services: one worker of uvicorn with uvloop and httptools, no access log.
"""

import sys
from typing import Any
from uuid import UUID

import uvicorn
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI
from pydantic import BaseModel

from shared_kernel.web.server import run


class Details(BaseModel):
    """The body of `POST /v1/resources`."""

    name: str
    description: str = ""
    classification: str = "internal"
    attributes: dict[str, Any] = {}
    tags: list[str] = []


class Made(BaseModel):
    """What the book's application answers."""

    id: UUID
    version: int


def echo() -> FastAPI:
    """Reads a body into a model and answers the same model as JSON; reads an id and answers it."""
    app = FastAPI()

    @app.post("/v1/resources", status_code=201)
    async def say_back(details: Details) -> Details:
        return details

    @app.get("/v1/resources/{resource_id}")
    async def say_id(resource_id: UUID) -> dict[str, UUID]:
        return {"id": resource_id}

    return app


class Resource(Aggregate):
    """The same business object as ours, without anything around it."""

    @event("Created")
    def __init__(
        self, name: str, description: str, classification: str, attributes: dict[str, Any], tags: list[str]
    ) -> None:
        self.name = name
        self.description = description
        self.classification = classification
        self.attributes = attributes
        self.tags = tags


class Resources(Application[UUID]):
    """As the library's tutorial has it."""

    def create(self, details: Details) -> Made:
        resource = Resource(**details.model_dump())
        self.save(resource)
        return Made(id=resource.id, version=resource.version)


def book() -> FastAPI:
    """Connected by the library's own variables; routes are plain functions, for the library is synchronous."""
    app, resources = FastAPI(), Resources()

    @app.post("/v1/resources", status_code=201)
    def create(details: Details) -> Made:
        return resources.create(details)

    return app


APPS = {"echo": echo, "book": book}


def main() -> None:
    app, port = APPS[sys.argv[1]](), int(sys.argv[2])
    config = uvicorn.Config(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
