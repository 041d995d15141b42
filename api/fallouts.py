"""Fallouts: what needs a person, and what the person decides."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from starlette.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars
from temporalio.client import RPCTimeoutOrCancelledError

from api import answers, errors
from api.answers import ThePage, answer, listed
from api.body import StrictRoute
from api.errors import Problem, not_found
from api.house import TheHouse
from api.schemas import examples
from api.schemas.fallouts import FalloutAnswer, FalloutList, ResolutionAnswer, ResolutionIn, fallout_body
from api.schemas.shape import Id, Text, Uuid
from domain.fallout import FalloutState, FalloutType
from domain.progress import Resolution
from models import views
from models.views import UNSETTLED, Selection
from workflows.start import NotResolved, resolve

router = APIRouter(prefix="/v1/fallouts", tags=["fallouts"], route_class=StrictRoute)
FalloutId = Annotated[Id, Path(description="The fallout's id.")]


async def _selection(  # noqa: PLR0913 - each is a filter by that name
    *,
    state: Annotated[
        FalloutState | Literal["unsettled", "all"], Query(description="`unsettled`: neither closed nor cancelled.")
    ] = "unsettled",
    type: Annotated[FalloutType | None, Query(description="Only of this type.")] = None,  # noqa: A002
    account: Annotated[Id | None, Query(description="Only of this account.")] = None,
    order: Annotated[Uuid | None, Query(description="Only of this order.")] = None,
    product: Annotated[Text | None, Query(description="Only of lines of this product.")] = None,
    owner: Annotated[Text | None, Query(description="Only those that this person has taken.")] = None,
    taken: Annotated[bool | None, Query(description="Only those that somebody, or nobody, has taken.")] = None,
    step: Annotated[Text | None, Query(description="Only at this step, or at every step of this function.")] = None,
    code: Annotated[Text | None, Query(description="Only with this error code.")] = None,
    overdue: Annotated[bool | None, Query(description="Only those past their due date, or only the others.")] = None,
) -> Selection:
    named = {"unsettled": UNSETTLED, "all": None}
    return Selection(
        states=named.get(state, (state,)),
        type=type,
        account=account,
        order=order,
        product=product,
        owner=owner,
        taken=taken,
        step=step,
        code=code,
        overdue=overdue,
    )


@router.get(
    "",
    summary="List fallouts",
    responses={
        200: {"model": FalloutList, **answers.documented("One page, in the order asked for.", examples.FALLOUTS,
                                                         X_Total_Count="How many there are in all.")},
        **errors.documented(422),
    },
)  # fmt: skip
def fallouts(
    house: TheHouse,
    page: ThePage,
    selection: Annotated[Selection, Depends(_selection)],
    sort: Annotated[Literal["newest", "due"], Query(description="`due`: what is due first, first.")] = "newest",
) -> Response:
    """The work list: what needs a person, how urgent it is, who has taken it, and what may be decided now (F26)."""
    found = views.fallouts(house.engine, page, selection, by_due_date=sort == "due")
    return listed(found, fallout_body, at="due_at" if sort == "due" else "since")


@router.get(
    "/{fallout_id}",
    summary="Read a fallout",
    responses={
        200: {"model": FalloutAnswer, **answers.documented("The fallout.", examples.FALLOUT)},
        **errors.documented(404, 422),
    },
)
def fallout(fallout_id: FalloutId, house: TheHouse) -> Response:
    """One fallout, and the decision once there is one."""
    found = views.fallout(house.engine, fallout_id)
    if found is None:
        raise not_found("fallout")
    return answer(fallout_body(found))


@router.post(
    "/{fallout_id}/resolution",
    summary="Decide about a fallout",
    responses={
        200: {"model": ResolutionAnswer, **answers.documented("The run has taken the decision.", examples.RESOLUTION)},
        **errors.documented(*errors.BODY_ERRORS, 404, 409),
    },
)
async def resolution(fallout_id: FalloutId, body: ResolutionIn, house: TheHouse) -> Response:
    """Hand a decision to the order's run, and answer whether it takes it."""
    found = await run_in_threadpool(views.fallout, house.engine, fallout_id)
    if found is None:
        raise not_found("fallout")
    if found["step"] is None:
        raise Problem(409, "Nothing to decide", "A detector found this; it is closed by itself when it is gone.")
    bind_contextvars(order=found["order"], fallout=fallout_id)
    decided = Resolution(
        fallout=fallout_id, decision=body.decision, actor=body.actor, reason=body.reason, input=body.input
    )
    try:
        outcome = await resolve(house.temporal, found["order"], decided)
    except NotResolved as refusal:
        raise _refused(refusal) from None
    except (RPCTimeoutOrCancelledError, RuntimeError):  # no worker, or no Temporal at all
        said = "The run did not answer in time; read the fallout before you decide again."
        raise Problem(503, "Try again later", said, headers={"Retry-After": "5"}) from None
    return answer({"fallout": fallout_id, "order": found["order"], "decision": body.decision, "outcome": outcome})


def _refused(refusal: NotResolved) -> Problem:
    match refusal.code:
        case "NOT_OPEN":
            return Problem(409, "Not open", "The fallout is not open any more.")
        case "NOT_ALLOWED":
            return Problem(409, "Not allowed here", f"{str(refusal).capitalize()}.")
        case _:
            return Problem(422, "Not a decision", "The run does not understand the input; see docs/operations.md.")
