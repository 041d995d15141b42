"""Synchronizing the catalog with the embedded billing system."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from temporalio.client import Client
from temporalio.worker import Worker

import worker
from activities.catalog import CatalogActivities
from adapters.billing.embedded import EmbeddedBilling
from adapters.switches import Mode, Switch
from domain.catalog import BillingType, Lifecycle, Origin
from domain.catalog_sync import BillingProduct, SyncOutcome
from models import catalogs
from models.catalogs import PostgresCatalogs
from settings import WorkflowSandbox
from sql.connections import connect
from tests.builders import bundle, catalog, event, simple_bundle, subscription
from tests.conftest import Database
from workflows.catalog_sync import CatalogSync, start_sync

IP = "/service/ip"
NET = BillingProduct(
    code="NET",
    name="Internet",
    billing_type=BillingType.SUBSCRIPTION,
    billing_service_type=IP,
    events=("STARTED", "USED"),
)
STARTED, USED = (
    BillingProduct(code=code, name=code, billing_type=BillingType.EVENT, billing_service_type=IP)
    for code in ("STARTED", "USED")
)


def now() -> datetime:
    return datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Counter:
    """Where synchronizations are asked for."""

    client: Client
    engine: Engine
    billing: EmbeddedBilling
    task_queue: str

    async def start(self) -> str:
        workflow_id, _ = await start_sync(self.client, request=str(uuid4()), task_queue=self.task_queue)
        return workflow_id

    async def result(self, workflow_id: str) -> SyncOutcome:
        handle = self.client.get_workflow_handle(workflow_id, result_type=SyncOutcome)
        return await asyncio.wait_for(handle.result(), timeout=20)

    async def synchronize(self) -> SyncOutcome:
        return await self.result(await self.start())


@pytest.fixture
async def counter(database: Database, temporal_client: Client) -> AsyncIterator[Counter]:
    engine = connect(database.app_url, pool_size=6)
    billing = EmbeddedBilling(engine, clock=now)
    activities = CatalogActivities(billing, PostgresCatalogs(engine), now)
    queue = f"sync-{uuid4()}"
    with ThreadPoolExecutor(2) as threads:
        polling = Worker(
            temporal_client,
            task_queue=queue,
            workflows=[CatalogSync],
            activities=[activities.synchronize],
            activity_executor=threads,
            workflow_runner=worker.runner(WorkflowSandbox.ON),
        )
        async with polling:
            yield Counter(client=temporal_client, engine=engine, billing=billing, task_queue=queue)
    engine.dispose()


@pytest.mark.req("B18", "B32", "B59", "B62")
async def test_a_subscription_comes_is_flagged_and_gets_its_events_with_the_next_synchronization(counter: Counter):
    counter.billing.load_products([NET, STARTED])
    first = await counter.synchronize()
    assert (first.version, first.published, set(first.added)) == (1, True, {"NET", "STARTED"})
    brought = catalogs.current(counter.engine)["NET"]
    assert (brought.billing_service_type, brought.origin, brought.lifecycle) == (
        IP,
        Origin.BILLING_SYNC,
        Lifecycle.DRAFT,
    )
    assert (brought.synced_at, brought.components) == (now(), ())
    assert catalogs.billing_product(counter.engine, "NET") == "NET"

    flagged = replace(brought, service_instance=True, lifecycle=Lifecycle.ACTIVE)
    catalogs.publish(counter.engine, [flagged, catalogs.current(counter.engine)["STARTED"]], source="edit")
    counter.billing.load_products([USED])
    third = await counter.synchronize()
    assert (third.version, third.added, third.changed) == (3, ("USED",), ("NET",))
    current = catalogs.current(counter.engine)
    assert [x.product for x in current["NET"].components] == ["STARTED", "USED"]

    counter.billing.load_products([replace(NET, events=("USED",))])
    assert (await counter.synchronize()).changed == ("NET",)
    assert [x.product for x in catalogs.current(counter.engine)["NET"].components] == ["USED"]
    assert [x.product for x in catalogs.load(counter.engine, 3)["NET"].components] == ["STARTED", "USED"]


@pytest.mark.req("B62")
async def test_when_nothing_is_new_there_is_no_new_version(counter: Counter):
    counter.billing.load_products([NET, STARTED])
    await counter.synchronize()
    again = await counter.synchronize()
    assert (again.version, again.published, again.added, again.changed) == (1, False, (), ())


async def test_a_catalog_that_would_break_rules_is_not_published_and_the_run_says_why(counter: Counter):
    home = bundle("HOME", "MCF", "TV", billing_service_type=IP)
    parts = [
        replace(subscription(x, billing_service_type=IP), origin=Origin.BILLING_SYNC, synced_at=now())
        for x in ("MCF", "TV")
    ]
    catalogs.publish(counter.engine, catalog(home, *parts), source="test")
    moved = BillingProduct(
        code="MCF", name="MCF", billing_type=BillingType.SUBSCRIPTION, billing_service_type="/service/dsl"
    )
    counter.billing.load_products([moved])

    workflow_id = await counter.start()
    outcome = await counter.result(workflow_id)
    assert (outcome.version, outcome.published) == (1, False)
    assert [(x.code, x.product) for x in outcome.violations] == [("BST_MISMATCH", "MCF")]
    assert catalogs.current(counter.engine).version == 1
    details = await counter.client.get_workflow_handle(workflow_id).query("__temporal_workflow_metadata")
    assert "Nothing was published" in str(details)


async def test_a_billing_system_that_is_away_is_waited_for(counter: Counter):
    catalogs.publish(counter.engine, catalog(simple_bundle("NET"), event("USED")), source="test")
    counter.billing.load_products([NET, STARTED, USED])
    counter.billing.switches.set("products", Switch(mode=Mode.FAIL_BEFORE, remaining=2))
    outcome = await counter.synchronize()
    assert outcome.published
    assert outcome.added == ("STARTED",)


async def test_the_same_request_is_one_run(counter: Counter):
    request = str(uuid4())
    first = await start_sync(counter.client, request=request, task_queue=counter.task_queue)
    again = await start_sync(counter.client, request=request, task_queue=counter.task_queue)
    await counter.result(first[0])
    later = await start_sync(counter.client, request=request, task_queue=counter.task_queue)
    assert first == again == later
