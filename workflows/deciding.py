"""What needs a person: steps that fall out of a run, and what is decided about them."""

from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.messages import Opened, Outcome
from domain.fallout import Decision, actual_date, correction
from domain.order import State
from domain.plan import ON_THE_NETWORK, StepState
from domain.progress import Closing, Resolution, Word, objection_to_words
from workflows.progress import StepProgress, Undecided
from workflows.under_way import SAID_BEFORE_WRITTEN, UnderWay

_OPENED: type[Opened | None] = cast("Any", Opened | None)
"""What an activity of before the work list answered was nothing."""

_NOTHING = Word()
"""What a signal that was sent without words says: a handler that misses them would fail its run, for ever."""


class Deciding(UnderWay):
    """An order under way whose steps may need a person (W5)."""

    def _fall_out(
        self, step: StepProgress, *, code: str, message: str, refused: bool, lines: tuple[str, ...] = ()
    ) -> None:
        """Ask a person, unless an accepted revision has the step done anew anyway, or only made its attempts stop."""
        if self._progress.is_to_go_on(step.item, refused=refused) and workflow.patched("revised-meanwhile"):
            self._decide(step, Decision.RETRY, refused=refused)
            return
        undecided = self._progress.fall_out(
            step,
            id=self._name_of_fallout(step.item.id),
            account=self._run.account,
            code=code,
            message=message,
            refused=refused,
            lines=lines,
        )
        if workflow.patched(SAID_BEFORE_WRITTEN):
            self._start(self._put_on_the_work_list(step, undecided), among=self._sending)
        else:
            self._start(self._listed(step, undecided), among=self._waiting)

    def _name_of_fallout(self, step: str) -> str:
        """The next one's; or that of the one which an earlier run has opened for the step."""
        progress = self._progress
        if step in progress.asked:
            return progress.asked.pop(step)
        progress.fallout_count += 1
        return f"{self._run.number}-{progress.fallout_count}"

    async def _put_on_the_work_list(self, step: StepProgress, undecided: Undecided) -> None:
        """Ask a person; only then is the order held for the answer."""
        undecided.opened = await self._put_on_record("open_fallout", undecided.fallout, _OPENED)
        self._start(self._wait_for_decision(step, undecided), among=self._waiting)

    async def _listed(self, step: StepProgress, undecided: Undecided) -> None:
        undecided.opened = await self._record("open_fallout", undecided.fallout, _OPENED)
        await self._wait_for_decision(step, undecided)

    async def _wait_for_decision(self, step: StepProgress, undecided: Undecided) -> None:
        """Wait until a person decides about a step, and do so; nobody need if it is done after all."""
        progress = self._progress
        undecided.is_on_record = True
        if undecided.opened is not None and undecided.opened.done is not None:
            undecided.settled = True
            del progress.undecided[undecided.fallout.id]
            self._is_done(step, undecided.opened.done)
            self._show()
            return
        self._show()
        await workflow.wait_condition(lambda: undecided.resolution is not None or progress.is_given_up(step.item))
        resolution = undecided.resolution or Resolution(
            fallout=undecided.fallout.id,
            decision=Decision.ABORT,
            actor="system",
            reason="the order is cancelled" if self._progress.cancelled else "the bundle was given up",
        )
        await self._put_on_record("close_fallout", self._closing(step, undecided, resolution), type(None))
        self._decide(step, Decision(resolution.decision), refused=undecided.refused, done_at=undecided.actual)
        undecided.settled = True
        del self._progress.undecided[undecided.fallout.id]
        self._show()

    def _is_done(self, step: StepProgress, outcome: Outcome) -> None:
        step.state, step.at, step.at_work_since = StepState.DONE, outcome.at, None
        self._progress.state = outcome.order_state or self._progress.state
        self._progress.asked.pop(step.item.id, None)

    def _closing(self, step: StepProgress, undecided: Undecided, resolution: Resolution) -> Closing:
        corrected = None
        if resolution.decision == Decision.RETRY_WITH:
            ref = self._progress.ref
            self._progress.ref = replace(ref, corrections=ref.corrections + 1)
            corrected = correction(resolution.input, line=undecided.fallout.lines[0])
        skipped = resolution.decision == Decision.SKIP
        if skipped:
            given = actual_date(resolution.input, now=workflow.now())
            undecided.actual = given or undecided.actual or workflow.now()
        return Closing(
            ref=self._progress.ref,
            resolution=resolution,
            step=step.item.id,
            skipped=skipped,
            withdrawn=undecided.resolution is None,
            correction=corrected,
            actual=undecided.actual if skipped else None,
            line_state=State.PENDING_CANCELLATION if self._progress.cancelled else State.IN_PROGRESS,
        )

    def _decide(
        self, step: StepProgress, decision: Decision, *, refused: bool, done_at: datetime | None = None
    ) -> None:
        """After a definite no nothing happened, so another attempt is a new one; otherwise it is the same again."""
        step.at_work_since = None
        match decision:
            case Decision.RETRY | Decision.RETRY_WITH:
                step.state, step.resent = StepState.PENDING, not refused
                step.generation += refused
            case Decision.SKIP:
                step.state, step.at = StepState.SKIPPED, done_at or workflow.now()
            case Decision.ABORT:
                step.state, step.resent = StepState.PENDING, True

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
    def retry(self, word: Word = _NOTHING) -> None:
        """Retry a fallout, or every one when none is named (many orders get the same words); ignored if not open."""
        self._take_word(word, Decision.RETRY)

    @workflow.signal(description="Skip a fallout, or all when none is named: done by hand, perhaps since `at`.")
    def skip(self, word: Word = _NOTHING) -> None:
        """Skip a fallout, or every one that may be; ignored where it may not."""
        self._take_word(word, Decision.SKIP)

    @workflow.signal(
        description="Say since when (`at`) what has fallen out has been done: billed from then, if skipped."
    )
    def set_actual_date(self, word: Word = _NOTHING) -> None:
        """Keep since when what may be skipped has been done; ignored where it may not, or cannot be so."""
        for undecided in self._meant(word):
            wanted = self._decision(undecided, word, Decision.SKIP)
            if word.at is not None and self._objection(wanted) is None:
                undecided.actual = word.at
        self._describe()

    def _take_word(self, word: Word, decision: Decision) -> None:
        for undecided in self._meant(word):
            wanted = self._decision(undecided, word, decision)
            if self._objection(wanted) is None and _is_heard(undecided, decision):
                undecided.resolution = wanted

    def _meant(self, word: Word) -> list[Undecided]:
        return [x for id_, x in self._progress.undecided.items() if word.fallout in ("", id_)]

    def _decision(self, undecided: Undecided, word: Word, decision: Decision) -> Resolution:
        said = {"actual_date": word.at.isoformat()} if word.at and decision is Decision.SKIP else {}
        return Resolution(
            fallout=undecided.fallout.id, decision=decision, actor=word.actor, reason=word.reason, input=said
        )

    def _objection(self, resolution: Resolution) -> tuple[str, str] | None:
        """Why a decision cannot be taken: a stable code and a sentence; ``None`` when it can."""
        undecided = self._progress.undecided.get(resolution.fallout)
        if undecided is None or undecided.resolution is not None or self._progress.cancelled:
            return "NOT_OPEN", "that fallout is not open"
        if resolution.decision not in (allowed := self._progress.allowed(undecided)):
            return "NOT_ALLOWED", f"here may be decided: {', '.join(allowed)}"
        if objection := objection_to_words(resolution.actor, resolution.reason, resolution.input):
            return objection
        try:
            match resolution.decision:
                case Decision.RETRY_WITH:
                    own = undecided.fallout.lines[0]
                    if not self._progress.is_about(correction(resolution.input, line=own).line):
                        return "INPUT", "input.line: no step of the order is about a line of that name"
                case Decision.SKIP:
                    since = self._progress.had_its_turn(undecided.fallout.step)
                    actual_date(resolution.input, now=workflow.now(), since=since)
                case _:
                    pass
        except ValueError as error:
            return "INPUT", str(error)
        return None


def _is_heard(undecided: Undecided, decision: Decision) -> bool:
    """Whether words are taken: once they were none where a change of what is installed was to be skipped."""
    changes = undecided.fallout.step.partition(":")[0] in ON_THE_NETWORK
    return not (changes and decision is Decision.SKIP) or workflow.patched("changes-made-by-hand")
