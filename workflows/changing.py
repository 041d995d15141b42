"""What becomes of an order that is to be called off, or to be otherwise, while it is under way."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.messages import Amendment, Decomposition, Ended, Revising
from domain.fallout import Decision
from domain.order import FINAL, State
from domain.progress import Assessment, Cancellation, Judgment, Resolution, Revised
from workflows.carrying import Carrying
from workflows.messages import OrderRun, RevisionWish
from workflows.progress import StepProgress


class Changing(Carrying):
    """An order under way that may be called off or revised: the answer is given at once, and is true (2.3, 2.7)."""

    def __init__(self, run: OrderRun) -> None:
        """Nobody has asked for anything yet."""
        super().__init__(run)
        self._turn = asyncio.Lock()
        """Whoever begins the order or changes it has the turn: one after the other."""
        self._cancellations = 0
        self._newest_revision = run.revision
        self._starts: datetime | None = run.requested_start

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
        self._stir_up()
        self._show()
        return progress.state

    async def _assess(self, cancellation: Cancellation, *, barrier: str | None) -> None:
        """Write down that the order was to be cancelled, and the answer."""
        self._cancellations += 1
        request = f"{self._run.number}-{self._cancellations}"
        assessment = Assessment(ref=self._progress.ref, request=request, cancellation=cancellation, barrier=barrier)
        await self._put_on_record("assess", assessment, type(None))

    @workflow.update(description="Let a stored revision of the order be in force; refused past the point of no return.")
    async def revise(self, wish: RevisionWish) -> str:
        """Accept a revision, or refuse it with line and step; of several that wait only the newest is looked at.

        An accepted one is in force as soon as what it changes is undone.
        """
        self._newest_revision = max(self._newest_revision, wish.revision)
        await self._turn.acquire()
        try:
            amendment = await self._judge(wish)
        except BaseException:
            self._turn.release()
            raise
        accepted: asyncio.Future[None] = asyncio.Future()
        self._start(self._amend(wish, amendment, accepted), among=self._sending)
        self._stir_up()
        await accepted
        return "accepted"

    async def _judge(self, wish: RevisionWish) -> Amendment:
        """What a revision would change, if it may; nothing more is begun then for the bundles that change."""
        progress = self._progress
        if wish.revision < self._newest_revision or wish.revision <= progress.ref.revision:
            await self._refuse(wish, "SUPERSEDED", "a later revision has come")
        revising = Revising(ref=replace(progress.ref, revision=wish.revision), before=progress.ref)
        amendment = await self._record("compare", revising, Amendment)
        if amendment.unknown:
            raise ApplicationError("there is no such revision", type="UNKNOWN", non_retryable=True)
        if barrier := progress.objection(amendment, force=wish.force):
            await self._refuse(wish, "NO_RETURN", f"{barrier.item.id} is past the point of no return", barrier)
        if progress.state in FINAL or progress.cancelled:
            await self._refuse(wish, "NOT_OPEN", f"the order is {progress.state}")
        progress.amend(
            amendment,
            by=Resolution(
                fallout="", decision=Decision.RETRY, actor="system", reason=f"revision {wish.revision} changes the step"
            ),
        )
        return amendment

    async def _refuse(
        self, wish: RevisionWish, code: str, message: str, barrier: StepProgress | None = None
    ) -> NoReturn:
        step = barrier.item.id if barrier else None
        await self._put_on_record("judge", self._judgment(wish, code=code, step=step), type(None))
        where = (barrier.item.subject, barrier.item.id) if barrier else ()
        raise ApplicationError(message, *where, type=code, non_retryable=True)

    def _judgment(self, wish: RevisionWish, *, code: str | None = None, step: str | None = None) -> Judgment:
        planned = bool(self._progress.steps)
        return Judgment(ref=self._progress.ref, revision=wish.revision, planned=planned, code=code, step=step)

    async def _amend(self, wish: RevisionWish, amendment: Amendment, accepted: asyncio.Future[None]) -> None:
        """Let an accepted revision be in force: undo what is not wanted any more, then go on with what is (2.7)."""
        progress = self._progress
        planned = bool(progress.steps)
        if planned:
            progress.state = State.PENDING
        await self._put_on_record("judge", self._judgment(wish), type(None))
        accepted.set_result(None)
        self._show()
        await workflow.wait_condition(lambda: progress.is_amendable)
        for step in progress.to_take_back(amendment):
            await self._take_back(step)
        before, progress.ref = progress.ref, replace(progress.ref, revision=wish.revision)
        again, told = progress.redo(amendment, before=before), amendment.synchronizations
        revised = Revised(ref=progress.ref, before=before, again=again, synchronizations=told, planned=planned)
        ended = await self._record("revise", revised, Ended)
        if planned:
            progress.replan(await self._whole_plan(Decomposition(items=(), more=True)))
            progress.state = ended.order_state or State.IN_PROGRESS
        progress.amending = {}
        self._starts = amendment.requested_start
        self._turn.release()
        self._show()
