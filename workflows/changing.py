"""What becomes of an order that is to be called off, or to be otherwise, while it is under way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn, cast

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.messages import Amendment, Decomposition, Ended, Revising
from domain.fallout import Decision
from domain.order import FINAL, State
from domain.progress import Assessment, Cancellation, Judgment, Resolution, Revised, objection_to_words
from workflows.carrying import Carrying
from workflows.messages import OrderRun, RevisionWish

_CODE: type[str | None] = cast("Any", str | None)
"""Why a revision is not accepted after all; runs of before were told nothing."""

_NOTHING = Cancellation()
"""What a signal that was sent without words says."""


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

    @asynccontextmanager
    async def _turn_when(self, is_due: Callable[[], bool]) -> AsyncIterator[None]:
        """Have the turn at a moment when something is so."""
        while True:
            if not is_due():
                await workflow.wait_condition(is_due)
            async with self._turn:
                if is_due():
                    yield
                    return

    @asynccontextmanager
    async def _frozen(self) -> AsyncIterator[None]:
        """While it is judged what may become of the order, what is under way ends, and nothing new is begun (2.3)."""
        if not workflow.patched("frozen-while-judged"):
            yield
            return
        self._progress.held_back = True
        try:
            yield
        finally:
            self._progress.held_back = False

    @workflow.update(description="Cancel the order, with actor and reason; refused past the point of no return.")
    async def cancel(self, cancellation: Cancellation) -> str:
        """Accept, if everything can be taken back, or refuse with line and step; answers the order's state."""
        async with self._turn, self._frozen():
            return await self._cancel(cancellation)

    @cancel.validator
    def _may_cancel(self, cancellation: Cancellation) -> None:
        if objection := objection_to_words(cancellation.actor, cancellation.reason):
            raise ApplicationError(objection[1], type=objection[0], non_retryable=True)

    @workflow.signal(name="cancel", description="Cancel the order: for batches. Like the update, without an answer.")
    async def cancel_if_possible(self, cancellation: Cancellation = _NOTHING) -> None:
        """Cancel the order; a refusal is shown in the run's details and in the order's events."""
        objection = objection_to_words(cancellation.actor, cancellation.reason)
        if objection and workflow.patched("cancel-with-words"):
            self._progress.notice = f"A wish to cancel was ignored: {objection[1]}."
            self._describe()
            return
        async with self._turn, self._frozen():
            with suppress(ApplicationError):
                await self._cancel(cancellation)

    async def _cancel(self, cancellation: Cancellation) -> str:
        """Nothing new is begun meanwhile, so that the answer is still true when it is given."""
        progress = self._progress
        if not progress.cancelled:
            await self._catch_up()
        if progress.cancelled:
            self._stir_up()
            return State.CANCELLED if progress.state is State.CANCELLED else State.PENDING_CANCELLATION
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
        return State.PENDING_CANCELLATION

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
        progress = self._progress
        self._newest_revision = max(self._newest_revision, wish.revision)
        async with self._turn_when(lambda: progress.amending is None or wish.revision < self._newest_revision):
            async with self._frozen():
                amendment = await self._judge(wish)
            if amendment is not None:
                before = progress.state
                if planned := progress.has_begun:
                    progress.state = State.PENDING
                if await self._put_on_record("judge", self._judgment(wish), _CODE) is not None:
                    progress.amending, progress.state = (
                        None,
                        before if progress.state is State.PENDING else progress.state,
                    )
                    self._stir_up()
                    raise ApplicationError("the order has ended", type="NOT_OPEN", non_retryable=True)
                self._start(self._amend(wish, amendment, planned=planned), among=self._sending)
        self._stir_up()
        self._show()
        return "accepted"

    async def _judge(self, wish: RevisionWish) -> Amendment | None:
        """What a revision would change, if it may; nothing more is begun then for the bundles that change.

        ``None``: it is in force already.
        """
        progress = self._progress
        if wish.revision < self._newest_revision or wish.revision < progress.ref.revision:
            await self._refuse(wish, "SUPERSEDED", "a later revision has come")
        await self._catch_up()
        if wish.revision == progress.ref.revision:
            return None
        revising = Revising(ref=replace(progress.ref, revision=wish.revision), before=progress.ref)
        amendment = await self._record("compare", revising, Amendment)
        if amendment.unknown:
            raise ApplicationError("there is no such revision", type="UNKNOWN", non_retryable=True)
        barrier = progress.objection(amendment, force=wish.force)
        if barrier is None and (sent := progress.objection_of_a_change(amendment)):
            barrier = sent if workflow.patched("changes-close-billing") else None
        if barrier:
            where = (barrier.item.subject, barrier.item.id)
            await self._refuse(wish, "NO_RETURN", f"{barrier.item.id} is past the point of no return", *where)
        if progress.state in FINAL or progress.cancelled:
            await self._refuse(wish, "NOT_OPEN", f"the order is {progress.state}")
        if lost := progress.lost(amendment):
            await self._refuse(wish, "GIVEN_UP", f"line {lost} was given up", lost)
        progress.amend(
            amendment,
            by=Resolution(
                fallout="", decision=Decision.RETRY, actor="system", reason=f"revision {wish.revision} changes the step"
            ),
        )
        return amendment

    async def _refuse(self, wish: RevisionWish, code: str, message: str, *where: str) -> NoReturn:
        """Say no; ``where`` are the line and the step that stand in the way."""
        step = where[1] if len(where) > 1 else None
        await self._put_on_record("judge", self._judgment(wish, code=code, step=step), _CODE)
        raise ApplicationError(message, *where, type=code, non_retryable=True)

    def _judgment(self, wish: RevisionWish, *, code: str | None = None, step: str | None = None) -> Judgment:
        progress = self._progress
        return Judgment(ref=progress.ref, revision=wish.revision, planned=progress.has_begun, code=code, step=step)

    async def _amend(self, wish: RevisionWish, amendment: Amendment, *, planned: bool) -> None:
        """Let an accepted revision be in force: undo what is not wanted any more, then go on with what is (2.7).

        Meanwhile the order may be cancelled: then there is nothing to go on with.
        """
        progress = self._progress
        await workflow.wait_condition(lambda: progress.cancelled or progress.is_amendable)
        assert progress.amending is not None
        progress.amending.is_undoing = True
        for step in progress.to_take_back(amendment):
            if not progress.cancelled:
                await self._take_back(step)
        progress.amending.is_undoing = False
        async with self._turn:
            if not progress.cancelled:
                await self._put_in_force(wish, amendment, planned=planned)
            progress.amending = None
        self._stir_up()
        self._show()

    async def _put_in_force(self, wish: RevisionWish, amendment: Amendment, *, planned: bool) -> None:
        progress = self._progress
        before, progress.ref = progress.ref, replace(progress.ref, revision=wish.revision)
        again, told = progress.redo(amendment, before=before), amendment.synchronizations
        revised = Revised(
            ref=progress.ref,
            before=before,
            again=again,
            synchronizations=told,
            planned=planned,
            waits_for=self._then_waits_for(amendment),
        )
        ended = await self._record("revise", revised, Ended)
        if planned:
            progress.replan(await self._whole_plan(Decomposition(items=(), more=True)))
            progress.state = ended.order_state or State.IN_PROGRESS
        self._starts = amendment.requested_start

    def _then_waits_for(self, amendment: Amendment) -> str | None:  # noqa: ARG002 - those that wait for a verdict look
        """Why the order waits from now on, before it has begun; empty if it need not, ``None`` if it is as before."""
        return None
