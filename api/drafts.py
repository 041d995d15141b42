"""Drafts: orders that are written piece by piece, submitted once, and orders from then on (A08, C15)."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from structlog.contextvars import bind_contextvars

from api import answers, errors
from api.answers import answer
from api.body import StrictRoute
from api.errors import Problem, broken_rules, not_found
from api.house import House, TheHouse
from api.order_view import draft_body
from api.orders import OrderId
from api.schemas import examples
from api.schemas.drafts import DraftChange
from api.schemas.orders import OrderAnswer
from api.taking import etag, must_be_offered, submit
from domain.order import Order
from domain.size import too_many_lines
from models import drafts, views
from models.drafts import Draft

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)
_IfMatch = Annotated[
    str | None,
    Header(max_length=300, description="The `ETag` the draft was read with: refused when it was changed since."),
]


@router.patch(
    "/{order_id:ours}",
    summary="Change a draft",
    responses={
        200: {"model": OrderAnswer, **answers.documented("The draft as it is now.", examples.DRAFT,
                                                         ETag="Changes with every change.")},
        **errors.documented(*errors.BODY_ERRORS, 404, 409, 412),
    },
)  # fmt: skip
def change(order_id: OrderId, body: DraftChange, house: TheHouse, if_match: _IfMatch = None) -> Response:
    """Change what is said: fields of the order, and of its lines by their ids; a line with a new id is added.

    `remove` takes lines out, with all below them. A draft is not judged before it is submitted. An order that was
    submitted is not changed but revised (409).
    """
    bind_contextvars(order=order_id)

    def changed(draft: Draft) -> Order:
        if if_match is not None and if_match.strip() not in ("*", etag(draft), etag(draft).removeprefix("W/")):
            raise Problem(412, "Precondition failed", "The draft was changed since; read it again.")
        order, unknown = body.applied(draft.order)
        must_be_offered(house, order)
        if wrong := (*unknown, *too_many_lines(order)):
            raise broken_rules(wrong)
        return order

    draft = drafts.change(house.engine, order_id, changed)
    if draft is None:
        raise _no_draft(house, order_id)
    return answer(draft_body(draft), ETag=etag(draft))


@router.delete(
    "/{order_id:ours}",
    status_code=204,
    summary="Discard a draft",
    responses={204: {"description": "It is gone."}, **errors.documented(*errors.NO_BODY_ERRORS, 404, 409)},
)
def discard(order_id: OrderId, house: TheHouse) -> Response:
    """Forget an order that was never submitted. One that was is not deleted but cancelled (409)."""
    if not drafts.discard(house.engine, order_id):
        raise _no_draft(house, order_id)
    return Response(status_code=204)


@router.post(
    "/{order_id:ours}/submission",
    status_code=202,
    summary="Submit a draft",
    responses={
        202: {"model": OrderAnswer, **answers.documented("Stored; its run starts at once.", examples.ACKNOWLEDGED,
                                                         Location="Where the order is read.")},
        **errors.documented(*errors.NO_BODY_ERRORS, 404, 409),
    },
)  # fmt: skip
def submission(order_id: OrderId, house: TheHouse, request: Request) -> Response:
    """Make an order of a draft, exactly as if it had been sent now: judged by today's catalog, assets and open orders.

    One that breaks rules stays a draft. Submitted again it is answered as it stands.
    """
    return submit(house, request, order_id)


def _no_draft(house: House, order_id: str) -> Problem:
    if views.log_end(house.engine, order_id) is None:
        return not_found("order")
    return Problem(409, "Submitted", "The order was submitted: it can be revised or cancelled.")
