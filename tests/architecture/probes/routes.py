"""Builds every feature's routes and prints, as JSON, those that do not say exactly once who may call them.

Runs in a process of its own: `python <this file> <root>`. Each entry is [path, line, message].
"""

import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts

SIDES = ("command_service", "query_service")

Place = tuple[str, int]


def routers(root: Path, side: str) -> Iterator[tuple[str, APIRouter]]:
    """Feature and router, also of a feature that its service does not list yet."""
    for init in sorted((root / side / "features").glob("*/__init__.py")):
        module = importlib.import_module(f"{side}.features.{init.parent.name}")
        feature = getattr(module, "FEATURE", None)
        yield from ((init.parent.name, router) for router in getattr(feature, "routers", ()))


def faults(root: Path, side: str) -> Iterator[tuple[str, int, str]]:
    routes = importlib.import_module("shared_kernel.web.routes")
    for feature, router in routers(root, side):
        app = FastAPI(openapi_url=None)
        app.include_router(router)
        places = dict(_places(root, app))
        for fault in routes.undeclared_routes(app):
            path, line = places.get(fault.partition(": ")[0], (f"{side}/features/{feature}", 0))
            yield path, line, fault


def _places(root: Path, app: FastAPI) -> Iterator[tuple[str, Place]]:
    for route in iter_route_contexts(app.routes):
        endpoint = inspect.unwrap(route.endpoint) if route.endpoint else None
        code = getattr(endpoint, "__code__", None)
        if code is not None:
            file = Path(code.co_filename).relative_to(root).as_posix()
            yield f"{','.join(sorted(route.methods or {'*'}))} {route.path}", (file, code.co_firstlineno)


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    print(json.dumps([fault for side in SIDES for fault in faults(root, side)]))  # noqa: T201 - the answer to the test


if __name__ == "__main__":
    main()
