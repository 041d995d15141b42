"""Orders that somebody has to approve before anything is done for them (F31)."""

from collections.abc import Sequence
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.messages import Amendment, Approved
from domain.approval import Approval, Verdict
from domain.order import State
from domain.progress import objection_to_words
from workflows.changing import Changing
from workflows.messages import OrderRun, RevisionWish

_NOTHING = Approval()
"""What a signal that was sent without words says."""


class Approving(Changing):
    """An order under way that may have to be approved."""

    def __init__(self, run: OrderRun) -> None:
        """Nobody has said anything yet."""
        super().__init__(run)
        self._progress.unapproved = run.approvals
        self._verdict: Approval | None = None

    async def _is_approved(self) -> bool:
        """Whether the order may go on; it waits, for as long as it takes, for somebody to say so.

        An order that is cancelled meanwhile goes on to its end as one that was approved.
        """
        progress = self._progress
        if not progress.unapproved:
            return True
        if not progress.cancelled:
            await self._become(State.PENDING, reason=_reason(progress.unapproved, self._starts))
        await workflow.wait_condition(
            lambda: self._verdict is not None or progress.is_not_to_wait or not progress.unapproved
        )
        async with self._turn_when(lambda: progress.amending is None):
            if self._verdict is not None and not progress.is_not_to_wait:
                await self._write_down(self._verdict)
            progress.unapproved = ()
            self._show()
            return progress.state is not State.REJECTED

    def _then_waits_for(self, amendment: Amendment) -> str | None:
        """A revision may leave less to be approved, or nothing; never more (F31)."""
        progress = self._progress
        if not progress.unapproved or self._verdict is not None or amendment.approvals is None:
            return None
        return _reason(amendment.approvals, amendment.requested_start) or ""

    async def _put_in_force(self, wish: RevisionWish, amendment: Amendment, *, planned: bool) -> None:
        await super()._put_in_force(wish, amendment, planned=planned)
        if self._then_waits_for(amendment) is not None:
            self._progress.unapproved = amendment.approvals or ()

    async def _write_down(self, verdict: Approval) -> None:
        approved = Approved(
            ref=self._progress.ref,
            approval=verdict,
            request=f"{self._run.number}-approval",
            then=_reason((), self._starts),
        )
        await self._put_on_record("approve", approved, type(None))
        if verdict.decision == Verdict.REJECT:
            self._progress.state = State.REJECTED

    @workflow.update(description="Approve or reject the order, with actor and reason.")
    async def approval(self, approval: Approval) -> str:
        """Say whether the order may go on; answered with its state once that is on record."""
        self._verdict = approval
        await workflow.wait_condition(lambda: not self._progress.unapproved)
        if self._progress.cancelled:
            raise ApplicationError("the order is cancelled", type="NOT_OPEN", non_retryable=True)
        return self._progress.state

    @approval.validator
    def _may_say(self, approval: Approval) -> None:
        if problem := self._objection_to(approval):
            raise ApplicationError(problem[1], type=problem[0], non_retryable=True)

    @workflow.signal(description="Approve the order: for batches. Like the update, without an answer.")
    def approve(self, approval: Approval = _NOTHING) -> None:
        """Approve the order; ignored if it does not wait for that."""
        self._say(approval, Verdict.APPROVE)

    @workflow.signal(description="Reject the order: for batches. Like the update, without an answer.")
    def reject(self, approval: Approval = _NOTHING) -> None:
        """Reject the order; ignored if it does not wait for approval."""
        self._say(approval, Verdict.REJECT)

    def _say(self, approval: Approval, verdict: Verdict) -> None:
        said = Approval(actor=approval.actor, reason=approval.reason, decision=verdict)
        if self._objection_to(said) is None:
            self._verdict = said

    def _objection_to(self, approval: Approval) -> tuple[str, str] | None:
        """Why a verdict cannot be taken: a stable code and a sentence; ``None`` when it can."""
        if not self._progress.unapproved or self._verdict is not None:
            return "NOT_OPEN", "the order does not wait for approval"
        if approval.decision not in {*Verdict}:
            return "NOT_ALLOWED", "it is approve or reject"
        return objection_to_words(approval.actor, approval.reason)


def _reason(unapproved: Sequence[str], start: datetime | None) -> str | None:
    """Why an order is pending before it begins: for a verdict, else for its start."""
    if unapproved:
        return f"approval: {'; '.join(unapproved)}"[:500]
    return "requested start" if start is not None and start > workflow.now() else None
