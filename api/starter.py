"""Every stored order gets its run: at once, or as soon as Temporal and this process are there again (A6).

The transaction that stored the order is the promise; starting its run twice is starting it once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import RPCTimeoutOrCancelledError

from api.house import House
from domain.approval import approvals
from domain.catalog import Catalog
from domain.order import Action, OrderLine
from models import catalogs, revisions, submissions
from models.submissions import Submitted
from workflows.messages import OrderRun, RevisionWish
from workflows.start import Declined, revise, start_order

AT_ONCE = 8
"""A burst of orders does not become a burst of starts: those who submit are not made to wait for them."""
BATCH = 50
WAITING_AT_MOST = 1_000
"""Orders beyond these are left to the sweep: a long outage of Temporal does not fill the memory."""
SWEEP_EVERY_S = 1.0
FORGOTTEN_AFTER_S = 2.0
TELL_EVERY_S = 5.0
UNHEARD_AFTER_S = 15.0
"""Longer than the request that stored a revision waits for the run's answer."""

log = structlog.get_logger()


class Starter:
    """Starts runs in the background of the API process; made inside the event loop that :meth:`run` runs in."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._new: asyncio.Queue[Submitted] = asyncio.Queue()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._catalog = (0, Catalog(0))
        """The version that was needed last: nearly always the one that is needed next."""

    def offer(self, submitted: Submitted) -> None:
        """An order that was just stored; may be called from any thread, and returns at once."""
        self._loop.call_soon_threadsafe(self._take, submitted)

    async def start(self, order_id: str) -> None:
        """Start the run of a stored order now: for who cannot wait for the sweep."""
        await self._start_one(await asyncio.to_thread(submissions.submitted, self._house.engine, order_id))

    async def start_anew(self, order_id: str) -> str | None:
        """Start the run of an order once more, where Temporal knows nothing of the first; the id of the new one.

        It asks our rows how far the order is, as one that was reset does. What was approved is approved.
        """
        engine = self._house.engine
        run = await self._start_one(await asyncio.to_thread(submissions.submitted, engine, order_id), is_first=False)
        await asyncio.to_thread(submissions.mark_started_anew, engine, order_id, run)
        return run

    def _take(self, submitted: Submitted) -> None:
        if self._new.qsize() < WAITING_AT_MOST:
            self._new.put_nowait(submitted)

    async def run(self) -> None:
        """Start what is offered and what was forgotten, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forever(self._start_new, pause_s=0))
            tasks.create_task(self._forever(self._start_forgotten, pause_s=SWEEP_EVERY_S))
            tasks.create_task(self._forever(self._tell_of_revisions, pause_s=TELL_EVERY_S))

    async def _forever(self, work: "Callable[[], asyncio.Future[None] | object]", *, pause_s: float) -> None:
        while True:
            try:
                await work()  # type: ignore[misc]
            except SQLAlchemyError as error:
                log.warning("the database did not answer the starter", error=repr(error))
                await asyncio.sleep(SWEEP_EVERY_S)
            except Exception:  # whatever one order is wrong with, the others are started
                log.exception("the starter failed")
                await asyncio.sleep(SWEEP_EVERY_S)
            await asyncio.sleep(pause_s)

    async def _start_new(self) -> None:
        batch = [await self._new.get()]
        while len(batch) < BATCH and not self._new.empty():
            batch.append(self._new.get_nowait())
        if runs := await self._start(batch):
            await asyncio.to_thread(submissions.mark_started, self._house.engine, runs)

    async def _start_forgotten(self) -> None:
        def start(batch: Sequence[Submitted]) -> Mapping[str, str | None]:
            log.info("starting what was left behind", orders=len(batch))
            return asyncio.run_coroutine_threadsafe(self._start(batch), self._loop).result()

        await asyncio.to_thread(
            submissions.start_forgotten, self._house.engine, start, age_s=FORGOTTEN_AFTER_S, limit=BATCH
        )

    async def _tell_of_revisions(self) -> None:
        """Tell runs of the revisions that were stored and not judged: whoever stored them died, or was not answered."""
        engine = self._house.engine
        for row in await asyncio.to_thread(revisions.queued, engine, age_s=UNHEARD_AFTER_S, limit=BATCH):
            wish = RevisionWish(revision=row.revision, force=row.force)
            try:
                await revise(self._house.temporal, row.order, wish)
            except Declined as refusal:
                if refusal.code == "NOT_OPEN":
                    await asyncio.to_thread(revisions.refuse, engine, row.order, row.revision)
            except RPCTimeoutOrCancelledError:
                log.warning("a run does not answer to a revision", order=row.order, revision=row.revision)

    async def _start(self, batch: Sequence[Submitted]) -> Mapping[str, str | None]:
        """Start the runs of a batch; the run ids of those that were, by order."""
        runs = await asyncio.gather(*map(self._start_one, batch), return_exceptions=True)
        for submitted, run in zip(batch, runs, strict=True):
            if isinstance(run, BaseException):
                log.warning("a run could not be started", order=submitted.id, error=repr(run))
        return {x.id: run for x, run in zip(batch, runs, strict=True) if not isinstance(run, BaseException)}

    async def _start_one(self, submitted: Submitted, *, is_first: bool = True) -> str | None:
        order = submitted.order
        is_approved = not is_first and await asyncio.to_thread(
            submissions.is_approved, self._house.engine, submitted.id
        )
        run = OrderRun(
            order=submitted.id,
            number=submitted.number,
            account=order.account,
            title=_title(order.roots),
            requested_start=order.requested_start,
            approvals=() if is_approved else await self._approvals(submitted),
        )
        async with self._at_once:
            return await start_order(
                self._house.temporal,
                run,
                task_queue=self._house.task_queue,
                now=datetime.now(UTC),
                due=order.requested_completion or order.requested_start,
            )

    async def _approvals(self, submitted: Submitted) -> tuple[str, ...]:
        """What has to be approved first (F31)."""
        version, catalog = self._catalog
        if version != submitted.catalog_version:
            version = submitted.catalog_version
            catalog = await asyncio.to_thread(catalogs.load, self._house.engine, version)
            self._catalog = version, catalog
        return approvals(submitted.order, catalog)


def _title(roots: Sequence[OrderLine]) -> str:
    """What the order is about, as operators read it beside its run: what it does, unless it only adds."""
    first, more = roots[0], f" and {len(roots) - 1} more" if len(roots) > 1 else ""
    asked = "" if first.action in (Action.ADD, Action.NONE) else f"{first.action} "
    return f"{asked}{first.product}{more}"
