"""Taking orders: judged, stored, started and answered the same way, whatever they were sent as."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from uuid import uuid4

from fastapi import Request, Response
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection
from structlog.contextvars import bind_contextvars

from api.answers import answer
from api.errors import Problem, broken_rules, not_found
from api.house import House
from api.idempotency import replay
from api.order_view import acknowledged_body, draft_body, order_body
from api.starter import Starter
from domain.allowed import refused
from domain.change import completed, is_same
from domain.order import Order
from domain.violation import Violation
from models import drafts, submissions, views
from models.drafts import Draft
from models.submissions import Clash, Key, Known, Submitted

Refuse = Callable[[Sequence[Violation]], Problem]
"""How broken rules are said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An order that somebody sent, under a key or not, and how it is refused."""

    order: Order
    key: Key | None
    refuse: Refuse = broken_rules


class _Manner(Enum):
    """How an order that is submitted is met with."""

    NEW = auto()
    """It is stored now."""
    REPEATED = auto()
    """The same request was answered before."""
    KNOWN = auto()
    """The account has the order, from another request."""


class _Broken(Exception):  # noqa: N818 - an answer, on its way out of a transaction
    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__()
        self.violations = violations


def take(house: House, request: Request, wish: Wish) -> Response:
    """Store an order, have its run started, and answer; or answer what was stored for the same wish before."""
    return _answered(house, request.app.state.starter, *_taken(house, wish))


def place(house: House, starter: Starter, wish: Wish) -> Submitted:
    """The same for who wants no answer: the order as it was stored, now or before."""
    manner, stored = _taken(house, wish)
    if manner is _Manner.NEW:
        starter.offer(stored)
    return stored


def keep(house: House, wish: Wish) -> Response:
    """Keep an order as a draft: not judged, and not carried out, until it is submitted (A08)."""
    must_be_offered(house, wish.order)
    draft = Draft(id=str(uuid4()), order=wish.order, version=1)
    location, body = f"/v1/orders/{draft.id}", to_jsonable_python(draft_body(draft))
    clash = _kept_before(house, wish.key) or drafts.save(
        house.engine, draft, key=wish.key, location=location, answer=body
    )
    match clash:
        case None:
            return answer(body, 201, Location=location, ETag=etag(draft))
        case Clash():
            again = _kept_before(house, wish.key)
            if again is None:
                raise _in_progress()
            return again
        case again:
            return again


def submit(house: House, request: Request, order_id: str) -> Response:
    """Make an order of a draft; one that is an order already is answered as it stands."""
    wish = Wish(order=Order(account="", lines=()), key=None)
    try:
        with house.engine.begin() as connection:
            draft = drafts.take(connection, order_id)
            if draft is None:
                return as_it_stands(house, order_id, status=202, Location=f"/v1/orders/{order_id}")
            wish = Wish(order=draft.order, key=None)
            must_be_offered(house, wish.order)
            submissions.lock(connection, wish.order)
            stored = _stored(house, connection, wish, order_id)
            if isinstance(stored, Clash) or stored[0] is not _Manner.NEW:
                raise _external_id_reused()
    except _Broken as broken:
        raise _refused(house, wish, broken) from None
    return _answered(house, request.app.state.starter, *stored)


def as_it_stands(
    house: House, order_id: str, *, unless: str | None = None, status: int = 200, **headers: str
) -> Response:
    """The order, or the draft, as it now stands; without a body where the client has it, as its ``ETag`` says."""
    found = views.order(house.engine, order_id)
    draft = None if found else drafts.read(house.engine, order_id)
    if found is None and draft is None:
        raise not_found("order")
    tag = etag(draft) if draft else f'W/"{found["latest_revision"]}.{found["last_seq"]}"'  # type: ignore[index]
    if unless == tag:
        return Response(status_code=304, headers={"ETag": tag})
    if found is None:
        assert draft is not None
        return answer(draft_body(draft), status, ETag=tag, **headers)
    return answer(order_body(found, house), status, ETag=tag, **headers)


def absent(house: House, order_id: str) -> Problem:
    """Why nothing can be done to an order that is none: there is no such thing, or it is still being written."""
    if drafts.read(house.engine, order_id) is None:
        return not_found("order")
    return Problem(409, "Still a draft", "Submit it first (POST /v1/orders/{order_id}/submission), or change it.")


def etag(draft: Draft) -> str:
    """The version of a draft, as ``If-Match`` names it."""
    return f'W/"draft.{draft.version}"'


def must_be_offered(house: House, order: Order) -> None:
    """Refuse what is about assets where asset-based ordering is off (A05)."""
    if order.is_about_assets:
        must_offer_changes(house)


def must_offer_changes(house: House) -> None:
    """Refuse changes of assets where asset-based ordering is off (A05)."""
    if not house.asset_based_ordering:
        raise Problem(409, "Asset-based ordering is off", "This house takes new orders, and no changes of assets.")


def _taken(house: House, wish: Wish) -> tuple[_Manner, Submitted]:
    must_be_offered(house, wish.order)
    taken = _taken_at_once(house, wish)
    if isinstance(taken, Clash):  # lost a race against the same external id or key: the winner is stored now
        taken = _taken_at_once(house, wish)
    if isinstance(taken, Clash):
        raise _in_progress()
    return taken


def _taken_at_once(house: House, wish: Wish) -> tuple[_Manner, Submitted] | Clash:
    try:
        with submissions.deciding(house.engine, wish.order) as connection:
            return _stored(house, connection, wish, str(uuid4()))
    except _Broken as broken:
        raise _refused(house, wish, broken) from None


def _stored(house: House, connection: Connection, wish: Wish, order_id: str) -> tuple[_Manner, Submitted] | Clash:
    """The order as it was stored, now or before."""
    known = submissions.known(connection, wish.order, wish.key)
    if earlier := _earlier(house, wish, known):
        return earlier
    whole = completed(wish.order, known.catalog, known.facts)
    if violations := refused(whole, known.catalog, known.facts):
        raise _Broken(violations)
    stored = submissions.submit(
        connection,
        whole,
        order_id=order_id,
        catalog_version=known.catalog.version,
        key=wish.key,
        location=f"/v1/orders/{order_id}",
    )
    return stored if isinstance(stored, Clash) else (_Manner.NEW, stored)


def _refused(house: House, wish: Wish, broken: _Broken) -> Problem:
    subject, found = wish.order.external_id, tuple(broken.violations)
    submissions.audit_refusal(house.engine, action="order.submit", subject=subject, violations=found)
    return wish.refuse(found)


def _earlier(house: House, wish: Wish, known: Known) -> tuple[_Manner, Submitted] | None:
    """The order that an earlier request has stored under the key or the external id."""
    if wish.key and known.remembered:
        replay(wish.key, known.remembered)
        order_id = known.remembered.location.rpartition("/")[2]
        return _Manner.REPEATED, submissions.submitted(house.engine, order_id)
    if known.earlier and not is_same(known.earlier.order, wish.order):
        raise _external_id_reused()
    return (_Manner.KNOWN, known.earlier) if known.earlier else None


def _answered(house: House, starter: Starter, manner: _Manner, stored: Submitted) -> Response:
    bind_contextvars(order=stored.id)
    location = f"/v1/orders/{stored.id}"
    if manner is _Manner.KNOWN:
        return as_it_stands(house, stored.id, status=202, Location=location)
    if manner is _Manner.NEW:
        starter.offer(stored)
    return answer(acknowledged_body(stored, house), 202, Location=location)


def _kept_before(house: House, key: Key | None) -> Response | None:
    """The answer that an earlier request was given under the key."""
    remembered = submissions.remembered(house.engine, key) if key else None
    if key is None or remembered is None:
        return None
    return answer(replay(key, remembered), 201, Location=remembered.location)


def _in_progress() -> Problem:
    return Problem(409, "In progress", "The same order is being submitted right now.")


def _external_id_reused() -> Problem:
    return Problem(422, "External id reused", "The account has another order with this external id.")
