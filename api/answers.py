"""Successful answers: JSON bytes made once, and pages of lists."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Response
from pydantic_core import to_json

from api.errors import Problem
from api.schemas.shape import MAX_PAGE, Cursor
from domain.money import Money
from domain.violation import Violation
from models.views import Found, Listed, Page


def answer(body: Any, status: int = 200, **headers: str) -> Response:  # noqa: ANN401 - any JSON value
    """A JSON answer; a header's underscores stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(to_json(body), status, headers=named, media_type="application/json")


def money_body(money: Money) -> dict[str, str]:
    """An amount as it goes over the wire."""
    return {"amount": str(money), "currency": money.currency}


def documented(description: str, example: object, **headers: str) -> dict[str, Any]:
    """What OpenAPI says of a successful answer."""
    return {
        "description": description,
        "content": {"application/json": {"example": example}},
        "headers": {
            name.replace("_", "-"): {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in headers.items()
        },
    }


_Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many at most.")]
_Cursor = Annotated[Cursor, Query(description="The previous page's.")]


async def _page(limit: _Limit = 50, cursor: _Cursor = "") -> Page:
    return page(limit, cursor)


def page(limit: int, cursor: str) -> Page:
    """Which part of a list is asked for."""
    if not cursor:
        return Page(limit=limit)
    try:
        at, id_ = json.loads(urlsafe_b64decode(cursor))
        return Page(limit=limit, at=datetime.fromisoformat(at), id=_safe(id_))
    except (ValueError, TypeError, AttributeError):
        raise foreign_cursor() from None


ThePage = Annotated[Page, Depends(_page)]
"""A route's parameter: which part of a list is asked for."""


def foreign_cursor() -> Problem:
    """A cursor that no page of ours has given."""
    violation = Violation(code="CURSOR", rule="W4", field="query.cursor", message="No page has given this cursor.")
    return Problem(422, "Not a cursor", violations=[violation])


def listed(found: Listed, item: Callable[[Found], Mapping[str, Any]], *, at: str) -> Response:
    """One page of a list; ``at`` names the field it is ordered by."""
    items = [item(x) for x in found.items]
    return answer({"items": items, "next_cursor": next_cursor(found, at=at)}, X_Total_Count=str(found.total))


def next_cursor(found: Listed, *, at: str) -> str | None:
    """Where the page after this one begins, if there is one."""
    if not found.more:
        return None
    last = found.items[-1]
    return urlsafe_b64encode(json.dumps([last[at].isoformat(), last["id"]]).encode()).decode()


def _safe(id_: Any) -> str:  # noqa: ANN401
    if not (isinstance(id_, str) and id_.isascii() and id_.replace("-", "").isalnum()):
        raise ValueError("not an id")
    return id_
