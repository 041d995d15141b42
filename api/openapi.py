"""The OpenAPI document, as the routes say it."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import Match, Route
from starlette.types import Scope

from api.errors import MEDIA_TYPE


def describe(app: FastAPI, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """The document: problems are `application/problem+json` only, and examples keep what is null."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for route in (x for router in routers for x in router.routes):
            if isinstance(route, APIRoute) and route.path_format in document["paths"]:
                for method in route.methods or ():
                    _mend(document["paths"][route.path_format][method.lower()]["responses"], route)
        app.openapi_schema = document
    return app.openapi_schema


def _mend(responses: dict[str, Any], route: APIRoute) -> None:
    for status, said in route.responses.items():
        content = responses[str(status)].get("content", {})
        if MEDIA_TYPE in content:
            content.pop("application/json", None)
        for media_type, described in said.get("content", {}).items():
            if "example" in described:
                content[media_type]["example"] = described["example"]


def allowed_methods(routers: Iterable[APIRouter], scope: Scope) -> str:
    """The methods that the request's path has, for ``Allow``."""
    routes = (x for router in routers for x in router.routes if isinstance(x, Route))
    found = (route.methods or () for route in routes if route.matches(scope)[0] is not Match.NONE)
    return ", ".join(sorted({method for methods in found for method in methods}))
