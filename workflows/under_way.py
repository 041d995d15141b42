"""What every part of an order's run has at hand: how far it is, its own records, and what operators see of it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.messages import Decomposition, Freed, PlanRest, Transition
from domain.fallout import FalloutType, Finding, step_subject
from domain.order import State
from domain.plan import PlanItem
from domain.progress import OrderRef, Standing
from workflows.details import Shown, details, first_shown, updates
from workflows.messages import OrderRun
from workflows.progress import OrderProgress
from workflows.sending import Result, durably, failure, quickly, surely

SAID_BEFORE_WRITTEN = "said-before-written"
"""Runs that began before this was so go on as they did."""

FREED: type[Freed | None] = cast("Any", Freed | None)
"""What it is to take a state; of before changes of assets it was nothing."""


class UnderWay:
    """An order under way."""

    def __init__(self, run: OrderRun) -> None:
        """Start with nothing done."""
        self._run = run
        self._progress = OrderProgress(OrderRef(order=run.order, revision=run.revision))
        self._shown: Shown = first_shown(run, workflow.now())
        self._is_to_be_described = False
        self._sending: list[asyncio.Task[None]] = []
        self._waiting: list[asyncio.Task[None]] = []
        self._reports: dict[str, asyncio.Task[None]] = {}
        self._stirred: asyncio.Future[None] = asyncio.Future()

    async def _become(self, state: State, *, reason: str | None) -> Freed | None:
        """Take a state, and write it down; a final one frees the assets that the order was about."""
        self._progress.state = state
        begun = self._progress.has_begun
        transition = Transition(ref=self._progress.ref, state=state, reason=reason, begun=begun)
        freed = await self._record("transition", transition, FREED)
        self._show()
        return freed

    async def _put_on_record(self, activity: str, argument: object, result: type[Result]) -> Result:
        """Have our own records say what a person said, or what went wrong: on record before it is written.

        A worker that dies takes with it what was only said, and what only went wrong: it may go well the next time.
        """
        if not workflow.patched(SAID_BEFORE_WRITTEN):
            return await self._record(activity, argument, result)
        return await self._endlessly(
            activity, argument, result=result, summary=self._run.title, type=FalloutType.SYSTEM, step=activity
        )

    async def _record(
        self, activity: str, argument: object, result: type[Result], *, summary: str | None = None
    ) -> Result:
        """Have our own records say so; that is tried for as long as it takes."""
        summary = summary or self._run.title
        try:
            return await quickly(activity, argument, result=result, patience=self._run.patience, summary=summary)
        except FailureError:
            return await self._endlessly(
                activity, argument, result=result, summary=summary, type=FalloutType.SYSTEM, step=activity
            )

    async def _endlessly(
        self,
        activity: str,
        argument: object,
        *,
        result: type[Result],
        summary: str,
        type: FalloutType,  # noqa: A002
        step: str,
        line: str | None = None,
    ) -> Result:
        """Try for as long as it takes; past the patience of a step somebody is called, until it succeeds (5.4)."""
        patience = self._run.patience
        send = partial(durably, activity, argument, result=result, summary=summary)
        try:
            return await send(patience=patience)
        except FailureError as error:
            what = failure(error)
        finding = Finding(
            subject=step_subject(self._run.order, step),
            type=type,
            code=what.code,
            message=f"{step} does not succeed: {what.message}"[:500],
            order=self._run.order,
            account=self._run.account,
            step=step,
            line=line,
        )
        async with self._help(finding):
            return await send(patience=replace(patience, give_up_s=None))

    @asynccontextmanager
    async def _help(self, finding: Finding) -> AsyncIterator[None]:
        """Something is on the work list, and shown, for as long as a block about the same subject takes."""
        patience, summary = self._run.patience, self._run.title
        wanted = self._progress.help_wanted.setdefault(finding.subject, [])
        wanted.append(finding)
        if len(wanted) == 1:
            self._reports[finding.subject] = asyncio.create_task(
                surely("report_trouble", finding, result=type(None), patience=patience, summary=summary)
            )
        self._show()
        yield
        wanted.remove(finding)
        if wanted:
            return
        del self._progress.help_wanted[finding.subject]
        self._show()
        reported = self._reports.pop(finding.subject)
        await workflow.wait([reported], timeout=patience.attempt_s)
        reported.cancel()  # what kept our records from being written may still keep it from being reported
        with suppress(FailureError):
            await durably("end_trouble", finding.subject, result=type(None), patience=patience, summary=summary)

    async def _catch_up(self) -> None:
        """Learn what our rows know better, should this run have been reset to before that: answers are true (P6)."""
        if workflow.patched("rows-are-asked"):
            await self._recall(await self._record("standing", self._progress.ref, Standing))
            if workflow.patched("what-comes-next-is-in-doubt"):
                self._progress.doubt_what_comes_next()

    async def _recall(self, standing: Standing, known: Decomposition | None = None) -> None:
        """Take over how far the order is by our rows, with its plan, of which the beginning may be ``known``."""
        progress = self._progress
        is_behind, progress.ref = progress.ref != standing.ref, standing.ref
        if standing.is_planned and (is_behind or not progress.has_begun):
            plan = await self._whole_plan(known or Decomposition(items=(), more=True))
            if progress.has_begun:
                progress.replan(plan)
            else:
                progress.plan_is(plan)
        progress.recall(standing)
        self._stir_up()

    async def _whole_plan(self, known: Decomposition) -> Decomposition:
        """The plan as it is stored: a long one comes in pages."""
        while known.more:
            rest = await self._record(
                "plan_rest", PlanRest(ref=self._progress.ref, after=len(known.items)), Decomposition
            )
            due = {**known.due, **rest.due}
            known = replace(rest, items=(*known.items, *rest.items), lines=(*known.lines, *rest.lines), due=due)
        return known

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
        """Have the run's details written anew: once for all that changes at the same moment."""
        if not self._is_to_be_described:
            self._is_to_be_described = True
            asyncio.get_running_loop().call_soon(self._write_details)

    def _write_details(self) -> None:
        self._is_to_be_described = False
        workflow.set_current_details(details(self._run, self._progress))

    def _stir_up(self) -> None:
        """Have the order's story look again at what there is to do."""
        if not self._stirred.done():
            self._stirred.set_result(None)

    def _start(self, work: Coroutine[None, None, None], *, among: list[asyncio.Task[None]]) -> None:
        among.append(asyncio.create_task(work))
