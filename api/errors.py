"""How the API says no: RFC 9457 problems that never repeat what was sent."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from api.schemas.orders import NoAmount
from api.schemas.problem import ProblemAnswer
from domain.violation import Violation

MEDIA_TYPE = "application/problem+json"
SHAPE = "SHAPE"
"""The code of a violation of the documented shape; every other code is a business rule's."""

log = structlog.get_logger()


class Problem(HTTPException):
    """An answer that says no; ``violations`` are all the rules the request broke."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str | None = None,
        violations: Iterable[Violation] = (),
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, title, headers=dict(headers or {}))
        self.title = title
        self.explanation = detail
        self.violations = tuple(violations)


def not_found(noun: str) -> Problem:
    """There is no such thing."""
    return Problem(404, "Not found", f"There is no such {noun}.")


def broken_rules(violations: Iterable[Violation]) -> Problem:
    """The request has the right shape and breaks business rules: all of them, at once (W7)."""
    return Problem(422, "Rules are broken", "Nothing was stored; mend all violations and send it again.", violations)


def violation_body(violation: Violation) -> dict[str, str]:
    """A violation as it goes over the wire; what does not apply is left out."""
    fields = ("code", "rule", "line", "product", "field", "message")
    return {name: value for name in fields if (value := getattr(violation, name)) is not None}


def problem_answer(request_id: str, problem: Problem) -> Response:
    """The problem as an HTTP answer; ``instance`` is the request's id, by which the logs know it."""
    slug = re.sub(r"[^a-z0-9]+", "-", problem.title.lower()).strip("-")
    body: dict[str, Any] = {
        "type": f"urn:orderloom:problem:{slug}",
        "title": problem.title,
        "status": problem.status_code,
        "instance": f"urn:uuid:{request_id}",
    }
    if problem.explanation:
        body["detail"] = problem.explanation
    if problem.violations:
        body["violations"] = [violation_body(x) for x in problem.violations]
    return Response(to_json(body), problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of an operation for OpenAPI, with those that any operation can answer."""
    everywhere = (500, 503)
    return {
        status: {
            "description": _MEANING[status],
            "model": ProblemAnswer,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}},
        }
        for status in (*statuses, *everywhere)
    }


_MEANING = {
    400: "The body is not acceptable JSON, or there is one where none is taken.",
    403: "It may not be done this way.",
    404: "There is no such thing.",
    408: "The body took too long to arrive.",
    409: "It contradicts what is there.",
    412: "It has changed since it was read.",
    413: "The body is larger than 1 MB.",
    415: "The body is not `application/json`.",
    422: "The request does not have the documented shape, or breaks business rules: all violations at once.",
    500: "A fault of ours; the log knows the request by `instance`.",
    503: "The database or Temporal cannot be reached; try again.",
}

BODY_ERRORS = (400, 408, 413, 415, 422)
"""What any operation with a body can answer."""

NO_BODY_ERRORS = (400, 408, 413, 422)
"""What an operation that changes something and takes no body can answer."""


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""

    async def problem(request: Request, error: Exception) -> Response:
        return problem_answer(request.state.id, _as_problem(request, error))

    async def mispriced(request: Request, error: Exception) -> Response:
        assert isinstance(error, NoAmount)
        message = "The price is no amount of its currency."
        violation = Violation(code="PRICE", rule="F31", line=error.line, field="price", message=message)
        return problem_answer(request.state.id, broken_rules([violation]))

    for kind in (HTTPException, RequestValidationError, DataError, OperationalError, NoConnectionFree, RPCError):
        app.add_exception_handler(kind, problem)
    app.add_exception_handler(NoAmount, mispriced)


def _as_problem(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case HTTPException(status_code=HTTPStatus.METHOD_NOT_ALLOWED):
            allowed = request.app.state.allowed_methods(request.scope)
            return Problem(405, "Method not allowed", f"Allowed: {allowed}.", headers={"Allow": allowed})
        case HTTPException():
            status = HTTPStatus(error.status_code)
            why = "There is nothing by that name here." if status is HTTPStatus.NOT_FOUND else None
            return Problem(status, status.phrase, why, headers=error.headers)
        case RequestValidationError():
            return _misshapen(error.errors(), _published_names(request.app))
        case DataError():  # a forged cursor, for one
            return Problem(422, "Out of bounds", "A value is not of the kind that is compared with.")
        case _:
            log.warning("a neighbour did not answer", error=repr(error))
            return Problem(503, "Try again later", headers={"Retry-After": "1"})


def _misshapen(errors: Sequence[Mapping[str, Any]], published: frozenset[str]) -> Problem:
    violations = [
        Violation(code=SHAPE, rule="W4", field=_place(error["loc"], published), message=_message(error))
        for error in errors[:100]
    ]
    return Problem(422, "Not the documented shape", "See /openapi.json for the shape of each operation.", violations)


def _place(loc: Sequence[str | int], published: frozenset[str]) -> str | None:
    """Where it is, as far as the path consists of our own names: a name the client made up is not repeated."""
    parts: list[str] = []
    for part in loc:
        if isinstance(part, int):
            parts.append(str(part))
        elif part in published:
            parts.append(part)
        else:
            break
    return ".".join(parts) or None


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] in _OWN_WORDS:
        return _OWN_WORDS[error["type"]]
    return str(error["msg"]).removeprefix("Value error, ")


_OWN_WORDS = {
    "extra_forbidden": "There is no such field here.",
    "json_invalid": "The body is not acceptable JSON.",
    "string_pattern_mismatch": "Characters that are not allowed here.",
    "string_unicode": "Characters that are not allowed here.",
    "union_tag_invalid": "None of the documented alternatives.",
}


@cache
def _published_names(app: FastAPI) -> frozenset[str]:
    """Every name the OpenAPI document publishes: repeating one is no echo of the input."""
    document = app.openapi()
    schemas = document.get("components", {}).get("schemas", {}).values()
    names = {name for schema in schemas for name in schema.get("properties", {})}
    operations = (x for path in document["paths"].values() for x in path.values())
    names |= {parameter["name"] for x in operations for parameter in x.get("parameters", ())}
    return frozenset(names | {"body", "path", "query", "header"})
