"""The story of one order, from the moment it is acknowledged to its end (W1, W2)."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import Decomposition, Freed, Transition, Validation
    from domain.order import State
    from domain.plan import PlanItem
    from domain.progress import Cancellation
    from workflows.approving import Approving
    from workflows.messages import OrderEnd, OrderRun
    from workflows.under_way import FREED

SIDE_BY_SIDE = 20
"""How many batches of one order are under way at once."""

LONGEST_BATCH = 50
"""How many steps are sent in one attempt: as many as neighbours that take half a second for each do in its time."""


@workflow.defn(name="Order")
class OrderWorkflow(Approving):
    """One order. It never fails for business reasons: what cannot go on is parked and waits for a decision (W5)."""

    @workflow.init
    def __init__(self, run: OrderRun) -> None:
        """Start with nothing done."""
        super().__init__(run)
        self._wishes: list[asyncio.Task[None]] = []
        self._decomposition: Decomposition | None = None
        self._until_due: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, _: OrderRun) -> OrderEnd:
        """Carry the order out; Temporal's own cancellation is taken as a wish to cancel, and judged as one."""
        story = asyncio.create_task(self._story())
        while not story.done():
            try:
                await workflow.wait([story])
            except asyncio.CancelledError:
                if (said := workflow.cancellation_reason()) is None:
                    raise
                wish = Cancellation(actor="temporal", reason=said or "the run was cancelled in Temporal")
                self._wishes.append(asyncio.create_task(self.cancel_if_possible(wish)))
        story.result()
        if self._wishes:
            await workflow.wait(self._wishes)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return OrderEnd(state=self._progress.state)

    async def _story(self) -> None:
        if not await self._is_approved():
            return
        await self._wait_for_start()
        progress = self._progress
        async with self._turn_when(lambda: progress.amending is None):
            if not progress.is_not_to_wait and await self._is_valid():
                await self._decompose()
        if progress.has_begun:
            await self._carry_out()
        elif progress.cancelled:
            await self._pass_all_on(await self._become(State.CANCELLED, reason=None))
        self._show()

    async def _wait_for_start(self) -> None:
        """A future-dated order waits on a durable timer until its requested start."""
        progress = self._progress
        while (start := self._starts) is not None and start > workflow.now() and not progress.is_not_to_wait:
            if progress.state is not State.PENDING:
                await self._become(State.PENDING, reason="requested start")
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    partial(self._starts_otherwise, start),
                    timeout=start - workflow.now(),
                    timeout_summary=f"Starts {start:%Y-%m-%d %H:%M} UTC as requested",
                )

    def _starts_otherwise(self, start: datetime) -> bool:
        return self._progress.is_not_to_wait or self._starts != start

    async def _is_valid(self) -> bool:
        """Whether the order still breaks no rule; if it does, it is rejected."""
        summary = f"validate, decompose {self._run.title}"
        verdict = await self._record("validate", self._progress.ref, Validation, summary=summary)
        if verdict.violations:
            await self._reject("; ".join(verdict.violations)[:500])
        self._decomposition = verdict.decomposition
        return not verdict.violations

    async def _reject(self, reason: str) -> None:
        """The order breaks rules now; what is known of its accounts may be otherwise when they are asked again."""
        self._progress.state = State.REJECTED
        rejected = Transition(ref=self._progress.ref, state=State.REJECTED, reason=reason)
        freed = await self._put_on_record("transition", rejected, FREED)
        self._show()
        await self._pass_all_on(freed)

    async def _pass_all_on(self, freed: Freed | None) -> None:
        """The order is over before it was begun: whoever waits for its assets is next."""
        for order in freed.wakes if freed else ():
            await self._wake(order)

    async def _decompose(self) -> None:
        """Find out what has to be done, and begin; a long plan comes in pages."""
        decomposition = self._decomposition
        if decomposition is None:  # the order was validated when this was a step of its own
            decomposition = await self._record("decompose", self._progress.ref, Decomposition)
        if decomposition.standing is None:
            self._progress.plan_is(await self._whole_plan(decomposition))
        else:
            await self._recall(decomposition.standing, decomposition)
            if decomposition.standing.state is State.PENDING:  # it was waiting for its turn
                self._progress.state = State.PENDING
        if self._shown.state is State.PENDING and workflow.patched("begun-after-waiting"):
            self._show()
        self._describe()

    async def _carry_out(self) -> None:
        """Send what can be sent, as soon as it can be, until nothing is left: independent branches go side by side."""
        progress = self._progress
        while True:
            if progress.held_back:
                await workflow.wait_condition(lambda: not progress.held_back)
            if progress.due and self._until_due is None:
                self._until_due = asyncio.create_task(self._wait_until_due())
            ready = self._ready()
            at_work = len(self._sending) > len(progress.queued)
            if await self._hold_or_resume(idle=not (ready or progress.has_to_give_up or at_work)):
                continue  # who knows what was decided meanwhile
            for root in progress.to_give_up():
                self._start(self._undo(root), among=self._sending)
            for batch in ready[: max(0, SIDE_BY_SIDE - len(self._sending))]:
                progress.begin(batch)
                self._start(self._send(batch), among=self._sending)
            if not self._sending and not self._waiting and not progress.due and progress.amending is None:
                assert progress.is_over, "what is left to do waits for nobody"
                break
            await self._something_ends()
        if not progress.steps:
            await self._become(State.CANCELLED if progress.cancelled else State.COMPLETED, reason=None)

    def _ready(self) -> list[tuple[PlanItem, ...]]:
        """The batches that can be sent now; the rest of a long one goes when this part of it is back."""
        ready = self._progress.ready()
        if any(len(batch) > LONGEST_BATCH for batch in ready) and workflow.patched("long-batches-in-parts"):
            return [batch[:LONGEST_BATCH] for batch in ready]
        return ready

    async def _something_ends(self) -> None:
        """Wait for what is under way, for a decision, or until somebody says that there is something else to do."""
        self._stirred = asyncio.Future()
        awaited = [*self._sending, *self._waiting, self._stirred]
        done, _ = await workflow.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        for tasks in (self._sending, self._waiting):
            for task in [x for x in tasks if x in done]:
                tasks.remove(task)
                task.result()

    async def _hold_or_resume(self, *, idle: bool) -> bool:
        """The order is held while all that is left waits for a person (2.3), and pends while it waits for its turn.

        Whether it took another state now.
        """
        progress = self._progress
        wanted, reason = State.IN_PROGRESS, None
        if idle and self._waiting:
            wanted = State.IN_PROGRESS if progress.state is State.PENDING else State.HELD
        elif idle and progress.waits_for:
            wanted, reason = State.PENDING, progress.waits_for
        if not self._is_to_become(wanted):
            return False
        async with self._turn:
            if self._is_to_become(wanted):
                await self._become(wanted, reason=reason)
        return True

    def _is_to_become(self, wanted: State) -> bool:
        progress = self._progress
        waits = progress.state is State.PENDING and progress.amending is None
        return (waits or progress.state in (State.HELD, State.IN_PROGRESS)) and progress.state is not wanted

    async def _wait_until_due(self) -> None:
        """Durable timers: a bundle is carried out on its day (C35)."""
        progress = self._progress
        while progress.due:
            first = min(progress.due.values())
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    partial(self._is_due_otherwise, first),
                    timeout=max(first - workflow.now(), timedelta()),
                    timeout_summary=f"Due {first:%Y-%m-%d %H:%M} UTC",
                )
            now = workflow.now()
            progress.due = {root: at for root, at in progress.due.items() if at > now and root not in progress.given_up}
            self._stir_up()
        self._until_due = None

    def _is_due_otherwise(self, first: datetime) -> bool:
        due = self._progress.due
        return min(due.values(), default=None) != first or any(x in self._progress.given_up for x in due)
