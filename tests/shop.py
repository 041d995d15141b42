"""A whole order house for tests: real database, real Temporal, real worker, the embedded neighbours.

async with open_shop(database.app_url, client) as shop:
    shop.publish(catalog(...))
    end = await shop.fulfil(order(...))
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, text
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import TypedSearchAttributes
from temporalio.worker import Worker, WorkflowRunner

import worker
from activities.messages import Look
from adapters.billing.embedded import EmbeddedBilling
from adapters.inventory.embedded import EmbeddedInventory
from adapters.inventory.supplies import Supplies
from adapters.provisioning.embedded import EmbeddedProvisioning
from cli.verify import verify
from domain.catalog import Catalog, Product
from domain.change import completed
from domain.fallout import FalloutType, Finding
from domain.inventory import DEFAULT_LOCATION
from domain.order import Order
from domain.progress import Cancellation, Resolution
from domain.propagation import STATE_ONLY, PropagatedFields
from domain.reconciliation import Reconciled
from domain.revision import matched
from domain.validation import validate
from models import catalogs, revisions, submissions
from models.work_list import PostgresWorkList
from settings import WorkflowSandbox
from sql.connections import autocommit, connect
from workflows import search_attributes, start
from workflows.messages import OrderEnd, OrderRun, Patience, RevisionWish, workflow_id
from workflows.reconciliation import start_reconciliation

HASTE = Patience(first_s=1.0, attempt_s=2.0, pause_s=0.05, longest_pause_s=0.2, give_up_s=2.0)
"""Patience for tests: everything that takes minutes in production takes a moment."""

THREADS = 12
_FIRST_TASK_COMPLETED = 4
"""The event of every history: after that the run was started, and its first task scheduled and begun."""
Activities = Sequence[Callable[..., Any]]


class Clock:
    """The clock of the house and its neighbours: the real one until a story sets it."""

    def __init__(self) -> None:
        self._set: datetime | None = None

    def __call__(self) -> datetime:
        return self._set or worker.now()

    def set(self, day: str) -> None:
        """Make it that moment, and let time stand still."""
        self._set = at(day)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The house, and what a test wants of it."""

    engine: Engine
    client: Client
    task_queue: str
    clock: Clock
    inventory: EmbeddedInventory
    supplies: Supplies
    provisioning: EmbeddedProvisioning
    billing: EmbeddedBilling
    patience: Patience = HASTE

    def publish(self, *products: Product) -> Catalog:
        """Publish these products as the current catalog."""
        return catalogs.publish(self.engine, products, source="test")

    def numbers(self, pool: str, *values: str) -> None:
        """Put numbers into a pool."""
        self.supplies.create(pool=pool, values=values)

    def receive(self, sku: str, quantity: int) -> None:
        """Put goods on the shelf."""
        self.supplies.receive(sku=sku, location=DEFAULT_LOCATION, quantity=quantity)

    def account(self, *ids: str) -> None:
        """Open accounts, and for each a billing profile: ``ACME-BA`` is below ``ACME`` and has ``ACME-BP``."""
        for account in ids:
            customer = account.rpartition("-")[0] or None
            owner = {"id": account, "name": account, "class": "billing" if customer else "customer", "parent": customer}
            submissions.open_account(self.engine, owner, key=None, location="", answer={})
            profile = account.removesuffix("A") + "P"
            submissions.add_profile(self.engine, profile, account=account, key=None, location="", answer={})

    def submit(self, order: Order) -> submissions.Submitted:
        """Store an order as the API does."""
        with autocommit(self.engine) as connection:
            stored = submissions.submit(
                connection,
                order,
                order_id=str(uuid4()),
                catalog_version=catalogs.current(self.engine).version,
                key=None,
                location="",
            )
        assert isinstance(stored, submissions.Submitted)
        return stored

    def change(self, order: Order) -> submissions.Submitted:
        """Store an order about assets as the API does, in full; it breaks no rule."""
        with submissions.deciding(self.engine, order) as connection:
            known = submissions.known(connection, order, None)
            whole = completed(order, known.catalog, known.facts)
            broken = validate(whole, known.catalog, known.facts)
            assert not broken, broken
            stored = submissions.submit(
                connection,
                whole,
                order_id=str(uuid4()),
                catalog_version=known.catalog.version,
                key=None,
                location="",
            )
        assert isinstance(stored, submissions.Submitted)
        return stored

    async def changed(self, order: Order) -> str:
        """Have an order about assets carried out to its end; the order's id."""
        stored = self.change(order)
        handle = await self.run(stored)
        await asyncio.wait_for(handle.result(), timeout=30)
        return stored.id

    def asset(self, order: str, line: str = "1") -> dict[str, Any]:
        """The asset that a line made."""
        (found,) = self.rows(
            "SELECT * FROM orderloom.assets WHERE created_by_order = :o AND created_by_line = :l", o=order, l=line
        )
        return {**found, "id": str(found["id"])}

    async def start(
        self, order: Order, *, patience: Patience | None = None, approvals: tuple[str, ...] = ()
    ) -> WorkflowHandle[Any, OrderEnd]:
        """Submit an order and start its run, with the house's patience unless said otherwise."""
        return await self.run(self.submit(order), patience=patience, approvals=approvals)

    async def run(
        self, stored: submissions.Submitted, *, patience: Patience | None = None, approvals: tuple[str, ...] = ()
    ) -> WorkflowHandle[Any, OrderEnd]:
        """Start the run of a stored order."""
        order = stored.order
        run = OrderRun(
            order=stored.id,
            number=stored.number,
            account=order.account,
            title=order.lines[0].product,
            requested_start=order.requested_start,
            patience=patience or self.patience,
            approvals=approvals,
        )
        await start.start_order(self.client, run, task_queue=self.task_queue, now=worker.now())
        return self.client.get_workflow_handle(workflow_id(stored.id), result_type=OrderEnd)

    async def fulfil(self, order: Order) -> str:
        """Have an order carried out to its end; the order's id."""
        handle = await self.start(order)
        await asyncio.wait_for(handle.result(), timeout=30)
        return handle.id.removeprefix("order-")

    async def fallout(self, order: str, *, within_s: float = 15.0) -> dict[str, Any]:
        """The order's open fallout, as soon as there is one."""
        deadline = asyncio.get_running_loop().time() + within_s
        while asyncio.get_running_loop().time() < deadline:
            if found := self.rows("SELECT * FROM orderloom.fallouts WHERE order_id = :o AND state = 'open'", o=order):
                return found[0]
            await asyncio.sleep(0.05)
        message = f"no fallout of order {order} within {within_s} s"
        raise AssertionError(message)

    async def decide(self, fallout: dict[str, Any], decision: str, **given: Any) -> str:  # noqa: ANN401
        """Decide about a fallout as an operator."""
        resolution = Resolution(fallout=fallout["id"], decision=decision, actor="ann", reason="test", input=given)
        return await start.resolve(self.client, str(fallout["order_id"]), resolution)

    def store_revision(self, order: str, desired: Order, *, force: bool = False) -> int:
        """Store a revision as the API does: its number."""
        base = revisions.base(self.engine, order)
        assert base is not None
        catalog = catalogs.load(self.engine, base.catalog_version)
        with submissions.deciding(self.engine, desired) as connection:
            known = submissions.known_later(connection, desired, order)
            ended = revisions.ended(connection, order)
        found = matched(
            order,
            base.order,
            desired,
            complete=lambda x: completed(x, catalog, known),
            gone=base.gone,
            ended=ended,
            corrections=base.corrections,
        )
        assert found.violations == ()
        left = found.without(ended)
        broken = validate(left, catalog, known) if left.is_about_assets else ()
        assert not broken, broken
        new = revisions.New(order_id=order, order=found.order, force=force, actor="ann", reason="changed their mind")
        number = revisions.submit(self.engine, new, base=base, key=None, location="")
        if number is revisions.Refusal.ENDED:
            raise start.Declined("NOT_OPEN", "the order has ended")
        if number is revisions.Refusal.STALE:  # one that was queued is refused by now: look again, as clients do
            return self.store_revision(order, desired, force=force)
        assert isinstance(number, int)
        return number

    async def revise(self, order: str, desired: Order, *, force: bool = False) -> str:
        """Have the order revised: what the run answers."""
        number = self.store_revision(order, desired, force=force)
        return await start.revise(self.client, order, RevisionWish(revision=number, force=force))

    async def is_sound(self) -> None:
        """At rest, every invariant holds of our rows, the neighbours' ledgers and the runs."""
        broken = await self.broken()
        assert not broken, broken

    async def broken(self) -> dict[str, Sequence[str]]:
        """The invariants that do not hold, each with what breaks it: what `orderloom verify` says."""
        found = await verify(self.engine, self.client, task_queue=self.task_queue, grace_s=0)
        return {x.id: x.offenders for x in found if not x.holds}

    async def cancel(self, order: str, *, force: bool = False) -> str:
        """Have the order cancelled as an operator; the order's state then."""
        wish = Cancellation(actor="ann", reason="changed their mind", force=force)
        return await start.cancel(self.client, order, wish)

    async def resolve(self, order: str, resolution: Resolution) -> str:
        """Hand a decision to a run as it is."""
        return await start.resolve(self.client, order, resolution)

    @contextlib.contextmanager
    def in_the_way(self, subject: str) -> Iterator[None]:
        """An open fallout of that subject that nobody knows of: the real one cannot be stored meanwhile."""
        stranger = Finding(subject=subject, type=FalloutType.VALIDATION, code="STRANGER", message="put there by hand")
        PostgresWorkList(self.engine).open([stranger])
        yield
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM orderloom.fallouts WHERE code = 'STRANGER'"))

    async def rewind(
        self, handle: WorkflowHandle[Any, Any], *, to: int = _FIRST_TASK_COMPLETED, is_told_again: bool = True
    ) -> WorkflowHandle[Any, OrderEnd]:
        """Reset a run to its first task, or another one, as an operator should not; what was told it is told again."""
        none, all_ = ResetReapplyType.RESET_REAPPLY_TYPE_NONE, ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE
        reset = ResetWorkflowExecutionRequest(
            namespace=self.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="by mistake",
            workflow_task_finish_event_id=to,
            request_id=str(uuid4()),
            reset_reapply_type=all_ if is_told_again else none,
        )
        answer = await self.client.workflow_service.reset_workflow_execution(reset)
        return self.client.get_workflow_handle(handle.id, run_id=answer.run_id, result_type=OrderEnd)

    async def last_task(self, handle: WorkflowHandle[Any, Any]) -> int:
        """The newest event of a run that it can be reset to."""
        completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        return max([x.event_id async for x in handle.fetch_history_events() if x.event_type == completed])

    async def details(self, handle: WorkflowHandle[Any, Any]) -> str:
        """What the Temporal UI shows as the run's current details."""
        metadata = await handle.query("__temporal_workflow_metadata")
        return str(metadata.current_details)

    async def shown(
        self, handle: WorkflowHandle[Any, Any], *, state: str, attention: bool | None = None
    ) -> TypedSearchAttributes:
        """The run's search attributes, as soon as they say that state, and whether somebody is needed."""
        for _ in range(100):
            found = (await handle.describe()).typed_search_attributes
            asked = (None, found.get(search_attributes.ATTENTION))
            if found.get(search_attributes.STATE) == state and attention in asked:
                return found
            await asyncio.sleep(0.05)
        message = f"the search attributes never said {state}"
        raise AssertionError(message)

    async def until(self, true: Callable[[], bool], *, within_s: float = 10.0) -> None:
        """Wait until something is true."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not true():
            assert asyncio.get_running_loop().time() < deadline, "it did not become true"
            await asyncio.sleep(0.05)

    async def reconcile(self) -> Reconciled:
        """Compare network and billing now."""
        run, _ = await start_reconciliation(self.client, request=str(uuid4()), task_queue=self.task_queue)
        outcome: Reconciled = await self.client.get_workflow_handle(run, result_type=Reconciled).result()
        return outcome

    async def look(self) -> Look:
        """Look once for what waits unseen."""
        look: Look = await self.client.execute_workflow(
            "Watch", id=f"watch-{uuid4()}", task_queue=self.task_queue, result_type=Look
        )
        return look

    def now(self) -> datetime:
        """The present instant."""
        return self.clock()

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of any ledger."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), parameters).mappings()]

    def one(self, sql: str, **parameters: object) -> Any:  # noqa: ANN401
        """The one value of a question."""
        with self.engine.connect() as connection:
            return connection.execute(text(sql), parameters).scalar_one()

    def steps(self, order: str) -> dict[str, str]:
        """The states of the order's plan items by id."""
        sql = "SELECT id, state FROM orderloom.plan_items WHERE order_id = :o ORDER BY position"
        return {row["id"]: row["state"] for row in self.rows(sql, o=order)}

    def state(self, order: str) -> str:
        """The order's state."""
        return str(self.one("SELECT state FROM orderloom.orders WHERE id = :o", o=order))

    def line_states(self, order: str) -> dict[str, str]:
        """The states of the order's lines by id."""
        sql = "SELECT id, state FROM orderloom.order_lines WHERE order_id = :o ORDER BY position"
        return {row["id"]: row["state"] for row in self.rows(sql, o=order)}


@contextlib.asynccontextmanager
async def open_shop(
    app_url: str,
    client: Client,
    *,
    runner: WorkflowRunner | None = None,
    workflows: Sequence[type] = worker.WORKFLOWS,
    cached_workflows: int = 100,
    propagated: PropagatedFields = STATE_ONLY,
    around: Callable[[Activities], Activities] = lambda activities: activities,
    grace: timedelta = worker.IN_FLIGHT,
) -> AsyncIterator[Shop]:
    """A house on a database and a Temporal of the test's, with a worker of its own; sandboxed unless said otherwise.

    ``around`` may put something around each activity.
    """
    engine = connect(app_url, pool_size=THREADS)
    clock = Clock()
    joined = worker.embedded(engine, clock)
    task_queue = f"shop-{uuid4()}"
    shop = Shop(
        engine=engine,
        client=client,
        task_queue=task_queue,
        clock=clock,
        inventory=joined.inventory,
        supplies=Supplies(engine, clock=clock),
        provisioning=joined.provisioning,
        billing=joined.billing,
    )
    with ThreadPoolExecutor(THREADS) as threads:
        polling: Worker = worker.create(
            client,
            task_queue=task_queue,
            workflows=workflows,
            activities=around(worker.activities(engine, joined, clock, propagated, grace=grace)),
            threads=THREADS,
            executor=threads,
            cached_workflows=cached_workflows,
            runner=runner or worker.runner(WorkflowSandbox.ON),
        )
        async with polling:
            yield shop
    engine.dispose()


def hasty(**changes: float) -> Patience:
    """Test patience with some times changed."""
    return replace(HASTE, **changes)


def at(day: str) -> datetime:
    """An instant by its ISO text, in UTC."""
    return datetime.fromisoformat(f"{day}+00:00")


async def stages(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """What a run did, in the words of its history: the names of its activities, and what is said of them."""
    words: list[str] = []
    for event in (await handle.fetch_history()).events:
        name = ""
        if event.HasField("activity_task_scheduled_event_attributes"):
            name = event.activity_task_scheduled_event_attributes.activity_type.name
        elif event.marker_recorded_event_attributes.marker_name == "core_local_activity":
            payloads = event.marker_recorded_event_attributes.details["data"].payloads
            name = json.loads(payloads[0].data)["activity_type"]
        if name:
            words += re.findall(r"\w+", f"{name} {event.user_metadata.summary.data.decode()}")
    return list(dict.fromkeys(words))


async def durable_activity_names(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The activities of a run that were on record before they were sent."""
    scheduled = (x.activity_task_scheduled_event_attributes for x in (await handle.fetch_history()).events)
    return [x.activity_type.name for x in scheduled if x.activity_type.name]
