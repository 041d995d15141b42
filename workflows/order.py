"""The story of one order, from the moment it is acknowledged to its end (W1, W2)."""

import asyncio
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import Decomposition, Validation
    from domain.order import State
    from workflows.carrying import Carrying
    from workflows.messages import OrderEnd, OrderRun

SIDE_BY_SIDE = 20
"""How many batches of one order are under way at once."""


@workflow.defn(name="Order")
class OrderWorkflow(Carrying):
    """One order. It never fails for business reasons: what cannot go on is parked and waits for a decision (W5)."""

    @workflow.init
    def __init__(self, run: OrderRun) -> None:
        """Start with nothing done."""
        super().__init__(run)

    @workflow.run
    async def run(self, run: OrderRun) -> OrderEnd:
        """Carry the order out."""
        await self._wait_for_start(run.requested_start)
        if await self._is_valid():
            await self._decompose()
            await self._carry_out()
        self._show()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return OrderEnd(state=self._progress.state)

    async def _wait_for_start(self, start: datetime | None) -> None:
        """A future-dated order waits on a durable timer until its requested start."""
        if start is not None and start > workflow.now():
            await self._become(State.PENDING, reason="requested start")
            await workflow.sleep(start - workflow.now(), summary=f"Starts {start:%Y-%m-%d %H:%M} UTC as requested")

    async def _is_valid(self) -> bool:
        """Whether the order still breaks no rule; if it does, it is rejected."""
        verdict = await self._record("validate", self._progress.ref, Validation)
        if verdict.violations:
            await self._become(State.REJECTED, reason="; ".join(verdict.violations)[:500])
        return not verdict.violations

    async def _decompose(self) -> None:
        """Find out what has to be done, and begin."""
        self._progress.plan_is(await self._record("decompose", self._progress.ref, Decomposition))
        self._describe()

    async def _carry_out(self) -> None:
        """Send what can be sent, as soon as it can be, until nothing is left: independent branches go side by side."""
        while True:
            ready, given_up = self._progress.ready(), self._progress.to_give_up()
            await self._hold_or_resume(idle=not (ready or given_up or self._sending))
            for root in given_up:
                self._start(self._undo(root), among=self._sending)
            for batch in ready[: max(0, SIDE_BY_SIDE - len(self._sending))]:
                self._start(self._send(batch), among=self._sending)
            if not self._sending and not self._waiting:
                break
            done, _ = await workflow.wait([*self._sending, *self._waiting], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                (self._sending if task in self._sending else self._waiting).remove(task)
                task.result()
        if not self._progress.steps:
            await self._become(State.COMPLETED, reason=None)

    async def _hold_or_resume(self, *, idle: bool) -> None:
        """The order is held while all that is left waits for a person (2.3), and no longer before anything goes on."""
        held = idle and bool(self._waiting)
        if held != (self._progress.state is State.HELD):
            await self._become(State.HELD if held else State.IN_PROGRESS, reason=None)
