"""How the steps of an order are carried out, and taken back."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.messages import GIVEN_UP, Ended, Outcome, RootEnd, Taken
from domain.fallout import TYPE
from domain.plan import Function, PlanItem, StepState
from workflows.deciding import Deciding
from workflows.messages import workflow_id
from workflows.progress import StepProgress
from workflows.sending import Failure, durably, durably_once, failure, quickly, will_heal

Outcomes = tuple[Outcome, ...]


class Carrying(Deciding):
    """An order under way whose steps are sent to those who carry them out."""

    async def _send(self, batch: Sequence[PlanItem]) -> None:
        """Have one batch carried out, and note what became of each of its steps."""
        sent = list(batch)
        try:
            outcomes = await self._ask(sent)
        except FailureError as error:
            steps = [self._progress.steps[x.id] for x in sent]
            if not await self._were_given_up(steps, error):
                self._fail(steps, error)
            return
        self._progress.trouble = None
        for item in sent:
            self._progress.steps[item.id].state = StepState.PENDING
        for outcome in outcomes:
            self._note(self._progress.steps[outcome.step], outcome)

    async def _were_given_up(self, steps: Sequence[StepProgress], error: FailureError) -> bool:
        """Whether steps were not sent because our rows know of an end that this run, being reset, has forgotten."""
        if failure(error).code != GIVEN_UP:
            return False
        await self._catch_up()
        if not all(self._progress.is_given_up(x.item) for x in steps):
            return False
        for step in steps:
            step.state = StepState.PENDING
        return True

    async def _ask(self, batch: list[PlanItem]) -> Outcomes:
        """One attempt, on record before it is sent where it has to be, else quick; then as often as it takes."""
        progress, patience = self._progress, self._run.patience
        resent = progress.is_resent(batch)
        if not resent:
            once = durably_once if self._must_be_on_record(batch) else quickly
            asked = progress.batch(batch, now=workflow.now())
            self._describe()
            try:
                return await once(
                    _name(batch), asked, result=Outcomes, patience=patience, summary=progress.title(batch)
                )
            except FailureError as error:
                what = failure(error)
                self._let_go(batch, what.step)
                if not will_heal(error):
                    raise
                resent = True
                self._meet_trouble(next((x for x in batch if x.id == what.step), batch[0]), what.message)
                await self._leave_alone(what, until=partial(progress.is_to_stop, batch))
        asked = progress.batch(batch, now=workflow.now(), resent=resent)
        unless = partial(progress.is_to_stop, batch)
        return await durably(
            _name(batch), asked, result=Outcomes, patience=patience, summary=progress.title(batch), unless=unless
        )

    async def _leave_alone(self, what: Failure, *, until: Callable[[], bool]) -> None:
        """Give a neighbour the pause that it asked for, unless there is nothing more to ask."""
        if what.pause is None or not workflow.patched("pauses-as-asked"):
            return
        with suppress(TimeoutError):
            await workflow.wait_condition(until, timeout=what.pause, timeout_summary=what.message)

    def _let_go(self, batch: list[PlanItem], failed: str | None) -> None:
        """After one attempt: what was to follow the step that failed was not sent, and is left for another batch."""
        functions = [x.function for x in batch if x.id == failed]
        while functions and batch[-1].function not in functions:
            self._progress.steps[batch.pop().id].state = StepState.PENDING

    def _must_be_on_record(self, batch: Sequence[PlanItem]) -> bool:
        """Whether a cancellation could be accepted after it, were it not in the history before it is sent."""
        if not self._progress.is_point_of_no_return(batch):
            return False
        late = batch[0].function in (Function.COMMIT, Function.ASSET)
        return not late or workflow.patched("the-last-steps-are-final")

    def _note(self, step: StepProgress, outcome: Outcome) -> None:
        """Take over what became of a step."""
        if outcome.again_in_s is not None and step.item.function is Function.CLAIM:
            self._queue(step, outcome.again_in_s, outcome.message or "asset_busy")
        elif outcome.again_in_s is not None:
            self._wait_on(step, outcome.again_in_s)
        elif outcome.code is not None:
            if step.resent and workflow.patched("a-no-is-definite"):
                self._progress.was_refused(step)
            self._fall_out(step, code=outcome.code, message=outcome.message or "", refused=True, lines=outcome.lines)
        else:
            self._is_done(step, outcome)
            if step.item.function is Function.ASSET:
                self._pass_on(outcome.wakes)

    def _queue(self, step: StepProgress, pause_s: float, who: str) -> None:
        """Wait for assets that somebody else changes now, or before (I20)."""
        step.state = StepState.IN_PROGRESS
        self._progress.queued[step.item.id] = who
        self._start(self._wait_for_turn(step, pause_s), among=self._sending)
        self._describe()

    async def _wait_for_turn(self, step: StepProgress, pause_s: float) -> None:
        """Until somebody says that it is our turn; in case nobody does, ask again after a while."""
        progress, id_ = self._progress, step.item.id
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: id_ not in progress.queued or progress.is_to_stop([step.item]),
                timeout=pause_s,
                timeout_summary=f"{id_}: {progress.queued[id_]}",
            )
        progress.queued.pop(id_, None)
        step.state = StepState.PENDING

    @workflow.signal(description="Assets that the order waits for are free: it asks for them again.")
    def asset_free(self, _: object = None) -> None:
        """Ask again for assets that others were changing; ignored when none are waited for."""
        self._progress.queued.clear()

    def _pass_on(self, order: str | None) -> None:
        """A bundle is at its end: whoever waits for its assets is next, be it another bundle of this order."""
        self._progress.queued.clear()
        if order is not None:
            self._start(self._wake(order), among=self._sending)

    async def _wake(self, order: str) -> None:
        """Tell the order whose turn it is; should it be gone, or not hear it, it asks by itself some time."""
        with suppress(FailureError):
            await workflow.get_external_workflow_handle(workflow_id(order)).signal("asset_free")

    def _wait_on(self, step: StepProgress, pause_s: float) -> None:
        """Let a neighbour work on a step, but not for ever: then a person decides, with the outcome in doubt."""
        now = workflow.now()
        step.resent, step.at_work_since = True, step.at_work_since or now
        worked_s = (now - step.at_work_since).total_seconds()
        if worked_s >= self._run.patience.at_work_s and workflow.patched("at-work-for-so-long"):
            message = f"at work since {step.at_work_since:%Y-%m-%d %H:%M} UTC"
            self._fall_out(step, code="STILL_AT_WORK", message=message, refused=False)
        else:
            step.state = StepState.IN_PROGRESS
            self._start(self._ask_again(step, pause_s), among=self._sending)

    async def _ask_again(self, step: StepProgress, pause_s: float) -> None:
        """Give a neighbour that is at work the time it asked for."""
        self._meet_trouble(step.item, "at work")
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._progress.is_to_stop([step.item]),
                timeout=pause_s,
                timeout_summary=f"{step.item.function.system} is at work on {step.item.id}",
            )
        step.state = StepState.PENDING

    def _fail(self, steps: Sequence[StepProgress], error: FailureError) -> None:
        """Park the step that an activity failed for; the others of its batch go on without it."""
        for step in steps:
            step.state, step.resent = StepState.PENDING, True
        if is_cancelled_exception(error):  # we stopped trying, for the bundle is not to be carried out any more
            return
        what = failure(error)
        failed = self._progress.steps.get(what.step or "", steps[0])
        self._fall_out(failed, code=what.code, message=what.message, refused=False)

    async def _undo(self, root: str) -> None:
        """Take back all that was done for a bundle, last first, then end its lines (2.7)."""
        progress = self._progress
        await workflow.wait_condition(lambda: not progress.is_busy(root))
        if progress.shares_what_is_busy(root) and workflow.patched("ends-after-what-it-shares"):
            await workflow.wait_condition(lambda: not progress.shares_what_is_busy(root))
        for step in progress.to_undo(root):
            await self._take_back(step)
        ending = progress.given_up[root]
        ending.is_undone = True
        await workflow.wait_condition(lambda: not progress.is_amended(root))  # it may be left with other lines
        ended = await self._record("end_root", RootEnd(ref=progress.ref, root=root, state=ending.state), Ended)
        progress.state = ended.order_state or progress.state
        self._pass_on(ended.wakes)

    async def _take_back(self, step: StepProgress) -> None:
        """Undo all that one step has done."""
        for taken in step.taken_back(self._progress.ref):
            await self._undo_for_certain(step, taken)
        step.undone()

    async def _undo_for_certain(self, step: StepProgress, taken: Taken) -> None:
        """Undo one effect for as long as it takes: an operator is called when it does not succeed at once (5.4)."""
        assert step.item.function.undo is not None
        undo, summary = step.item.function.undo, f"Undo of {self._progress.title([step.item])}"
        item = step.item
        try:
            await durably_once(undo.value, taken, result=type(None), patience=self._run.patience, summary=summary)
        except FailureError as error:
            self._progress.alarm = True
            what = failure(error)
            self._meet_trouble(item, f"cannot be undone: {what.message}")
            await self._leave_alone(what, until=lambda: False)
            await self._endlessly(
                undo.value,
                taken,
                result=type(None),
                summary=summary,
                type=TYPE[item.function.system],
                step=f"{undo}:{item.subject}",
                line=item.subject,
            )
            self._progress.alarm, self._progress.trouble = False, None


def _name(batch: Sequence[PlanItem]) -> str:
    """What the history calls a batch: what it does (W2)."""
    return ", ".join(dict.fromkeys(x.function for x in batch))
