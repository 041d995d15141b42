"""What is looked for every half minute: orders that nobody carries out, and what else waits unseen (P3, 5.8).

Each finding says what to do; ``docs/operations.md`` says it at length.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.billing import PLACEHOLDER_DAYS
from domain.fallout import FalloutType, Finding
from domain.order import FINAL, State

INITIATED_AT_MOST = timedelta(days=300)
"""How long an order may keep a service initiated, well before its placeholder date comes (5.3)."""
SILENT_AFTER = timedelta(hours=3)
"""How long ago the last comparison of network and billing may be before somebody looks why."""
MISSED = 3
"""So many times in a row it may fail to come."""


class Code(StrEnum):
    """What is wrong."""

    RUN_FAILS = "RUN_FAILS"
    RUN_GONE = "RUN_GONE"
    RUN_LEFT = "RUN_LEFT"
    NOT_STARTED = "NOT_STARTED"
    INITIATED_LONG = "INITIATED_LONG"
    NOT_RECONCILED = "NOT_RECONCILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubledRun:
    """An open run that cannot go on; ``problems`` is what Temporal says of it, ``order`` the id of the one it is of."""

    workflow_id: str
    problems: Sequence[str]
    order: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedOrder:
    """An order as it is looked at: ``begun`` are its steps that are done or under way, and not taken back.

    ``is_settled``: it was started, or has ended, long enough ago for its run to be expected to agree.
    """

    id: str
    number: int
    state: State
    is_settled: bool = True
    begun: Sequence[str] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class LongInitiated:
    """A step that initiated billing, for an order that is open still."""

    order: str
    number: int
    step: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What our rows say at a glance: how many old orders are open, and the rest of what is looked for."""

    open_orders: int
    not_started: Sequence[WatchedOrder] = ()
    long_initiated: Sequence[LongInitiated] = ()
    compared_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A schedule: whether it is paused and why, and when it last started something."""

    paused: bool
    note: str | None
    started: Sequence[datetime]


def fails(run: TroubledRun) -> Finding:
    """The run's own code, or Temporal, stands in its way; it is tried again by itself for ever (F5)."""
    what = f"Order {run.order}" if run.order else f"Run {run.workflow_id}"
    return Finding(
        subject=subject(Code.RUN_FAILS, run.order or run.workflow_id),
        type=FalloutType.SYSTEM,
        code=Code.RUN_FAILS,
        message=f"{what}: its run cannot go on, {'; '.join(run.problems)}. Deploy code that fits its history, or mend "
        f"what was entered by hand; then it goes on by itself.",
        order=run.order,
    )


def has_no_run(order: WatchedOrder, ended: str) -> Finding:
    """An open order that nobody carries out; ``ended`` says how its run ended."""
    begun = f"Done or under way for it: {', '.join(order.begun)}." if order.begun else "Nothing was begun for it."
    return Finding(
        subject=subject(Code.RUN_GONE, order.id),
        type=FalloutType.SYSTEM,
        code=Code.RUN_GONE,
        message=f"Order {order.number} is {order.state} and has no run: {ended}. {begun} "
        f"Decide retry to have it carried out further.",
        order=order.id,
    )


def has_a_run_left(order_id: str, order: WatchedOrder | None) -> Finding:
    """A run that goes on though its order is over, or was never there."""
    what = f"Order {order.number} is {order.state}" if order else f"There is no order {order_id}"
    return Finding(
        subject=subject(Code.RUN_LEFT, order_id),
        type=FalloutType.SYSTEM,
        code=Code.RUN_LEFT,
        message=f"{what}, and a run of it goes on: was it reset? What it does again has no second effect, and "
        f"what was given up is not begun again. If it does not end by itself, terminate it; the order stays as it is.",
        order=order.id if order else None,
    )


def waits_for_its_run(order: WatchedOrder) -> Finding:
    """An order that was stored and that nobody started."""
    return Finding(
        subject=subject(Code.NOT_STARTED, order.id),
        type=FalloutType.SYSTEM,
        code=Code.NOT_STARTED,
        message=f"Order {order.number} waits for its run. Does an API run, which starts it, and does Temporal answer?",
        order=order.id,
    )


def is_initiated_long(found: LongInitiated) -> Finding:
    """Billing would begin by itself on its placeholder date (5.3)."""
    return Finding(
        subject=subject(Code.INITIATED_LONG, f"{found.order}:{found.step}"),
        type=FalloutType.SYSTEM,
        code=Code.INITIATED_LONG,
        message=f"Order {found.number}: {found.step} was done on {found.since:%Y-%m-%d}; {PLACEHOLDER_DAYS} days after "
        f"that, billing begins by itself. Have the order completed or given up, or the date moved in billing.",
        order=found.order,
    )


def is_silent(compared_at: datetime, schedule: Recurrence | None, *, now: datetime) -> Finding | None:
    """Nobody compares network and billing any more; not where the system itself was not running.

    A comparison waits for a neighbour that is away, and no other one begins meanwhile.
    """
    since = [x for x in schedule.started if x > compared_at] if schedule else []
    if schedule is None:
        why = "it is not scheduled: start a worker anew, it makes the schedule"
    elif schedule.paused:
        why = f"its schedule is paused: {schedule.note or 'without a reason'}"
    elif len(since) >= MISSED or any(x < now - SILENT_AFTER for x in since):
        why = "its runs do not succeed: look at the runs of Reconciliation in the Temporal UI"
    else:
        return None
    return Finding(
        subject=subject(Code.NOT_RECONCILED, "reconciliation"),
        type=FalloutType.SYSTEM,
        code=Code.NOT_RECONCILED,
        message=f"Network and billing were last compared {compared_at:%Y-%m-%d %H:%M:%SZ}; {why}.",
    )


def subject(code: Code, about: str) -> str:
    """What a finding is about."""
    return f"{code}:{about}"


def about(subjects: Iterable[str], codes: Collection[Code]) -> Iterator[str]:
    """What the findings with those codes are about."""
    for one in subjects:
        code, _, what = one.partition(":")
        if code in codes:
            yield what
