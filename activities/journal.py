"""What activities need of our own records, and how a neighbour is asked: once more by key where there is doubt."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, cast

import structlog
from temporalio.exceptions import ApplicationError

from activities.messages import Taken
from domain.asset import Tree
from domain.in_flight import InFlight
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable
from domain.order import State, key
from domain.plan import PlanItem
from domain.progress import Done, OrderRef
from domain.provisioning import Working

Answer = TypeVar("Answer")
log = structlog.get_logger()


class Journal(Protocol):
    """The order's own records, as far as steps on neighbours read and write them."""

    def load(self, ref: OrderRef) -> InFlight:
        """The order under way."""
        ...

    def done(self, in_flight: InFlight, done: Sequence[Done], *, asked: bool = False) -> State | None:
        """Write down that steps are done, with the last of a bundle its assets and the end of its lines.

        The order's state when that was the last of it. Twice is once. Nothing is written if a person is asked about one
        of the steps by now: the run has given this attempt up; unless they were ``asked`` before it was sent.
        """
        ...

    def sent(self, order: str, *, steps: Sequence[str]) -> bool:
        """Write down, before it happens, that steps are sent past which there is no return.

        ``False`` when nothing may be sent any more: their bundle was given up.
        """
        ...

    def unsent(self, order: str, *, steps: Sequence[str]) -> None:
        """Write down that steps that were about to be sent were not: they are still to come."""
        ...

    def failed(self, order: str, *, step: str, key: str, error: str, undo_refused: bool = False) -> None:
        """Write down one more failed attempt, and its error."""
        ...

    def undo_refusals(self, order: str, *, step: str) -> int:
        """How often it was refused to take a step back."""
        ...

    def undone(self, order: str, *, step: str) -> None:
        """Write down that a step is taken back; twice is once."""
        ...

    def tree(self, in_flight: InFlight, root: str) -> Tree:
        """The assets that a bundle is about, with all of their trees, as they stand."""
        ...

    def next_on(self, in_flight: InFlight, root: str, *, now: datetime) -> str | None:
        """The order that waits for the assets of a bundle and comes next."""
        ...

    def results(self, order: str, steps: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The answers written down for steps that are done, by step id."""
        ...


class Answers:
    """What an order's steps were answered: those of one batch as they come, earlier ones as they were written down."""

    def __init__(self, journal: Journal, order: str) -> None:
        """Nothing is read before it is asked for."""
        self._journal = journal
        self._order = order
        self._known: dict[str, Mapping[str, Any]] = {}

    def add(self, done: Done) -> None:
        """One more step is done."""
        self._known[done.step] = {**done.result, "key": done.key}

    def of(self, steps: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The answers of those of the steps that are done, by step id; each with the ``key`` that did it."""
        wanted = list(steps)
        if unknown := [x for x in wanted if x not in self._known]:
            self._known |= self._journal.results(self._order, unknown)
        return {x: self._known[x] for x in wanted if x in self._known}


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """What the same step did for an earlier revision of the order, and under which key."""

    key: str
    in_flight: InFlight


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One step on its way to whoever carries it out; ``repeated``: an earlier attempt may have had its effect already.

    ``actual`` is the date from which something is billed, ``earlier`` has the answers of the steps before it, ``tree``
    the assets that the bundle is about; ``replaces`` is set when it asks for something else than what stands since an
    earlier revision.
    """

    in_flight: InFlight
    item: PlanItem
    key: str
    actual: datetime | None
    repeated: bool
    earlier: Answers
    tree: Callable[[], Tree]
    replaces: Former | None = None


Send = Callable[[Sending], Done | Working | Refused]


def ask(
    journal: Journal,
    sending: Sending,
    *,
    call: Callable[[], Answer],
    known: Callable[[], object],
    kinds: tuple[type, ...],
) -> Answer:
    """The neighbour's answer to one step: returned when it answered, raised for Temporal to retry or to give up.

    An unknown outcome is looked up by key before anything else; a repeated step is looked up first, and called only if
    need be. ``kinds`` are the answers that this question can have: what is remembered as anything else is no answer.
    """
    try:
        if sending.repeated and isinstance(answer := known(), kinds):
            return cast("Answer", answer)
        try:
            return call()
        except OutcomeUnknown:
            if isinstance(answer := known(), kinds):
                return cast("Answer", answer)
            raise
    except (Unavailable, OutcomeUnknown, Unacceptable) as error:
        log.warning("step failed", order=sending.in_flight.id, step=sending.item.id, key=sending.key, error=repr(error))
        journal.failed(sending.in_flight.id, step=sending.item.id, key=sending.key, error=str(error))
        raise failure(error, sending.item.id) from error


def failure(error: Unavailable | OutcomeUnknown | Unacceptable, step: str) -> ApplicationError:
    """The error by which Temporal retries or gives up; the step it befell goes along as its detail."""
    return ApplicationError(
        str(error)[:1_000],
        step,
        type=type(error).__name__,
        non_retryable=isinstance(error, Unacceptable),
        next_retry_delay=_pause(error),
    )


def _pause(error: Exception) -> timedelta | None:
    """How long the neighbour wants not to be asked."""
    pause_s = error.retry_after_s if isinstance(error, Unavailable) else None
    return None if pause_s is None else timedelta(seconds=pause_s)


def take_back(journal: Journal, taken: Taken, undo: Callable[[InFlight, PlanItem, str, str], object]) -> None:
    """Undo one step and write it down; ``undo`` gets order, item, the key that did it and the key that takes it back.

    There is no refusing an undo: whatever stands in its way is raised, and Temporal tries again. A neighbour
    remembers a refusal under its key; what is asked after one is a new request.
    """
    in_flight = journal.load(taken.ref)
    item = in_flight.item(taken.step.id)
    did = key(taken.ref.order, item.subject, item.function, taken.step.generation)
    refusals = journal.undo_refusals(in_flight.id, step=item.id)
    try:
        answer = undo(in_flight, item, did, f"{did}:undo:{refusals}" if refusals else f"{did}:undo")
    except (Unavailable, OutcomeUnknown, Unacceptable) as error:
        journal.failed(in_flight.id, step=item.id, key=did, error=f"undo: {error}")
        said, kind = str(error)[:1_000], type(error).__name__
        raise ApplicationError(said, item.id, type=kind, next_retry_delay=_pause(error)) from error
    if isinstance(answer, Working):
        pause = timedelta(seconds=answer.again_in_s)
        raise ApplicationError("still at work", item.id, type="Working", next_retry_delay=pause)
    if isinstance(answer, Refused):
        journal.failed(in_flight.id, step=item.id, key=did, error=f"undo: {answer.message}", undo_refused=True)
        raise ApplicationError(answer.message, item.id, type=answer.code)
    journal.undone(taken.ref.order, step=item.id)
