"""Looking for what waits unseen: quickly, because nearly always there is nothing."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.messages import Look
from domain.fallout import FalloutType, Finding
from domain.watch import (
    SILENT_AFTER,
    Code,
    Recurrence,
    Seen,
    TroubledRun,
    WatchedOrder,
    about,
    fails,
    has_a_run_left,
    has_no_run,
    is_initiated_long,
    is_silent,
    waits_for_its_run,
)

log = structlog.get_logger()

SETTLED_AFTER = timedelta(seconds=5)
"""Rows and runs that changed less than this ago need not agree yet."""
OLD_AFTER = timedelta(minutes=1)
"""Orders older than this are counted, here and there: nearly all that are younger end by themselves meanwhile."""
ENDED_WITHIN = timedelta(minutes=3)
"""How far back it is asked which runs did not come to their own end: over several looks."""
THOROUGH_EVERY_MIN = 10
"""So often all open orders are held against all open runs: two numbers that are equal can hide two errors."""
KEPT: Mapping[str, timedelta] = {
    "ServiceEnds": timedelta(hours=1),
    "Watch": timedelta(hours=1),
    "Reconciliation": timedelta(days=1),
}
"""How long runs of what recurs are kept that came to their own end; what they found is in our rows."""
THOROUGH_FOR_S = 20
AT_MOST = 500
"""How many doubtful orders are looked at in one look."""


class Runs(Protocol):
    """The runs of a task queue. Lists and counts may lag a moment behind; what is said of one run is true."""

    async def troubled(self) -> Sequence[TroubledRun]:
        """The open runs, of any workflow, that report problems with their own code."""
        ...

    async def orders(self) -> frozenset[str]:
        """The orders that have an open run."""
        ...

    async def count(self, *, started_before: datetime) -> int:
        """How many orders have an open run that began before an instant."""
        ...

    async def ended_badly(self, *, since: datetime) -> frozenset[str]:
        """The orders a run of which did not come to its own end since an instant."""
        ...

    async def ended(self, order: str) -> str | None:
        """How an order's run ended; ``None`` while it goes on."""
        ...

    async def forget(self, workflow: str, *, ended_before: datetime) -> None:
        """Delete runs of a workflow that came to their own end before an instant: some of them, the next time more."""
        ...

    async def schedule(self, name: str) -> Recurrence | None:
        """What recurs under a name."""
        ...


class Watched(Protocol):
    """Our own rows, as far as they are watched."""

    def glance(self, *, old_before: datetime) -> Seen:
        """What there is to be seen at once; old is what began before an instant."""
        ...

    def open_orders(self) -> frozenset[str]:
        """The orders that were started and are open."""
        ...

    def orders(self, ids: Collection[str], *, settled_before: datetime) -> Mapping[str, WatchedOrder]:
        """Those of the orders that there are, by id; settled is what was started, or ended, before an instant."""
        ...


class WorkList(Protocol):
    """The work list, as detectors write it."""

    def open(self, findings: Iterable[Finding]) -> Collection[str]:
        """Put findings on the list, each subject once while it is open."""
        ...

    def close(self, subjects: Iterable[str], *, reason: str) -> Collection[str]:
        """Take off what is not there any more."""
        ...

    def found(self, type: FalloutType) -> Mapping[str, str]:  # noqa: A002
        """What is on the list of one type: ids by subject."""
        ...

    def escalate(self) -> Collection[str]:
        """Escalate what is past its due date."""
        ...


@dataclass(frozen=True)
class WatchActivities:
    """``runs`` makes what is asked of Temporal from a client and a task queue; ``clock`` says when is now."""

    rows: Watched
    work_list: WorkList
    runs: Callable[[Client, str], Runs]
    clock: Callable[[], datetime]

    @activity.defn(name="watch", no_thread_cancel_exception=True)
    async def watch(self) -> Look:
        """Look once, and bring the work list up to date with what is found; twice is once (P3)."""
        looking = _Looking(self.rows, self.runs(activity.client(), activity.info().task_queue), self.clock())
        found = await asyncio.to_thread(self.work_list.found, FalloutType.SYSTEM)
        listed = {subject: id_ for subject, id_ in found.items() if subject.partition(":")[0] in {*Code}}
        wanted = {x.subject: x for x in await looking.findings([*listed])}
        look = await asyncio.to_thread(self._tell, wanted, listed)
        if looking.is_thorough:
            await looking.forget()
        return look

    def _tell(self, wanted: Mapping[str, Finding], listed: Mapping[str, str]) -> Look:
        return Look(
            findings=len(wanted),
            opened=len(self.work_list.open(x for subject, x in wanted.items() if subject not in listed)),
            closed=len(self.work_list.close(listed.keys() - wanted.keys(), reason="it is not so any more")),
            escalated=len(self.work_list.escalate()),
        )


@dataclass(frozen=True)
class _Looking:
    """One look at one instant."""

    rows: Watched
    runs: Runs
    now: datetime

    async def findings(self, listed: Sequence[str]) -> Sequence[Finding]:
        """Everything that is wrong; ``listed`` are the subjects that were found before."""
        seen = await asyncio.to_thread(self.rows.glance, old_before=self.now - OLD_AFTER)
        return [
            *map(fails, await self.runs.troubled()),
            *map(waits_for_its_run, seen.not_started),
            *map(is_initiated_long, seen.long_initiated),
            *await self._disagreeing(seen.open_orders, listed),
            *await self._silent(seen.compared_at),
        ]

    @property
    def is_thorough(self) -> bool:
        """Whether this look takes its time: one or two looks every ten minutes."""
        return self.now.minute % THOROUGH_EVERY_MIN == 0 and self.now.second < THOROUGH_FOR_S

    async def forget(self) -> None:
        """Let the runs of what recurs not bury those of orders, in the UI and on the disk."""
        try:
            for workflow, kept in KEPT.items():
                await self.runs.forget(workflow, ended_before=self.now - kept)
        except RPCError as error:  # somebody may have forbidden it: then Temporal forgets them in its own time
            log.warning("old runs could not be deleted", error=repr(error))

    async def _disagreeing(self, open_orders: int, listed: Sequence[str]) -> Sequence[Finding]:
        """The orders that are open without a run, or have one though they are over.

        Nearly always the numbers agree and no run has ended badly. Where there is doubt each order is looked at alone.
        """
        known = [*about(listed, (Code.RUN_GONE, Code.RUN_LEFT))]
        doubtful = await self.runs.ended_badly(since=self.now - ENDED_WITHIN)
        going_on = await self.runs.count(started_before=self.now - OLD_AFTER)
        if going_on != open_orders or self.is_thorough:
            doubtful |= await asyncio.to_thread(self.rows.open_orders) ^ await self.runs.orders()
        asked = [*known, *sorted(doubtful.difference(known))][:AT_MOST]
        if not asked:
            return ()
        ended = {x: await self.runs.ended(x) for x in asked}
        # The rows are read after that: an order is over before its run is, so what has just ended by itself agrees.
        rows = await asyncio.to_thread(self.rows.orders, asked, settled_before=self.now - SETTLED_AFTER)
        found = [self._disagrees(x, rows.get(x), ended[x]) for x in asked]
        return [x for x in found if x is not None]

    def _disagrees(self, order_id: str, order: WatchedOrder | None, ended: str | None) -> Finding | None:
        if order is None or (order.is_over and order.is_settled):
            return has_a_run_left(order_id, order) if ended is None else None
        if ended is not None and order.is_settled and not order.is_over:
            return has_no_run(order, ended)
        return None

    async def _silent(self, compared_at: datetime | None) -> Sequence[Finding]:
        if compared_at is None or compared_at >= self.now - SILENT_AFTER:
            return ()
        found = is_silent(compared_at, await self.runs.schedule("reconciliation"), now=self.now)
        return (found,) if found else ()
