"""The story of one order, from the moment it is acknowledged to its end (W1, W2)."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.messages import Decomposition, Ended, Outcome, RootEnd, Transition, Validation
    from domain.fallout import Decision, correction
    from domain.order import State
    from domain.plan import PlanItem, StepState
    from domain.progress import Closing, OrderRef, Resolution
    from workflows.details import Shown, details, first_shown, updates
    from workflows.messages import OrderEnd, OrderRun, Patience
    from workflows.progress import OrderProgress, StepProgress, Undecided
    from workflows.sending import Result, durably, durably_once, failure, quickly, surely, will_heal

Outcomes = tuple[Outcome, ...]

SIDE_BY_SIDE = 20
"""How many batches of one order are under way at once."""


@workflow.defn(name="Order")
class OrderWorkflow:
    """One order. It never fails for business reasons: what cannot go on is parked and waits for a decision (W5)."""

    @workflow.init
    def __init__(self, run: OrderRun) -> None:
        """Start with nothing done."""
        self._run = run
        self._progress = OrderProgress(OrderRef(order=run.order, revision=run.revision))
        self._shown: Shown = first_shown(run, workflow.now())
        self._sending: list[asyncio.Task[None]] = []
        self._waiting: list[asyncio.Task[None]] = []

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

    async def _send(self, batch: Sequence[PlanItem]) -> None:
        """Have one batch carried out, and note what became of each of its steps."""
        steps = [self._progress.steps[item.id] for item in batch]
        for step in steps:
            step.state = StepState.IN_PROGRESS
        try:
            outcomes = await self._ask(batch)
        except FailureError as error:
            self._fail(steps, error)
            return
        self._progress.trouble = None
        for step in steps:
            step.state = StepState.PENDING
        for outcome in outcomes:
            self._note(self._progress.steps[outcome.step], outcome)

    async def _ask(self, batch: Sequence[PlanItem]) -> Outcomes:
        """One attempt, on record before it is sent where it has to be, else quick; then as often as it takes."""
        activity, summary, patience = batch[0].function.value, self._progress.title(batch), self._run.patience
        resent = self._progress.is_resent(batch)
        if not resent:
            once = durably_once if self._progress.is_point_of_no_return(batch) else quickly
            asked = self._progress.batch(batch, now=workflow.now())
            self._describe()
            try:
                return await once(activity, asked, result=Outcomes, patience=patience, summary=summary)
            except FailureError as error:
                if is_cancelled_exception(error) or not will_heal(error):
                    raise
                resent = True
                self._meet_trouble(batch[0], failure(error).message)
        asked = self._progress.batch(batch, now=workflow.now(), resent=resent)
        return await durably(activity, asked, result=Outcomes, patience=patience, summary=summary)

    def _note(self, step: StepProgress, outcome: Outcome) -> None:
        """Take over what became of a step."""
        if outcome.again_in_s is not None:
            step.state, step.resent = StepState.IN_PROGRESS, True
            self._start(self._ask_again(step, outcome.again_in_s), among=self._sending)
        elif outcome.code is not None:
            self._fall_out(step, code=outcome.code, message=outcome.message or "", refused=True)
        else:
            step.state, step.at = StepState.DONE, outcome.at
            self._progress.state = outcome.order_state or self._progress.state

    async def _ask_again(self, step: StepProgress, pause_s: float) -> None:
        """Give a neighbour that is at work the time it asked for."""
        self._meet_trouble(step.item, "at work")
        await workflow.sleep(pause_s, summary=f"{step.item.function.system} is at work on {step.item.id}")
        step.state = StepState.PENDING

    def _fail(self, steps: Sequence[StepProgress], error: FailureError) -> None:
        """Park the step that an activity failed for; the others of its batch go on without it."""
        if is_cancelled_exception(error):
            raise error
        what = failure(error)
        for step in steps:
            step.state, step.resent = StepState.PENDING, True
        failed = self._progress.steps.get(what.step or "", steps[0])
        self._fall_out(failed, code=what.code, message=what.message, refused=False)

    def _fall_out(self, step: StepProgress, *, code: str, message: str, refused: bool) -> None:
        self._progress.fallout_count += 1
        undecided = self._progress.fall_out(
            step,
            id=f"{self._run.number}-{self._progress.fallout_count}",
            account=self._run.account,
            code=code,
            message=message,
            refused=refused,
        )
        self._start(self._wait_for_decision(step, undecided), among=self._waiting)

    async def _wait_for_decision(self, step: StepProgress, undecided: Undecided) -> None:
        """Put a step on the work list, and do what a person decides about it."""
        await self._record("open_fallout", undecided.fallout, type(None))
        self._show()
        root = step.item.root
        await workflow.wait_condition(lambda: undecided.resolution is not None or root in self._progress.given_up)
        resolution = undecided.resolution or Resolution(
            fallout=undecided.fallout.id, decision=Decision.ABORT, actor="system", reason="the bundle was given up"
        )
        await self._record("close_fallout", self._closing(step, resolution), type(None))
        self._decide(step, Decision(resolution.decision), refused=undecided.refused)
        undecided.settled = True
        del self._progress.undecided[undecided.fallout.id]
        self._show()

    def _closing(self, step: StepProgress, resolution: Resolution) -> Closing:
        corrected = None
        if resolution.decision == Decision.RETRY_WITH:
            ref = self._progress.ref
            self._progress.ref = replace(ref, corrections=ref.corrections + 1)
            corrected = correction(resolution.input, line=step.item.subject)
        skipped = resolution.decision == Decision.SKIP
        return Closing(
            ref=self._progress.ref, resolution=resolution, step=step.item.id, skipped=skipped, correction=corrected
        )

    def _decide(self, step: StepProgress, decision: Decision, *, refused: bool) -> None:
        """After a definite no nothing happened, so another attempt is a new one; otherwise it is the same again."""
        match decision:
            case Decision.RETRY | Decision.RETRY_WITH:
                step.state, step.resent = StepState.PENDING, not refused
                step.generation += refused
            case Decision.SKIP:
                step.state, step.at = StepState.SKIPPED, workflow.now()
            case Decision.ABORT:
                step.state, step.resent = StepState.PENDING, True

    async def _undo(self, root: str) -> None:
        """Take back all that was done for a bundle, last first, then end its lines (2.7)."""
        await workflow.wait_condition(lambda: not self._progress.is_busy(root))
        endless = replace(self._run.patience, give_up_s=None)
        for step in self._progress.to_undo(root):
            undo, summary = step.item.function.undo, f"Undo of {self._progress.title([step.item])}"
            assert undo is not None
            await self._take_back(step, undo.value, summary, endless)
            step.state = StepState.UNDONE
        end = RootEnd(ref=self._progress.ref, root=root, state=State.FAILED)
        ended = await self._record("end_root", end, Ended)
        self._progress.state = ended.order_state or self._progress.state

    async def _take_back(self, step: StepProgress, undo: str, summary: str, endless: Patience) -> None:
        """Undo one step for as long as it takes: an operator is called when it does not succeed at once (5.4)."""
        taken = self._progress.taken_back(step)
        try:
            await durably_once(undo, taken, result=type(None), patience=endless, summary=summary)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            self._progress.alarm = True
            self._meet_trouble(step.item, f"cannot be undone: {failure(error).message}")
            await durably(undo, taken, result=type(None), patience=endless, summary=summary)
            self._progress.alarm, self._progress.trouble = False, None

    async def _hold_or_resume(self, *, idle: bool) -> None:
        """The order is held while all that is left waits for a person (2.3), and no longer before anything goes on."""
        held = idle and bool(self._waiting)
        if held != (self._progress.state is State.HELD):
            await self._become(State.HELD if held else State.IN_PROGRESS, reason=None)

    @workflow.update(description="Decide about a fallout: retry, retry_with, skip or abort, with actor and reason.")
    async def resolve(self, resolution: Resolution) -> str:
        """Decide about a fallout; answered once the decision is on record."""
        undecided = self._progress.undecided[resolution.fallout]
        undecided.resolution = resolution
        if resolution.decision == Decision.ABORT:
            self._progress.give_up(undecided)
        await workflow.wait_condition(lambda: undecided.settled)
        return f"{resolution.decision} of {undecided.fallout.step}"

    @resolve.validator
    def _may_resolve(self, resolution: Resolution) -> None:
        if problem := self._objection(resolution):
            raise ApplicationError(problem[1], type=problem[0], non_retryable=True)

    @workflow.signal(description="Retry a fallout, or all when none is named: for batches. Like resolve, no answer.")
    def retry(self, resolution: Resolution) -> None:
        """Retry a fallout, or every one when none is named (many orders get the same words); ignored if not open."""
        for fallout in [resolution.fallout] if resolution.fallout else list(self._progress.undecided):
            wanted = replace(resolution, fallout=fallout, decision=Decision.RETRY)
            if self._objection(wanted) is None:
                self._progress.undecided[fallout].resolution = wanted

    def _objection(self, resolution: Resolution) -> tuple[str, str] | None:
        """Why a decision cannot be taken: a stable code and a sentence; ``None`` when it can."""
        undecided = self._progress.undecided.get(resolution.fallout)
        if undecided is None or undecided.resolution is not None:
            return "NOT_OPEN", "that fallout is not open"
        if resolution.decision not in (allowed := self._progress.allowed(undecided)):
            return "NOT_ALLOWED", f"here may be decided: {', '.join(allowed)}"
        if not resolution.actor.strip() or not resolution.reason.strip():
            return "NO_REASON", "actor and reason are needed"
        if resolution.decision == Decision.RETRY_WITH:
            try:
                correction(resolution.input, line="")
            except ValueError as error:
                return "INPUT", str(error)
        return None

    async def _become(self, state: State, *, reason: str | None) -> None:
        """Take a state, and write it down."""
        self._progress.state = state
        await self._record("transition", Transition(ref=self._progress.ref, state=state, reason=reason), type(None))
        self._show()

    async def _record(self, activity: str, argument: object, result: type[Result]) -> Result:
        """Have our own records say so; that is tried for as long as it takes."""
        return await surely(activity, argument, result=result, patience=self._run.patience, summary=self._run.title)

    def _meet_trouble(self, item: PlanItem, message: str) -> None:
        self._progress.trouble = (item.id, message)
        self._show()

    def _show(self) -> None:
        """Tell operators: search attributes where they changed, and the run's details."""
        shown = Shown.of(self._progress)
        if found := updates(self._shown, shown):
            workflow.upsert_search_attributes(found)
        self._shown = shown
        self._describe()

    def _describe(self) -> None:
        workflow.set_current_details(details(self._run, self._progress))

    def _start(self, work: Coroutine[None, None, None], *, among: list[asyncio.Task[None]]) -> None:
        among.append(asyncio.create_task(work))
