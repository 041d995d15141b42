"""What activities need of our own records, and how one step is carried out: key, call, answer, journal."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, assert_never, cast

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import Batch, Outcome, Taken
from domain.in_flight import InFlight
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable
from domain.order import key
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

    def done(self, order: str, done: Sequence[Done]) -> None:
        """Write down that steps are done; twice is once."""
        ...

    def sent(self, order: str, *, steps: Sequence[str], at: datetime) -> None:
        """Write down, before it happens, that steps are sent past which there is no return."""
        ...

    def failed(self, order: str, *, step: str, key: str, error: str) -> None:
        """Write down one more failed attempt, and its error."""
        ...

    def undone(self, order: str, *, step: str) -> None:
        """Write down that a step is taken back; twice is once."""
        ...

    def results(self, order: str, steps: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The answers written down for steps that are done, by step id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One step on its way to a neighbour; ``repeated``: an earlier attempt may have had its effect already."""

    in_flight: InFlight
    item: PlanItem
    key: str
    actual: datetime | None
    repeated: bool


Send = Callable[[Sending], Done | Working | Refused]


def carry_out(journal: Journal, batch: Batch, send: Send) -> tuple[Outcome, ...]:
    """Carry out the steps of a batch in order, and write down those that are done, also when a later one fails.

    A step that waits for one that was refused, or is still at work, is left for another batch.
    """
    done: list[Done] = []
    outcomes: list[Outcome] = []
    unsettled: set[str] = set()
    try:
        for sending in sendings(journal, batch):
            if unsettled & set(sending.item.depends_on):
                unsettled.add(sending.item.id)
                continue
            answer = send(sending)
            outcomes.append(outcome(sending.item.id, answer))
            if isinstance(answer, Done):
                done.append(answer)
            else:
                unsettled.add(sending.item.id)
    finally:
        if done:
            journal.done(batch.ref.order, done)
    return tuple(outcomes)


def sendings(journal: Journal, batch: Batch) -> Iterator[Sending]:
    """The steps of a batch with what they are about and the key each is known by."""
    in_flight = journal.load(batch.ref)
    repeated = batch.resent or activity.info().attempt > 1
    for step in batch.steps:
        item = in_flight.item(step.id)
        yield Sending(
            in_flight=in_flight,
            item=item,
            key=key(batch.ref.order, item.subject, item.function, step.generation),
            actual=step.actual,
            repeated=repeated,
        )


def outcome(step: str, answer: Done | Working | Refused) -> Outcome:
    """A neighbour's answer as the workflow needs it."""
    match answer:
        case Done():
            return Outcome(step=step, at=answer.at)
        case Working():
            return Outcome(step=step, again_in_s=answer.again_in_s)
        case Refused():
            return Outcome(step=step, code=answer.code, message=answer.message)
        case _:
            assert_never(answer)


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
    pause_s = error.retry_after_s if isinstance(error, Unavailable) else None
    return ApplicationError(
        str(error)[:1_000],
        step,
        type=type(error).__name__,
        non_retryable=isinstance(error, Unacceptable),
        next_retry_delay=None if pause_s is None else timedelta(seconds=pause_s),
    )


def take_back(journal: Journal, taken: Taken, undo: Callable[[InFlight, PlanItem, str, str], object]) -> None:
    """Undo one step and write it down; ``undo`` gets order, item, the key that did it and the key that takes it back.

    There is no refusing an undo: whatever stands in its way is raised, and Temporal tries again.
    """
    in_flight = journal.load(taken.ref)
    item = in_flight.item(taken.step.id)
    did = key(taken.ref.order, item.subject, item.function, taken.step.generation)
    try:
        answer = undo(in_flight, item, did, f"{did}:undo")
    except (Unavailable, OutcomeUnknown, Unacceptable) as error:
        journal.failed(in_flight.id, step=item.id, key=did, error=f"undo: {error}")
        raise ApplicationError(str(error)[:1_000], item.id, type=type(error).__name__) from error
    if isinstance(answer, Refused):
        journal.failed(in_flight.id, step=item.id, key=did, error=f"undo: {answer.message}")
        raise ApplicationError(answer.message, item.id, type=answer.code)
    journal.undone(taken.ref.order, step=item.id)
