"""What needs a person: of which type, how urgent, and what may be decided about it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.in_flight import CORRECTABLE, Correction
from domain.order import Scalar
from domain.plan import NO_RETURN, PROVING, Function, System, Undo


class Decision(StrEnum):
    """What a person can decide: carry it out anew, anew with corrected input, do without it, or give the bundle up."""

    RETRY = "retry"
    RETRY_WITH = "retry_with"
    SKIP = "skip"
    ABORT = "abort"


class FalloutType(StrEnum):
    """What kind of work a fallout is (2.1)."""

    VALIDATION = "Validation"
    INVENTORY_ALLOCATION = "Inventory Allocation"
    PROVISIONING = "Provisioning"
    BILLING = "Billing"
    FIELD_WORK = "Field Work"
    SYSTEM = "System"
    RECONCILIATION = "Reconciliation"


TYPE: Mapping[System, FalloutType] = {
    System.INVENTORY: FalloutType.INVENTORY_ALLOCATION,
    System.PROVISIONING: FalloutType.PROVISIONING,
    System.BILLING: FalloutType.BILLING,
    System.RECORDS: FalloutType.SYSTEM,
}
"""The type of a step's fallout, by the system it falls out of."""


class FalloutState(StrEnum):
    """How far the work on a fallout is (2.6)."""

    OPEN = "open"
    IN_PROGRESS = "inProgress"
    ON_HOLD = "onHold"
    AWAITING_INFO = "awaitingInfo"
    CLOSED = "closed"
    CANCELLED = "cancelled"


SETTLED_FALLOUTS = frozenset({FalloutState.CLOSED, FalloutState.CANCELLED})
"""Decided, or needing no decision any more; all others are open: on the work list."""

ACTIVE_NOT_BILLED = "ACTIVE_NOT_BILLED"
"""Reconciliation's code for what runs and is not billed: lost revenue (F07)."""
BILLED_NOT_ACTIVE = "BILLED_NOT_ACTIVE"
"""Reconciliation's code for what is billed and does not run: a customer who pays for nothing (F07)."""

MORE_THAN_LISTED = "TOO_MANY"
"""Reconciliation's code for more differences than it lists."""

FIRST, LAST = 1, 5
"""The priorities: the most urgent, and the one that can wait longest."""

_BY_CODE = {ACTIVE_NOT_BILLED: 1, BILLED_NOT_ACTIVE: 2}
_BY_FUNCTION: Mapping[str, int] = {
    Function.FULFILL_BILLING: 1,
    Function.PURCHASE: 1,
    Function.RESUME_BILLING: 1,
    Undo.DEACTIVATE: 1,
    Function.SUSPEND_BILLING: 2,
    Function.CLOSE_BILLING: 2,
    Function.ASSET: 2,
    Undo.VOID_INITIATED: 3,
    Undo.RELEASE: 4,
    Function.COMMIT: 4,
    Function.RETIRE: 4,
}
_BY_TYPE = {FalloutType.SYSTEM: 2, FalloutType.RECONCILIATION: 3}
_EXPEDITED = 1


def priority(type: FalloutType, *, code: str, function: str | None = None, order_priority: int = 4) -> int:  # noqa: A002
    """How urgent a fallout is, from 1 to 5: what costs money unseen first, then what a customer waits for (F07).

    1: active but not billed; 2: billed but not active, or nobody carries the order out; 3: a customer waits; 4: only
    our books wait; 5 is for people to give. An order that is itself urgent (priority 0 or 1) is more urgent by one.
    """
    found = _BY_CODE.get(code) or _BY_FUNCTION.get(function or "") or _BY_TYPE.get(type, 3)
    return max(FIRST, found - (order_priority <= _EXPEDITED))


DueTimes = Mapping[int, timedelta]
"""How long after it was opened a fallout is due, by its priority."""

DUE: DueTimes = {
    1: timedelta(hours=1),
    2: timedelta(hours=4),
    3: timedelta(days=1),
    4: timedelta(days=3),
    5: timedelta(days=7),
}
"""Unless configured otherwise. Past that a fallout is escalated: once, and made more urgent by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What needs a person and is no step to be decided about: a detector found it, or a run cannot get it done.

    ``subject`` is what it is about, such as ``run:`` and an order's id: one fallout at most is open for a subject.
    ``step`` says what of an order's it is, where a run is at it: an undo such as ``release:1``, or our own records.
    """

    subject: str
    type: FalloutType
    code: str
    message: str
    order: str | None = None
    account: str | None = None
    step: str | None = None
    line: str | None = None


def step_subject(order: str, step: str) -> str:
    """The subject of a step's own fallout."""
    return f"{order}:{step}"


def finding_decisions(type: FalloutType, *, code: str) -> tuple[Decision, ...]:  # noqa: A002
    """What may be decided about what a detector found.

    Of a difference: compare again now, or accept it as it is; that there are too many to be listed nobody can accept.
    Of what belongs to the system: look again, and carry out what nobody carries out.
    """
    match type:
        case FalloutType.RECONCILIATION if code != MORE_THAN_LISTED:
            return Decision.RETRY, Decision.SKIP
        case FalloutType.RECONCILIATION | FalloutType.SYSTEM:
            return (Decision.RETRY,)
        case _:
            return ()


_CORRECTED = frozenset({Function.RESERVE, Function.DELIVER, Function.PROVISION})
_SKIPPED = PROVING | {Function.COMMIT, Function.RETIRE}
_FINAL_EFFECTS = NO_RETURN - {Function.PROVISION}


def decisions(function: Function, begun: Collection[Function], *, in_doubt: bool = False) -> tuple[Decision, ...]:
    """What may be decided about a step; ``begun`` are the other steps of its bundle that are done or under way.

    ``in_doubt``: it may have happened; then it is not asked for with other input, and a bundle is not given up for a
    step that could not be taken back.
    Billing is never skipped, for what runs would not be billed (2.4). A bundle is given up only while everything done
    for it can be undone: after a successful activation billing is retried, never rolled back (5.5).
    """
    allowed = [Decision.RETRY]
    if function in _CORRECTED and not in_doubt:
        allowed.append(Decision.RETRY_WITH)
    if function in _SKIPPED:
        allowed.append(Decision.SKIP)
    done = {*begun, function} if in_doubt else {*begun}
    billing_closes = function in (Function.FULFILL_BILLING, Function.PURCHASE, Function.ASSET)
    if not done & _FINAL_EFFECTS and not (billing_closes and Function.PROVISION in done):
        allowed.append(Decision.ABORT)
    return tuple(allowed)


BACKDATED = timedelta(days=366)
"""How long ago something that is skipped may have been done."""


def actual_date(
    given: Mapping[str, Scalar | Mapping[str, Scalar]], *, now: datetime, since: datetime | None = None
) -> datetime | None:
    """Read since when a step that is skipped has been done, if that is said: ``actual_date``, an instant (5.3).

    Not before ``since``, when whatever had been done to the same asset before was over: billing takes no date that lies
    before the one that it follows. ``ValueError`` says what is wrong with it.
    """
    said = given.get("actual_date")
    if set(given) - {"actual_date"} or not isinstance(said, str | None):
        raise ValueError("input: only actual_date can be said, an instant")
    if said is None:
        return None
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        at = datetime.min  # noqa: DTZ901 - refused for want of an offset
    if at.tzinfo is None:
        raise ValueError("input.actual_date: an instant with its offset is expected, such as 2026-03-01T00:00:00Z")
    if not now - BACKDATED <= at <= now:
        raise ValueError("input.actual_date: it was within the last year, and is not to come")
    if since is not None and at < since:
        raise ValueError(f"input.actual_date: the order had its turn at the asset at {since.isoformat()}, not before")
    return at


def correction(given: Mapping[str, Scalar | Mapping[str, Scalar]], *, line: str) -> Correction:
    """Read an operator's corrected input for a line; ``ValueError`` says what can be corrected.

    The line may be named in the input; otherwise it is the one the step is about.
    """
    fields: dict[str, str | None] = {}
    attributes: Mapping[str, Scalar] = {}
    for name, value in given.items():
        match name, value:
            case "line", str():
                line = value
            case "attributes", Mapping():
                attributes = value
            case _, str() | None if name in CORRECTABLE - {"attributes"}:
                fields[name] = value
            case _ if name in CORRECTABLE | {"line"}:
                message = f"input.{name}: {'an object' if name == 'attributes' else 'a text'} is expected"
                raise ValueError(message)
            case _:
                message = f"input: only {', '.join(sorted(CORRECTABLE))} can be corrected"
                raise ValueError(message)
    if not fields and not attributes:
        message = "input: names nothing to correct"
        raise ValueError(message)
    return Correction(line=line, fields=fields, attributes=attributes)
