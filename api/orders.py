"""Orders: submit, preview, read."""

from datetime import UTC, datetime
from enum import Enum, auto
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Header, Path, Query, Request, Response
from structlog.contextvars import bind_contextvars

from api import answers, errors
from api.answers import ThePage, answer, listed
from api.body import StrictRoute
from api.errors import Problem, broken_rules, not_found
from api.house import House, TheHouse
from api.idempotency import GivenKey, key_for, replay
from api.order_view import acknowledged_body, order_body, summary_body
from api.preview import preview_body
from api.schemas import examples
from api.schemas.orders import OrderAnswer, OrderIn, OrderList, PlanAnswer, PreviewAnswer
from api.schemas.shape import Id, Text, Uuid
from domain.allowed import refused
from domain.change import completed, is_same
from domain.decomposed import Decomposed
from domain.order import Order, State
from domain.size import too_many_lines
from models import submissions, views
from models.submissions import Clash, Key, Known, Submitted

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
        **errors.documented(*errors.BODY_ERRORS),
    },
)  # fmt: skip
def submit(body: OrderIn, house: TheHouse, request: Request, idempotency_key: GivenKey) -> Response:
    """Store an order and start its run (W7).

    Answered as soon as the order is stored: from then on it is never lost. An order that breaks rules is answered with
    all violations and stored nowhere. The same request under the same `Idempotency-Key` gets the same answer again; the
    same order under the same `external_id`, as it now stands. Another one under either is refused.
    """
    key = key_for(ROUTE, idempotency_key, body)
    order = order_of(body)
    submitted = _stored(house, order, key)
    if isinstance(submitted, Clash):  # lost a race against the same external id or key: the winner is stored now
        submitted = _stored(house, order, key)
    if isinstance(submitted, Clash):
        raise Problem(409, "In progress", "The same order is being submitted right now.")
    manner, stored = submitted
    bind_contextvars(order=stored.id)
    location = f"/v1/orders/{stored.id}"
    if manner is _Manner.KNOWN:
        return _as_it_stands(house, stored.id, status=202, Location=location)
    if manner is _Manner.NEW:
        request.app.state.starter.offer(stored)
    return answer(acknowledged_body(stored, house), 202, Location=location)


class _Manner(Enum):
    """How an order that is submitted is met with."""

    NEW = auto()
    """It is stored now."""
    REPEATED = auto()
    """The same request was answered before."""
    KNOWN = auto()
    """The account has the order, from another request."""


def order_of(body: OrderIn) -> Order:
    """The order in the words of the domain; its lines are counted with those below them."""
    order = body.order()
    if wrong := too_many_lines(order):
        raise broken_rules(wrong)
    return order


def _stored(house: House, order: Order, key: Key | None) -> tuple[_Manner, Submitted] | Clash:
    """The order as it was stored, now or before."""
    with submissions.deciding(house.engine, order) as connection:
        known = submissions.known(connection, order, key)
        if earlier := _earlier(house, order, key, known):
            return earlier
        whole = completed(order, known.catalog, known.facts)
        if not (violations := refused(whole, known.catalog, known.facts)):
            order_id = str(uuid4())
            stored = submissions.submit(
                connection,
                whole,
                order_id=order_id,
                catalog_version=known.catalog.version,
                key=key,
                location=f"/v1/orders/{order_id}",
            )
            return stored if isinstance(stored, Clash) else (_Manner.NEW, stored)
    submissions.audit_refusal(house.engine, action="order.submit", subject=order.external_id, violations=violations)
    raise broken_rules(violations)


def _earlier(house: House, order: Order, key: Key | None, known: Known) -> tuple[_Manner, Submitted] | None:
    """The order that an earlier request has stored under the key or the external id."""
    if key and known.remembered:
        replay(key, known.remembered)
        order_id = known.remembered.location.rpartition("/")[2]
        return _Manner.REPEATED, submissions.submitted(house.engine, order_id)
    if known.earlier and not is_same(known.earlier.order, order):
        raise Problem(422, "External id reused", "The account has another order with this external id.")
    return (_Manner.KNOWN, known.earlier) if known.earlier else None


@router.post(
    "/preview",
    summary="See what an order would do",
    responses={
        200: {"model": PreviewAnswer, **answers.documented("What would happen.", examples.PREVIEW)},
        **errors.documented(*errors.BODY_ERRORS),
    },
)
def preview(body: OrderIn, house: TheHouse) -> Response:
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
    """Orders, newest first, as views: no run is woken."""
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
    """The order with its lines and its run, as a view: the run is not woken."""
    return _as_it_stands(house, order_id, unless=if_none_match)


def _as_it_stands(
    house: House, order_id: str, *, unless: str | None = None, status: int = 200, **headers: str
) -> Response:
    """The order as it now stands; without a body where the client has it, as its ``ETag`` says."""
    found = views.order(house.engine, order_id)
    if found is None:
        raise not_found("order")
    etag = f'W/"{found["latest_revision"]}.{found["last_seq"]}"'
    if unless == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return answer(order_body(found, house), status, ETag=etag, **headers)


@router.get(
    "/{order_id:ours}/plan",
    summary="Read an order's plan",
    responses={
        200: {"model": PlanAnswer, **answers.documented("The steps as they stand.", examples.PLAN)},
        **errors.documented(404, 422),
    },
)
def plan(order_id: OrderId, house: TheHouse) -> Response:
    """The steps in an order in which each stands after those it depends on; empty until the run has planned."""
    found = views.plan(house.engine, order_id)
    if found is None:
        raise not_found("order")
    revision, steps = found
    return answer({"order": order_id, "revision": revision, "steps": [dict(x) for x in steps]})
