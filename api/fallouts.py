"""Fallouts: what needs a person, and what the person decides."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars

from api import answers, errors
from api.answers import ThePage, answer, listed, next_cursor
from api.body import StrictRoute
from api.deciding import NotOpen, decide, decide_all
from api.errors import Problem, not_found
from api.house import TheHouse
from api.schemas import examples
from api.schemas.fallouts import (
    Became,
    FalloutAnswer,
    FalloutChange,
    FalloutList,
    ResolutionAnswer,
    ResolutionIn,
    ResolutionsAnswer,
    ResolutionsIn,
    fallout_body,
)
from api.schemas.shape import Id, Text, Uuid
from domain.fallout import FalloutState, FalloutType
from models import views
from models.views import UNSETTLED, Selection
from models.work_list import PostgresWorkList

router = APIRouter(prefix="/v1/fallouts", tags=["fallouts"], route_class=StrictRoute)
_UNKNOWN = {"became": Became.UNKNOWN, "detail": "There is no such fallout."}
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
    "/{fallout_id:fallout}",
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


@router.patch(
    "/{fallout_id:fallout}",
    summary="Take a fallout",
    responses={
        200: {"model": FalloutAnswer, **answers.documented("The fallout as it is now.", examples.FALLOUT)},
        **errors.documented(*errors.BODY_ERRORS, 404, 409),
    },
)
def take(fallout_id: FalloutId, body: FalloutChange, house: TheHouse) -> Response:
    """Say who works on a fallout, how far that is, or how urgent it is (F26); who said so is kept."""
    taking = body.taking()
    PostgresWorkList(house.engine, house.due_times).take(fallout_id, taking)
    found = views.fallout(house.engine, fallout_id)
    if found is None:
        raise not_found("fallout")
    if not found["is_open"]:
        raise NotOpen
    if taking.hands_over and found["owner"] != taking.owner:
        raise Problem(409, "Taken", "Somebody else has taken the fallout; `take_over` (in a shell `--over`) takes it.")
    return answer(fallout_body(found))


@router.post(
    "/resolutions",
    summary="Decide about many fallouts",
    responses={
        200: {"model": ResolutionsAnswer, **answers.documented("What became of each.", examples.RESOLUTIONS)},
        **errors.documented(*errors.BODY_ERRORS),
    },
)
async def resolutions(body: ResolutionsIn, house: TheHouse, request: Request) -> Response:
    """Take the same decision about a selection: one page of it, newest first, a few at a time.

    Go on with `next_cursor` until there is none; what falls out anew meanwhile is not decided again. Once `threshold`
    decisions were refused or failed the others are answered as not attempted. What was named and is none is
    answered as unknown, with the first page. Sent again it does no harm: what was
    decided is not open any more.
    """
    page = answers.page(body.limit, body.cursor)
    found = await run_in_threadpool(views.fallouts, house.engine, page, body.selection.selection())
    starter = request.app.state.starter
    told = await decide_all(house, starter, found.items, body.resolution, threshold=body.threshold)
    named = body.selection.ids if body.selection.ids and not body.cursor else ()
    unknown = await run_in_threadpool(views.unknown_fallouts, house.engine, named)
    items = [*told["items"], *({"fallout": x, "order": None, **_UNKNOWN} for x in unknown)]
    return answer({**told, "items": items, "next_cursor": next_cursor(found, at="since")})


@router.post(
    "/{fallout_id:fallout}/resolution",
    summary="Decide about a fallout",
    responses={
        200: {"model": ResolutionAnswer, **answers.documented("The run has taken the decision.", examples.RESOLUTION)},
        **errors.documented(*errors.BODY_ERRORS, 404, 409),
    },
)
async def resolution(fallout_id: FalloutId, body: ResolutionIn, house: TheHouse, request: Request) -> Response:
    """Hand a decision to the order's run, and answer whether it takes it."""
    found = await run_in_threadpool(views.fallout, house.engine, fallout_id)
    if found is None:
        raise not_found("fallout")
    bind_contextvars(order=found["order"], fallout=fallout_id)
    outcome = await decide(house, request.app.state.starter, found, body.resolution(fallout_id))
    return answer({"fallout": fallout_id, "order": found["order"], "decision": body.decision, "outcome": outcome})
