"""Cancelling an order under way: accepted or refused at once, and truly so (2.3)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars

from api import answers, errors
from api.answers import answer
from api.body import StrictRoute
from api.errors import Problem, broken_rules
from api.house import House, TheHouse
from api.schemas import examples
from api.schemas.cancellation import CancellationAnswer, CancellationIn
from api.schemas.shape import Uuid
from api.taking import absent
from api.telling import past_no_return, tell
from domain.order import State
from domain.plan import SETTLED
from domain.progress import Cancellation
from domain.violation import Violation
from models import views
from workflows.start import Declined, cancel

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)
OrderId = Annotated[Uuid, Path(description="The order's id.")]


@router.post(
    "/{order_id:ours}/cancellation",
    summary="Cancel an order",
    responses={
        200: {"model": CancellationAnswer,
              **answers.documented("Cancelled, or everything done for it is being taken back.", examples.CANCELLATION)},
        **errors.documented(*errors.BODY_ERRORS, 404, 409),
    },
)  # fmt: skip
async def cancellation(
    order_id: OrderId, house: TheHouse, request: Request, body: CancellationIn | None = None
) -> Response:
    """Cancel the whole order if everything that was done for it can be taken back.

    Past the point of no return it is refused, and the answer names line and step. `force` is for operators: it also
    takes services down that are active and not billed yet; who did so, and why, is on record.
    """
    bind_contextvars(order=order_id)
    wish = _wish(body or CancellationIn())
    try:
        state = await tell(house, request, order_id, lambda: cancel(house.temporal, order_id, wish))
    except Declined as refusal:
        state = await run_in_threadpool(_state_or_refusal, house, order_id, refusal)
    return answer({"order": order_id, "state": state})


def _wish(body: CancellationIn) -> Cancellation:
    if body.force and body.reason is None:
        message = "Whoever forces a cancellation says why."
        raise broken_rules([Violation(code="NO_REASON", rule="2.7", field="reason", message=message)])
    return body.cancellation()


def _state_or_refusal(house: House, order_id: str, refusal: Declined) -> str:
    """``cancelled`` where the order was cancelled before; else the refusal is raised."""
    match refusal.code, refusal.details:
        case "NO_RETURN", (line, step):
            raise past_no_return(line, step)
        case "NOT_OPEN", _:
            return _of_closed_run(house, order_id)
        case _:
            raise Problem(422, "Not a cancellation", "The run does not understand it; see docs/operations.md.")


def _of_closed_run(house: House, order_id: str) -> str:
    found = views.order(house.engine, order_id)
    if found is None:
        raise absent(house, order_id)
    if found["state"] == State.CANCELLED:
        return State.CANCELLED
    _, steps = views.plan(house.engine, order_id) or (0, ())
    for step in steps:
        if step["no_return"] and step["state"] in SETTLED:
            raise past_no_return(step["subject"], step["id"], is_over=True)
    raise Problem(409, "Not open", f"The order is {found['state']}.")
