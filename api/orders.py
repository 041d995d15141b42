"""Orders: submit, preview, read."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from api import answers, errors
from api.answers import ThePage, answer, listed
from api.body import StrictRoute
from api.errors import broken_rules
from api.house import TheHouse
from api.idempotency import GivenKey, key_for
from api.order_view import draft_summary, summary_body
from api.preview import preview_body
from api.schemas import examples
from api.schemas.orders import NewOrderIn, OrderAnswer, OrderIn, OrderList, PlanAnswer, PreviewAnswer
from api.schemas.shape import Id, Text, Uuid
from api.taking import Wish, absent, as_it_stands, keep, take
from domain.change import completed
from domain.decomposed import Decomposed
from domain.order import Order, State
from domain.size import too_many_lines
from models import drafts, submissions, views

ROUTE = "POST /v1/orders"

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)
OrderId = Annotated[Uuid, Path(description="The order's id.")]


@router.post(
    "",
    status_code=202,
    summary="Submit an order",
    responses={
        202: {"model": OrderAnswer, **answers.documented("Stored; its run starts at once.", examples.ACKNOWLEDGED,
                                                         Location="Where the order is read.")},
        201: {"model": OrderAnswer, **answers.documented("Kept as a draft.", examples.DRAFT,
                                                         Location="Where the draft is read.")},
        **errors.documented(*errors.BODY_ERRORS, 409),
    },
)  # fmt: skip
def submit(body: NewOrderIn, house: TheHouse, request: Request, idempotency_key: GivenKey) -> Response:
    """Store an order and start its run (W7).

    Answered as soon as the order is stored: from then on it is never lost. An order that breaks rules is answered with
    all violations and stored nowhere. The same request under the same `Idempotency-Key` gets the same answer again; the
    same order under the same `external_id`, as it now stands. Another one under either is refused.

    With `"submit": false` it is kept as a draft (201): not judged, and not carried out, before it is submitted.
    """
    wish = Wish(order=order_of(body), key=key_for(ROUTE, idempotency_key, body))
    return take(house, request, wish) if body.submit else keep(house, wish)


def order_of(body: OrderIn) -> Order:
    """The order in the words of the domain; its lines are counted with those below them."""
    order = body.order()
    if wrong := too_many_lines(order):
        raise broken_rules(wrong)
    return order


@router.post(
    "/preview",
    summary="See what an order would do",
    responses={
        200: {"model": PreviewAnswer, **answers.documented("What would happen.", examples.PREVIEW)},
        **errors.documented(*errors.BODY_ERRORS),
    },
)
def preview(body: NewOrderIn, house: TheHouse) -> Response:
    """The lines with defaults filled, the plan, the billing calls, what is reserved, every broken rule, and warnings.

    A warning says what may be submitted all the same: what has to be approved (`APPROVAL_…`), what is usually ordered
    with a product and is not (`DEFAULT_LEFT_OUT`), dates in the past (`START_PAST`, `COMPLETION_PAST`) or without
    effect (`DATE_NOT_USED`), an external id that the account has used (`EXTERNAL_ID`). Whether stock suffices is known
    only when it is reserved. Changes nothing, and sends nothing to anybody.
    """
    order = order_of(body)
    with submissions.deciding(house.engine, order) as connection:
        known = submissions.known(connection, order, None)
    whole = completed(order, known.catalog, known.facts)
    decomposed = Decomposed(whole, known.catalog, known.facts.catalogs)
    return answer(preview_body(decomposed, known, sent=order, now=datetime.now(UTC)))


@router.get(
    "",
    summary="List orders",
    responses={
        200: {"model": OrderList, **answers.documented("One page, newest first.", examples.ORDERS,
                                                       X_Total_Count="How many there are in all.")},
        **errors.documented(422),
    },
)  # fmt: skip
def orders(
    house: TheHouse,
    page: ThePage,
    state: Annotated[State | None, Query(description="Only orders in this state.")] = None,
    account: Annotated[Id | None, Query(description="Only orders of this account.")] = None,
    product: Annotated[Text | None, Query(description="Only orders with a line of this product.")] = None,
) -> Response:
    """Orders, newest first, as views: no run is woken. Drafts are listed only when they are asked for."""
    if state is State.DRAFT:
        drafted = drafts.of(house.engine, page, account=account, product=product)
        return listed(drafted, lambda x: draft_summary(drafts.as_draft(x)), at="drafted_at")
    found = views.orders(house.engine, page, state=state, account=account, product=product)
    return listed(found, summary_body, at="submitted_at")


@router.get(
    "/{order_id:ours}",
    summary="Read an order",
    responses={
        200: {"model": OrderAnswer, **answers.documented("The order as it stands.", examples.ORDER,
                                                         ETag="Changes with every revision and every event.")},
        304: {"description": "It has not changed since the `ETag` in `If-None-Match`."},
        **errors.documented(404, 422),
    },
)  # fmt: skip
def order(
    order_id: OrderId,
    house: TheHouse,
    if_none_match: Annotated[str | None, Header(max_length=300)] = None,
) -> Response:
    """The order with its lines and its run, as a view: the run is not woken. A draft is read here too."""
    return as_it_stands(house, order_id, unless=if_none_match)


@router.get(
    "/{order_id:ours}/plan",
    summary="Read an order's plan",
    responses={
        200: {"model": PlanAnswer, **answers.documented("The steps as they stand.", examples.PLAN)},
        **errors.documented(404, 409, 422),
    },
)
def plan(order_id: OrderId, house: TheHouse) -> Response:
    """The steps in an order in which each stands after those it depends on; empty until the run has planned."""
    found = views.plan(house.engine, order_id)
    if found is None:
        raise absent(house, order_id)
    revision, steps = found
    return answer({"order": order_id, "revision": revision, "steps": [dict(x) for x in steps]})
