# ruff: noqa: ANN401, SLF001 - a bug is put where it hurts, whatever it takes
"""Bugs put in on purpose, in processes under test only: each must be caught, or the faults are worth nothing."""

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import Any

from sqlalchemy import text
from temporalio import activity, workflow

import activities.journal
import activities.steps
import adapters.billing.embedded
import adapters.remote
import api.errors
import worker
from adapters.billing import papers
from adapters.inventory import statements
from domain import decomposition, plan
from domain.neighbour import OutcomeUnknown, Refused
from models import submissions
from models.records import PostgresRecords
from sql.connections import autocommit
from workflows.progress import OrderProgress
from workflows.under_way import UnderWay


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug, in a sentence, and how a process gets it."""

    bug: str
    put_in: Callable[[], None]


def _set(owner: Any, **values: Any) -> Callable[[], None]:
    """A bug that is another value in the place of the right one."""

    def put_in() -> None:
        for name, value in values.items():
            setattr(owner, name, value)

    return put_in


def _attempt_in_key() -> None:
    def key(order: str, subject: str, operation: str, _: int) -> str:
        return f"{order}:{subject}:{operation}:{int(activity.info().started_time.timestamp() * 1_000)}"

    for module in (activities.steps, activities.journal):
        setattr(module, "key", key)  # noqa: B010


def _unguarded_stock() -> None:
    hold = _HOLD.replace(" AND s.on_hand - s.reserved >= t.quantity", "")
    assert hold != _HOLD
    unguarded = copy.copy(statements.HOLD)
    name, parts = unguarded.__dict__["_name"], {"_prepare": hold, "_execute": unguarded.__dict__["_execute"]}
    unguarded.__dict__.update({x: y.replace(name, "unguarded_hold") for x, y in {"_name": name, **parts}.items()})
    statements.HOLD = unguarded


_HOLD: str = statements.HOLD.__dict__["_prepare"]


def _void_forgotten() -> None:
    forgotten = {x: undo for x, undo in plan._UNDO.items() if x is not plan.Function.INITIATE_BILLING}
    setattr(plan, "_UNDO", forgotten)  # noqa: B010


def _key_apart() -> None:
    """Stored after the order, on a connection of its own: an order under a key comes from the API alone."""

    def submit(connection: Any, order: Any, *, key: Any, location: str, **given: Any) -> Any:
        stored = _submit(connection, order, key=None, location=location, **given)
        if key is not None:
            with autocommit(connection.engine) as other:
                print_ = {"route": key.route, "key": key.key, "print": key.fingerprint, "at": location}
                other.execute(_REMEMBER, print_)
        return stored

    setattr(submissions, "submit", submit)  # noqa: B010


_submit = submissions.submit
_REMEMBER = text("""
    INSERT INTO orderloom.idempotency_keys (route, key, fingerprint, status, location)
    VALUES (:route, :key, :print, 202, :at)
""")


def _started_by_cursor() -> None:
    seen = 0

    def start_forgotten(engine: Any, start: Any, *, age_s: float, limit: int) -> int:
        nonlocal seen
        with engine.begin() as connection:
            rows = connection.execute(submissions._UNSTARTED, {"age_s": age_s, "limit": limit})
            forgotten = [x for x in map(submissions._as_submitted, rows) if x.number > seen]
            newest = connection.execute(_NEWEST, {"age_s": age_s}).scalar_one()
        if forgotten:
            submissions.mark_started(engine, start(forgotten))
        seen = max(seen, newest or 0)
        return len(forgotten)

    submissions.start_forgotten = start_forgotten


_NEWEST = text("SELECT max(number) FROM orderloom.orders WHERE submitted_at < now() - make_interval(secs => :age_s)")


def _retry_on_422() -> None:
    adapters.remote._NO = frozenset({409})
    adapters.remote._NOT_NOW |= {422}


def _timeout_as_failure() -> None:
    asked = adapters.remote.Remote.call

    @wraps(asked)
    def call(self: Any, *about: Any, **given: Any) -> Any:
        try:
            return asked(self, *about, **given)
        except OutcomeUnknown as error:
            return Refused(code="FAILED", message=str(error))

    setattr(adapters.remote.Remote, "call", call)  # noqa: B010


def _redirects_followed() -> None:
    made = adapters.remote.Remote.__init__

    @wraps(made)
    def init(self: Any, *about: Any, **given: Any) -> None:
        made(self, *about, **given)
        self._http.follow_redirects = True

    setattr(adapters.remote.Remote, "__init__", init)  # noqa: B010


def _echo() -> None:
    told = api.errors._misshapen

    def misshapen(errors: Any, published: frozenset[str]) -> Any:
        problem = told(errors, published)
        problem.explanation = str([x.get("input") for x in errors])
        return problem

    api.errors._misshapen = misshapen


def _float_money() -> None:
    def floating(orders: Any) -> Any:
        drawn = papers.drawn_up(orders)
        return replace(
            drawn, purchases=[{**x, "price_minor": _through_float(x["price_minor"])} for x in drawn.purchases]
        )

    setattr(adapters.billing.embedded, "drawn_up", floating)  # noqa: B010


def _through_float(minor: int | None) -> int | None:
    return None if minor is None else int(minor / 100 * 100)


def _naive_time() -> None:
    setattr(worker, "now", lambda: datetime.now())  # noqa: B010, DTZ005, PLW0108


def _tries_to_cancel() -> None:
    """Whoever calls an attempt off does not wait for it, and what is undone is not told what it undoes."""
    start, void = workflow.start_activity, adapters.billing.embedded.EmbeddedBilling.void_initiated

    @wraps(start)
    def start_activity(*about: Any, **given: Any) -> Any:
        return start(*about, **given | {"cancellation_type": workflow.ActivityCancellationType.TRY_CANCEL})

    @wraps(void)
    def void_initiated(self: Any, **given: Any) -> Any:
        return void(self, **given | {"undoes": None})

    setattr(workflow, "start_activity", start_activity)  # noqa: B010
    setattr(adapters.billing.embedded.EmbeddedBilling, "void_initiated", void_initiated)  # noqa: B010


def _before_the_patch() -> None:
    """As it was before what was said came to be on record before it is written."""
    setattr(UnderWay, "_put_on_record", UnderWay._record)  # noqa: B010
    setattr(workflow, "patched", lambda _: False)  # noqa: B010


def _bug_in_an_activity() -> None:
    asked = adapters.billing.embedded.EmbeddedBilling.initiate

    @wraps(asked)
    def initiate(self: Any, *, key: str, orders: Any) -> Any:
        if any(y.product == _SICK for x in orders for y in x.purchases):
            raise TypeError("a bug")
        return asked(self, key=key, orders=orders)

    setattr(adapters.billing.embedded.EmbeddedBilling, "initiate", initiate)  # noqa: B010


def _in_the_workflow(deed: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    planned = UnderWay._whole_plan

    async def whole_plan(self: Any, known: Any) -> Any:
        if self._run.title == _SICK:
            await deed()
        return await planned(self, known)

    return _set(UnderWay, _whole_plan=whole_plan)


async def _fail() -> None:
    raise RuntimeError("a bug")


_SICK = "INTERNET"
POISON: Mapping[str, Plant] = {
    "a bug in an activity": Plant("billing's client fails on some orders", _bug_in_an_activity),
    "a bug in the workflow": Plant("the run fails on some orders", _in_the_workflow(_fail)),
    "another order of commands": Plant(
        "the run does otherwise than before", _in_the_workflow(lambda: workflow.sleep(1))
    ),
}
"""Bugs that hit some orders only."""

EARLIER: Mapping[str, Plant] = {
    "before the patch": Plant("code of before the last patch of the workflow", _before_the_patch),
}
"""No bugs: how it was once."""

ALL: Mapping[str, Plant] = {
    "attempt in the key": Plant("the attempt is part of the idempotency key", _attempt_in_key),
    "no point of no return": Plant(
        "what cannot be taken back is sent before it is on record",
        _set(OrderProgress, is_point_of_no_return=lambda *_: False),
    ),
    "no barrier": Plant(
        "an order is cancelled though it is past the point of no return",
        _set(OrderProgress, barrier=lambda *_, **__: None),
    ),
    "try cancel": Plant("what is being billed is called off without waiting for it", _tries_to_cancel),
    "events cascade": Plant("what an order's events tell of a step goes with the step", lambda: None),
    "unguarded stock": Plant("stock is reserved without looking whether there is enough", _unguarded_stock),
    "billed before it runs": Plant(
        "billing does not wait for the network",
        _set(decomposition._Proofs, of_service=lambda *_: (), of_line=lambda *_: ()),
    ),
    "void forgotten": Plant("giving up does not take back what was initiated in billing", _void_forgotten),
    "key apart": Plant("the client's key is stored after the order, not with it", _key_apart),
    "started by cursor": Plant("what was left behind is found by counting order numbers", _started_by_cursor),
    "retry on 422": Plant("a business no is tried again", _retry_on_422),
    "timeout as failure": Plant("no answer is taken for a no", _timeout_as_failure),
    "redirects followed": Plant("a neighbour can send us elsewhere", _redirects_followed),
    "echo": Plant("an error tells the input back", _echo),
    "float money": Plant("money goes through floating point", _float_money),
    "naive time": Plant("dates are those of the wall clock, without a zone", _naive_time),
    "planned anew": Plant(
        "a plan is made anew after its worker died",
        _set(PostgresRecords, synchronizations=lambda *_: frozenset()),
    ),
    "no pause": Plant(
        "a neighbour that asks for a pause gets none",
        _set(activities.journal, _pause=lambda _: None),
    ),
}
"""By a short name."""


def put_in(name: str) -> None:
    """Have it in this process."""
    (EARLIER.get(name) or POISON.get(name) or ALL[name]).put_in()
