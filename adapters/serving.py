"""An embedded neighbour for others, over HTTP: what :mod:`adapters.remote` speaks to."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from adapters.switches import Switch, Switches
from adapters.wire import Operation
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable
from domain.provisioning import Working

_SWITCH = TypeAdapter(Switch)

Do = Callable[[str, Any], Any]
"""Does an operation, given the key and what is asked."""
Read = Callable[[QueryParams], Any]
"""Answers a question, given its parameters."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a neighbour does and answers, operation by operation, and the switches that make it misbehave."""

    name: str
    switches: Switches
    does: Mapping[Operation[Any, Any], Do] = field(default_factory=dict)
    reads: Mapping[Operation[Any, Any], Read] = field(default_factory=dict)


def create_app(served: Served) -> FastAPI:
    """The neighbour as an application of its own."""
    app = FastAPI(title=served.name, docs_url=None, redoc_url=None)
    for operation, do in served.does.items():
        app.add_api_route(f"/{operation.name}", _doing(operation, do), methods=["POST"])
    for operation, read in served.reads.items():
        app.add_api_route(f"/{operation.name}", _reading(operation, read), methods=["GET"])
    app.add_api_route("/switches/{operation}", _switching(served.switches), methods=["PUT"])
    app.add_api_route("/switches/{operation}", _clearing(served.switches), methods=["DELETE"])
    return app


def _doing(operation: Operation[Any, Any], do: Do) -> Callable[..., Any]:
    async def post(request: Request) -> Response:
        try:
            asked = operation.asked.validate_json(await request.body())
        except ValidationError as error:
            return _said(400, str(error.error_count()))
        key = request.headers.get("idempotency-key", "")
        return await run_in_threadpool(_answered, operation, lambda: do(key, asked))

    return post


def _reading(operation: Operation[Any, Any], read: Read) -> Callable[..., Any]:
    async def get(request: Request) -> Response:
        return await run_in_threadpool(_answered, operation, lambda: read(request.query_params))

    return get


def _answered(operation: Operation[Any, Any], ask: Callable[[], Any]) -> Response:
    try:
        answer = ask()
    except Unavailable as error:
        pause = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
        return _said(503, str(error), pause)
    except OutcomeUnknown as error:
        return _said(500, str(error))
    except (Unacceptable, KeyError, ValueError) as error:
        return _said(400, str(error))
    status = 409 if isinstance(answer, Refused) else 202 if isinstance(answer, Working) else 200
    return Response(operation.answer.dump_json(answer), status, media_type="application/json")


def _switching(switches: Switches) -> Callable[..., Any]:
    async def put(operation: str, request: Request) -> Response:
        try:
            switch = _SWITCH.validate_json(await request.body())
            await run_in_threadpool(switches.set, operation, switch)
        except (ValidationError, ValueError) as error:
            return _said(400, str(error))
        return Response(status_code=204)

    return put


def _clearing(switches: Switches) -> Callable[..., Any]:
    async def delete(operation: str) -> Response:
        await run_in_threadpool(switches.clear, operation)
        return Response(status_code=204)

    return delete


def _said(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps({"detail": sentence})
    return Response(body, status, media_type="application/json", headers=dict(headers or {}))
