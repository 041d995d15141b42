"""Approving an order, or rejecting it, before anything is done for it (F31)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from structlog.contextvars import bind_contextvars

from api import answers, errors
from api.answers import answer
from api.body import StrictRoute
from api.errors import Problem
from api.house import TheHouse
from api.schemas import examples
from api.schemas.approval import ApprovalAnswer, ApprovalIn
from api.schemas.shape import Uuid
from api.telling import tell
from workflows.start import Declined, approve

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)
OrderId = Annotated[Uuid, Path(description="The order's id.")]


@router.post(
    "/{order_id:ours}/approval",
    summary="Approve an order",
    responses={
        200: {"model": ApprovalAnswer, **answers.documented("The verdict is on record.", examples.APPROVAL)},
        **errors.documented(*errors.BODY_ERRORS, 404, 409),
    },
)
async def approval(order_id: OrderId, body: ApprovalIn, house: TheHouse, request: Request) -> Response:
    """Approve an order that waits for it, which then goes on, or reject it, which ends it; who and why is kept.

    What has to be approved stands in the order's `reason`: the catalog's rules say it (F31).
    """
    bind_contextvars(order=order_id)
    try:
        state = await tell(house, request, order_id, lambda: approve(house.temporal, order_id, body.approval()))
    except Declined as refusal:
        if refusal.code != "NOT_OPEN":
            raise Problem(422, "Not a verdict", "Actor and reason are needed.") from None
        raise Problem(409, "Not waiting", "The order does not wait for approval.") from None
    return answer({"order": order_id, "decision": body.decision, "state": state})
