"""Revising an order under way: the whole order as it is to be, accepted or refused at once (2.7)."""

from dataclasses import replace
from typing import Annotated, TypedDict

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars

from api import answers, errors
from api.answers import answer
from api.body import StrictRoute
from api.errors import Problem, broken_rules, not_found
from api.house import House, TheHouse
from api.idempotency import GivenKey, key_for, replay
from api.orders import order_of
from api.schemas import examples
from api.schemas.orders import OrderIn
from api.schemas.revisions import RevisionAnswer, RevisionList
from api.schemas.shape import Sentence, Text, Uuid
from api.taking import absent, must_be_offered
from api.telling import NobodyCarriesItOut, Unheard, past_no_return, tell
from domain.approval import needed
from domain.change import completed
from domain.order import FINAL, Order
from domain.revision import RevisionState, matched
from domain.validation import validate
from domain.violation import Violation
from models import catalogs, revisions, submissions, views
from models.revisions import Base, New, Refusal
from models.submissions import Key
from workflows.messages import RevisionWish
from workflows.start import Declined, revise

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=StrictRoute)
OrderId = Annotated[Uuid, Path(description="The order's id.")]
_IfMatch = Annotated[
    str | None,
    Header(max_length=300, description="The `ETag` the order was read with: refused when it was revised since."),
]


class _How(TypedDict):
    force: bool
    actor: str
    reason: str


async def _how(
    *,
    force: Annotated[bool, Query(description="For operators: also do anew what is active and not billed yet.")] = False,
    actor: Annotated[Text, Query(description="Who wants it.")] = "api",
    reason: Annotated[Sentence | None, Query(description="Why; needed with `force`.")] = None,
) -> _How:
    if force and reason is None:
        message = "Whoever forces a revision says why."
        raise broken_rules([Violation(code="NO_REASON", rule="2.7", field="query.reason", message=message)])
    return {"force": force, "actor": actor, "reason": reason or "no reason given"}


_Manner = Annotated[_How, Depends(_how)]


@router.post(
    "/{order_id:ours}/revisions",
    status_code=202,
    summary="Revise an order",
    responses={
        202: {"model": RevisionAnswer,
              **answers.documented("Stored, and accepted; or waiting for its turn.", examples.REVISION,
                                   Location="Where the order is read.")},
        **errors.documented(*errors.BODY_ERRORS, 404, 409, 412),
    },
)  # fmt: skip
async def revision(
    order_id: OrderId,
    body: OrderIn,
    house: TheHouse,
    request: Request,
    idempotency_key: GivenKey,
    manner: _Manner,
    if_match: _IfMatch = None,
) -> Response:
    """Submit the whole order as it is to be: what is not in it any more is undone, what differs is done anew.

    Lines are those of the order by their ids (or by `asset`); new lines need ids of their own. Past a bundle's point of
    no return only price, promotion, billing account and profile may change, until billing has closed; a 409 names line
    and step. Of several revisions that wait only the newest is looked at.
    """
    bind_contextvars(order=order_id)
    key = key_for(f"POST /v1/orders/{order_id}/revisions", idempotency_key, body)
    new = New(order_id=order_id, order=order_of(body), **manner)
    number = await run_in_threadpool(_stored, house, new, key, if_match)
    wish = RevisionWish(revision=number, force=new.force)
    state = RevisionState.ACCEPTED
    try:
        await tell(house, request, order_id, lambda: revise(house.temporal, order_id, wish))
    except Declined as refusal:
        raise await run_in_threadpool(_refused, house, order_id, number, refusal) from None
    except NobodyCarriesItOut:
        await run_in_threadpool(revisions.refuse, house.engine, order_id, number)
        raise
    except Unheard:
        state = RevisionState.QUEUED
    found = {"order": order_id, "revision": number, "state": state}
    return answer(found, 202, Location=f"/v1/orders/{order_id}")


def _stored(house: House, new: New, key: Key | None, if_match: str | None) -> int:
    """The number under which a revision is stored, now or by an earlier request."""
    if key and (remembered := submissions.remembered(house.engine, key)):
        earlier = replay(key, remembered)
        return int(earlier["revision"]) if earlier else 0
    base = revisions.base(house.engine, new.order_id)
    if base is None:
        raise absent(house, new.order_id)
    if base.state in FINAL:
        raise _ended(house, new.order_id)
    if not base.order.is_about_assets:
        must_be_offered(house, new.order)
    _must_be_current(base, if_match)
    order = _checked(house, new, base)
    number = revisions.submit(
        house.engine,
        replace(new, order=order),
        base=base,
        key=key,
        location=f"/v1/orders/{new.order_id}",
    )
    match number:
        case Refusal.ENDED:
            raise _ended(house, new.order_id)
        case Refusal.STALE:
            raise _stale()
        case int():
            return number


def _must_be_current(base: Base, if_match: str | None) -> None:
    """The client has seen the newest revision, if it says what it has seen."""
    if if_match is None or if_match.strip() == "*":
        return
    seen = {tag.strip().removeprefix("W/").strip('"').partition(".")[0] for tag in if_match.split(",")}
    if str(base.latest) not in seen:
        raise _stale()


def _checked(house: House, new: New, base: Base) -> Order:
    """The order as it is to be, under the ids its lines have; all rules that it breaks are told at once.

    What somebody would have to approve first cannot come in by a revision (F31). What has come to its end breaks no
    rule: whether it is to be otherwise, and that it is too late for that, is for the order's run to say.
    """
    catalog = catalogs.load(house.engine, base.catalog_version)
    with submissions.deciding(house.engine, new.order) as connection:
        facts = submissions.known_later(connection, new.order, new.order_id)
        ended = revisions.ended(connection, new.order_id)
    found = matched(
        new.order_id,
        base.order,
        new.order,
        complete=lambda order: completed(order, catalog, facts),
        gone=base.gone,
        ended=ended,
        corrections=base.corrections,
    )
    approved = needed(base.order, catalog)
    unapproved = (x for x in needed(found.order, catalog) if x not in approved)
    if violations := (*found.violations, *validate(found.without(ended), catalog, facts), *unapproved):
        submissions.audit_refusal(house.engine, action="order.revise", subject=new.order_id, violations=violations)
        raise broken_rules(violations)
    return found.order


def _stale() -> Problem:
    return Problem(412, "Precondition failed", "The order was revised since; read it again.")


def _refused(house: House, order_id: str, number: int, refusal: Declined) -> Problem:
    match refusal.code, refusal.details:
        case "NO_RETURN", (line, step):
            return past_no_return(line, step)
        case "GIVEN_UP", (line,):
            message = f"Line {line} was given up: leave it out, or add it anew under an id of its own."
            return Problem(
                409, "Given up", message, [Violation(code="GIVEN_UP", rule="2.7", line=line, message=message)]
            )
        case "SUPERSEDED", _:
            return Problem(409, "Superseded", "A later revision of the order has come before this one was looked at.")
        case _:
            revisions.refuse(house.engine, order_id, number)
            return _ended(house, order_id)


def _ended(house: House, order_id: str) -> Problem:
    _, steps = views.plan(house.engine, order_id) or (0, ())
    found = views.order(house.engine, order_id)
    sent = next((x for x in steps if x["no_return"] and x["state"] == "done"), None)
    if sent is not None and found is not None and found["state"] in FINAL:
        return past_no_return(sent["subject"], sent["id"], is_over=True)
    return Problem(409, "Not open", f"The order is {found['state'] if found else 'gone'}.")


@router.get(
    "/{order_id:ours}/revisions",
    summary="List an order's revisions",
    responses={
        200: {"model": RevisionList, **answers.documented("All of them, the first one first.", examples.REVISIONS)},
        **errors.documented(404, 422),
    },
)
def all_revisions(order_id: OrderId, house: TheHouse) -> Response:
    """Every revision as it was submitted, what became of it, who wanted it and why."""
    if views.log_end(house.engine, order_id) is None:
        raise not_found("order")
    return answer({"items": [dict(x) for x in revisions.of_order(house.engine, order_id)]})
