"""What becomes of an order that is to be called off while it is under way."""

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.order import FINAL, State
from domain.progress import Assessment, Cancellation
from workflows.carrying import Carrying
from workflows.messages import OrderRun


class Changing(Carrying):
    """An order under way that may be called off: the answer is given at once, and is true (2.3, 2.7)."""

    def __init__(self, run: OrderRun) -> None:
        """Nobody has asked for anything yet."""
        super().__init__(run)
        self._turn = asyncio.Lock()
        """Whoever begins the order or changes it has the turn: one after the other."""
        self._cancellations = 0

    @workflow.update(description="Cancel the order, with actor and reason; refused past the point of no return.")
    async def cancel(self, cancellation: Cancellation) -> str:
        """Accept, if everything can be taken back, or refuse with line and step; answers the order's state."""
        async with self._turn:
            return await self._cancel(cancellation)

    @cancel.validator
    def _may_cancel(self, cancellation: Cancellation) -> None:
        if not cancellation.actor.strip() or not cancellation.reason.strip():
            raise ApplicationError("actor and reason are needed", type="NO_REASON", non_retryable=True)

    @workflow.signal(name="cancel", description="Cancel the order: for batches. Like the update, without an answer.")
    async def cancel_if_possible(self, cancellation: Cancellation) -> None:
        """Cancel the order; a refusal is shown in the run's details and in the order's events."""
        async with self._turn:
            with suppress(ApplicationError):
                await self._cancel(cancellation)

    async def _cancel(self, cancellation: Cancellation) -> str:
        """While the answer is written down nothing new is begun, so that it is still true when it is given."""
        progress = self._progress
        if progress.cancelled:
            return progress.state
        if barrier := progress.barrier(force=cancellation.force):
            await self._assess(cancellation, barrier=barrier.item.id)
            message = f"{barrier.item.id} is past the point of no return"
            progress.notice = f"{cancellation.actor} wanted to cancel: refused, {message}."
            self._describe()
            raise ApplicationError(message, barrier.item.subject, barrier.item.id, type="NO_RETURN", non_retryable=True)
        if progress.state in FINAL:
            raise ApplicationError(f"the order is {progress.state}", type="NOT_OPEN", non_retryable=True)
        progress.cancelled = progress.held_back = True
        progress.state = State.PENDING_CANCELLATION
        await self._assess(cancellation, barrier=None)
        progress.give_up_all()
        self._show()
        return progress.state

    async def _assess(self, cancellation: Cancellation, *, barrier: str | None) -> None:
        """Write down that the order was to be cancelled, and the answer."""
        self._cancellations += 1
        request = f"{self._run.number}-{self._cancellations}"
        assessment = Assessment(ref=self._progress.ref, request=request, cancellation=cancellation, barrier=barrier)
        await self._record("assess", assessment, type(None))
