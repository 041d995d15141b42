"""An embedded neighbour as an HTTP server: a route for each operation, its switches and its journal."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from adapters.ledger import Attempt, Ledger
from adapters.switches import Switch, Switches
from adapters.wire import Answer, Operation
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable
from domain.provisioning import Working

_REFUSED = TypeAdapter(Refused)


@dataclass(frozen=True, slots=True)
class Change:
    """An operation that changes something: ``act`` gets the key and what is asked."""

    operation: Operation[Any, Any]
    act: Callable[[str, Any], Any]


def serve(title: str, *, changes: Sequence[Change]) -> FastAPI:
    """A server of these operations; :func:`question` and :func:`add_controls` add to it.

    200 an answer, 202 still at it, 204 nothing to answer, 400 not understood, 409 refused, 503 not now, 500 as when an
    answer is lost.
    """
    app = FastAPI(title=title, description="One of the neighbours of Orderloom, embedded and served.")
    for change in changes:
        _add(app, change)
    _describe(app, [change.operation for change in changes])
    return app


def question(app: FastAPI, operation: Operation[None, Answer]) -> Callable[[Callable[..., Answer]], None]:
    """Serve an operation that changes nothing: its parameters are those of the decorated function."""

    def add(ask: Callable[..., Answer]) -> None:
        @wraps(ask)
        def endpoint(**parameters: Any) -> Response:  # noqa: ANN401 - what FastAPI read
            return _answered(operation, lambda: ask(**parameters))

        nothing: dict[int | str, dict[str, Any]] = {204: {"description": "Nothing is known"}}
        app.get(f"/{operation.name}", response_model=None, responses=nothing)(endpoint)

    return add


def add_controls(app: FastAPI, *, switches: Switches, ledger: Ledger) -> None:
    """Routes by which the neighbour is made to misbehave, and by which one sees what it was asked."""

    @app.get("/switches", tags=["control"])
    def every_switch() -> dict[str, Switch]:
        return switches.all()

    @app.put("/switches/{operation}", tags=["control"], status_code=204)
    def switch_on(operation: str, switch: Switch) -> None:
        try:
            switches.set(operation, switch)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error

    @app.delete("/switches/{operation}", tags=["control"], status_code=204)
    def switch_off(operation: str) -> None:
        switches.clear(operation)

    @app.get("/journal", tags=["control"])
    def journal() -> Sequence[Attempt]:
        return ledger.journal()


def _add(app: FastAPI, change: Change) -> None:
    async def endpoint(request: Request, idempotency_key: Annotated[str, Header()]) -> Response:
        try:
            asked = change.operation.asked.validate_json(await request.body(), strict=True)
        except ValidationError as error:
            return Response(str(error), 400, media_type="text/plain")
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to hear it
        return await run_in_threadpool(_answered, change.operation, lambda: change.act(unquote(idempotency_key), asked))

    app.add_api_route(
        f"/{change.operation.name}",
        endpoint,
        methods=["POST"],
        name=change.operation.name,
        openapi_extra={"requestBody": {"required": True, "content": _content(change.operation, "asked")}},
        responses=_responses(change.operation),
    )


def _answered(operation: Operation[Any, Any], act: Callable[[], Any]) -> Response:
    try:
        answer = act()
    except Unacceptable as error:
        return Response(str(error), 400, media_type="text/plain")
    except Unavailable as error:
        pause = {"Retry-After": str(math.ceil(error.retry_after_s))} if error.retry_after_s is not None else {}
        return Response(str(error), 503, pause, media_type="text/plain")
    except OutcomeUnknown as error:
        return Response(str(error), 500, media_type="text/plain")
    match answer:
        case None:
            return Response(status_code=204)
        case Refused():
            return Response(_REFUSED.dump_json(answer), 409, media_type="application/json")
        case _:
            status = 202 if isinstance(answer, Working) else 200
            return Response(operation.answer.dump_json(answer), status, media_type="application/json")


def _responses(operation: Operation[Any, Any]) -> dict[int | str, dict[str, Any]]:
    no_answer = {400: "Not understood", 409: "Refused", 500: "The answer is lost", 503: "Not now"}
    return {
        200: {"description": "The answer", "content": _content(operation, "answer")},
        **{status: {"description": said} for status, said in no_answer.items()},
    }


def _content(operation: Operation[Any, Any], part: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.name}.{part}"}}}


def _describe(app: FastAPI, operations: Sequence[Operation[Any, Any]]) -> None:
    """Let the OpenAPI document hold the shapes of questions and answers."""
    shapes: dict[str, TypeAdapter[Any]] = {}
    for operation in operations:
        shapes |= {f"{operation.name}.asked": operation.asked, f"{operation.name}.answer": operation.answer}
    found, shared = TypeAdapter.json_schemas(
        [(name, "validation", shape) for name, shape in shapes.items()], ref_template="#/components/schemas/{model}"
    )
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas |= shared.get("$defs", {}) | {str(name): schema for (name, _), schema in found.items()}
        return document

    app.openapi = described  # type: ignore[method-assign] # the way FastAPI offers
