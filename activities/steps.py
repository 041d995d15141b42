"""Carrying out the steps of a plan: a batch at a time, one step after the other, each by whoever it is for."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import assert_never

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from activities.journal import Answers, Former, Journal, Send, Sending
from activities.messages import GIVEN_UP, Batch, Outcome, Replaced
from domain.in_flight import InFlight
from domain.neighbour import Refused
from domain.order import State, key
from domain.plan import PROVING, Function, PlanItem
from domain.progress import Done
from domain.provisioning import Working

MOST_LINES = 100
"""Of how many lines a run is told that a refusal is about them."""


@dataclass(frozen=True)
class StepActivities:
    """Every step of a plan: ``sends`` says who carries out which function, ``clock`` when it is sent."""

    journal: Journal
    sends: Mapping[Function, Send]
    clock: Callable[[], datetime]

    @activity.defn(dynamic=True, no_thread_cancel_exception=True)
    def steps(self, told: Sequence[RawValue]) -> tuple[Outcome, ...]:
        """Carry out a batch. In the history it is called what it does: ``reserve, initiate_billing`` (W2)."""
        name = activity.info().activity_type
        if not {*name.split(", ")} <= {*Function}:
            raise ApplicationError(f"there is no activity {name}", type="NotFoundError")
        return self._carry_out(activity.payload_converter().from_payload(told[0].payload, Batch))

    def _carry_out(self, batch: Batch) -> tuple[Outcome, ...]:
        """Carry out steps in their order, and write down those that are done, also when a later one fails.

        A step that waits for one that was refused, or is still at work, is left for another batch. Nothing interrupts
        what is being done: an attempt whose time is up ends between two steps.
        """
        limit = activity.info().start_to_close_timeout
        ends = time.monotonic() + limit.total_seconds() if limit is not None else math.inf
        in_flight = self.journal.load(batch.ref)
        self._put_on_record(batch, in_flight)
        repeated = batch.resent or activity.info().attempt > 1
        earlier = Answers(self.journal, in_flight.id)
        tree = cache(partial(self.journal.tree, in_flight, in_flight.item(batch.steps[0].id).root))
        undone = {x.id for x in batch.steps}
        answers: dict[str, Done | Working | Refused] = {}
        sent = set[str]()
        try:
            for step in batch.steps:
                if activity.is_cancelled() or time.monotonic() > ends:  # what is left is for another attempt
                    break
                item = in_flight.item(step.id)
                if undone.isdisjoint(item.depends_on):
                    sent.add(step.id)
                    answers[step.id] = answer = self.sends[item.function](
                        Sending(
                            in_flight=in_flight,
                            item=item,
                            key=key(in_flight.id, item.subject, item.function, step.generation),
                            actual=step.actual,
                            repeated=repeated,
                            earlier=earlier,
                            tree=tree,
                            replaces=self._former(item, step.replaces),
                        )
                    )
                    if isinstance(answer, Done):
                        undone.discard(step.id)
                        earlier.add(answer)
        finally:
            done = [x for x in answers.values() if isinstance(x, Done)]
            state = self.journal.done(in_flight, done, asked=batch.asked) if done else None
            self._take_off_record(batch, in_flight, answers, sent=sent, repeated=repeated)
        outcomes = tuple(outcome(in_flight.item(step), answer, state) for step, answer in answers.items())
        return tuple(replace(x, wakes=self._next(in_flight, done, x.step)) for x in outcomes)

    def _next(self, in_flight: InFlight, done: Sequence[Done], step: str) -> str | None:
        """Whose turn it is when a bundle that has changed assets is at its end."""
        ended = next((x.installation for x in done if x.step == step and x.installation), None)
        if ended is None or not ended.claimed:
            return None
        return self.journal.next_on(in_flight, ended.root, now=self.clock())

    def _former(self, item: PlanItem, replaced: Replaced | None) -> Former | None:
        """What a step did for an earlier revision, where it is to be replaced."""
        if replaced is None:
            return None
        did = key(replaced.ref.order, item.subject, item.function, replaced.generation)
        return Former(key=did, in_flight=self.journal.load(replaced.ref))

    def _put_on_record(self, batch: Batch, in_flight: InFlight) -> None:
        """Write down, before it happens, what cannot be treated afterwards as if it had not.

        A run that was reset may not know that it is not to happen any more.
        """
        proving = [x.id for x in batch.steps if in_flight.item(x.id).function in PROVING]
        if proving and not self.journal.sent(in_flight.id, steps=proving):
            raise ApplicationError("the bundle was given up", proving[0], type=GIVEN_UP, non_retryable=True)

    def _take_off_record(
        self,
        batch: Batch,
        in_flight: InFlight,
        answers: Mapping[str, Done | Working | Refused],
        *,
        sent: Collection[str],
        repeated: bool,
    ) -> None:
        """What was put on record and has not happened shows as still to come.

        That is what waits for a step that was refused, or is still at work; and what a first attempt did not come to.
        """
        if len(sent) == len(batch.steps):
            return
        waiting = {step for step, answer in answers.items() if not isinstance(answer, Done)}
        for step in batch.steps:
            if not repeated or not waiting.isdisjoint(in_flight.item(step.id).depends_on):
                waiting.add(step.id)
        unsent = [x for x in waiting.difference(sent) if in_flight.item(x).function in PROVING]
        if unsent:
            self.journal.unsent(in_flight.id, steps=unsent)


def outcome(item: PlanItem, answer: Done | Working | Refused, order_state: State | None) -> Outcome:
    """An answer as the workflow needs it; the step that ends a bundle tells what became of the order."""
    match answer:
        case Done():
            return Outcome(step=item.id, at=answer.at, order_state=order_state if answer.installation else None)
        case Working():
            return Outcome(step=item.id, again_in_s=answer.again_in_s, message=answer.why)
        case Refused():
            lines = tuple(x for x in item.lines if x in answer.lines)[:MOST_LINES]
            return Outcome(step=item.id, code=answer.code[:100], message=answer.message[:1_000], lines=lines)
        case _:
            assert_never(answer)
