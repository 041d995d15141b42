"""The worker: joins activities with the neighbours and the records, and polls until it is asked to stop."""

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Engine
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.billing import BillingActivities
from activities.catalog import CatalogActivities
from activities.endings import EndingActivities
from activities.inventory import InventoryActivities
from activities.neighbours import Billing, Inventory, Provisioning
from activities.provisioning import ProvisioningActivities
from activities.reconciliation import ReconciliationActivities
from activities.records import RecordActivities
from activities.steps import StepActivities
from activities.trouble import TroubleActivities
from activities.watch import WatchActivities
from adapters.billing.client import BillingClient
from adapters.billing.embedded import EmbeddedBilling
from adapters.inventory.client import InventoryClient
from adapters.inventory.embedded import EmbeddedInventory
from adapters.provisioning.client import ProvisioningClient
from adapters.provisioning.embedded import EmbeddedProvisioning
from domain.fallout import DUE, DueTimes
from domain.propagation import STATE_ONLY, PropagatedFields
from models.catalogs import PostgresCatalogs
from models.endings import PostgresEndings
from models.reconciliations import PostgresReconciliations
from models.records import PostgresRecords
from models.watch import PostgresWatched
from models.work_list import PostgresWorkList
from settings import Neighbours, Settings, WorkflowSandbox
from sql.connections import connect
from workflows import schedules
from workflows.catalog_sync import CatalogSync
from workflows.order import OrderWorkflow
from workflows.payloads import DATA_CONVERTER
from workflows.reconciliation import Reconciliation
from workflows.runs import TemporalRuns
from workflows.service_ends import ServiceEnds
from workflows.watch import Watch

log = structlog.get_logger()

WORKFLOWS: Sequence[type] = (OrderWorkflow, CatalogSync, Reconciliation, ServiceEnds, Watch)
GRACE = timedelta(seconds=10)
"""How long running activities may finish when the worker is asked to stop."""
IN_FLIGHT = timedelta(minutes=5)
"""How long ago what an order did may still be under way, and is no difference between the network and billing."""

BUILD = WorkerDeploymentConfig(
    WorkerDeploymentVersion(deployment_name="orderloom", build_id="0.1.0"), use_worker_versioning=False
)
"""What Temporal shows of a worker. Left out, it is a hash of every module: a start that takes seconds longer."""

PASSED_THROUGH = (
    "activities",
    "domain",
    "structlog",
    "workflows.approving",
    "workflows.bugs",
    "workflows.carrying",
    "workflows.changing",
    "workflows.deciding",
    "workflows.details",
    "workflows.messages",
    "workflows.payloads",
    "workflows.progress",
    "workflows.requests",
    "workflows.search_attributes",
    "workflows.sending",
    "workflows.under_way",
)
"""What workflows use without a fresh copy for every run: none of it keeps anything between calls."""


Clock = Callable[[], datetime]


def now() -> datetime:
    """The one real clock."""
    return datetime.now(UTC)


InventoryT_co = TypeVar("InventoryT_co", bound=Inventory, covariant=True)
ProvisioningT_co = TypeVar("ProvisioningT_co", bound=Provisioning, covariant=True)
BillingT_co = TypeVar("BillingT_co", bound=Billing, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Joined(Generic[InventoryT_co, ProvisioningT_co, BillingT_co]):
    """The three neighbours, embedded or remote."""

    inventory: InventoryT_co
    provisioning: ProvisioningT_co
    billing: BillingT_co


def main(settings: Settings) -> None:
    """Run a worker until SIGINT or SIGTERM; running activities may finish first."""
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    engine = connect(settings.database_url, pool_size=settings.worker_threads)
    client = await Client.connect(
        settings.temporal_address, namespace=settings.temporal_namespace, data_converter=DATA_CONVERTER
    )
    stop = asyncio.Event()
    for asked in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(asked, stop.set)
    with ThreadPoolExecutor(settings.worker_threads) as threads:
        worker = create(
            client,
            task_queue=settings.task_queue,
            activities=activities(
                engine,
                neighbours(settings, engine),
                propagated=PropagatedFields(settings.propagated_fields),
                due=settings.due_times,
                grace=timedelta(seconds=settings.reconcile_grace_s),
            ),
            threads=settings.worker_threads,
            executor=threads,
            cached_workflows=settings.worker_cached_workflows,
            runner=runner(settings.workflow_sandbox),
        )
        spare_the_collector()
        async with worker:
            await _keep_schedules(client, settings)
            await stop.wait()


def spare_the_collector() -> None:
    """What is there now stays; and a run makes many small values, most of which are gone with its task."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 20, 50)


async def _keep_schedules(client: Client, settings: Settings) -> None:
    """A worker that may not keep the schedules carries orders out all the same."""
    try:
        await schedules.keep(client, task_queue=settings.task_queue, every=settings.recurring)
    except RPCError as error:
        log.warning("the schedules could not be kept", error=repr(error))


def neighbours(settings: Settings, engine: Engine) -> Joined[Inventory, Provisioning, Billing]:
    """The neighbours the settings name."""
    if settings.neighbours is Neighbours.EMBEDDED:
        return embedded(engine)
    most = most_at_once(settings.worker_threads)
    return Joined(
        inventory=InventoryClient(str(settings.inventory_url), at_once=most),
        provisioning=ProvisioningClient(str(settings.provisioning_url), at_once=most),
        billing=BillingClient(str(settings.billing_url), at_once=most),
    )


def most_at_once(threads: int) -> int:
    """How many threads may wait for one neighbour: of either half, local or not, some are left for others (B3)."""
    return max(threads * 3 // 8, 1)


def embedded(engine: Engine, clock: Clock = now) -> Joined[EmbeddedInventory, EmbeddedProvisioning, EmbeddedBilling]:
    """The neighbours of this repository, with ledgers in the same database."""
    return Joined(
        inventory=EmbeddedInventory(engine, clock=clock),
        provisioning=EmbeddedProvisioning(engine, clock=clock),
        billing=EmbeddedBilling(engine, clock=clock),
    )


def activities(
    engine: Engine,
    joined: Joined[Inventory, Provisioning, Billing],
    clock: Clock = now,
    propagated: PropagatedFields = STATE_ONLY,
    due: DueTimes = DUE,
    grace: timedelta = IN_FLIGHT,
) -> Sequence[Callable[..., Any]]:
    """Every activity, with its collaborators."""
    records = PostgresRecords(engine)
    inventory = InventoryActivities(joined.inventory, records, clock)
    provisioning = ProvisioningActivities(joined.provisioning, records, clock)
    billing = BillingActivities(joined.billing, records, records, clock)
    own = RecordActivities(records, clock, propagated, due)
    catalog = CatalogActivities(joined.billing, PostgresCatalogs(engine), clock)
    work_list = PostgresWorkList(engine, due)
    reconciliations = PostgresReconciliations(engine, work_list)
    compared = ReconciliationActivities(joined.provisioning, joined.billing, reconciliations, clock, grace)
    steps = StepActivities(records, {**inventory.sends, **provisioning.sends, **billing.sends, **own.sends}, clock)
    watched = WatchActivities(PostgresWatched(engine), work_list, TemporalRuns, clock)
    endings = EndingActivities(PostgresEndings(engine), work_list, clock)
    trouble = TroubleActivities(work_list)

    every = (steps, inventory, provisioning, billing, own, catalog, compared, watched, endings, trouble)
    found = [getattr(x, name) for x in every for name in dir(x)]
    return [x for x in found if hasattr(x, "__temporal_activity_definition")]


def create(
    client: Client,
    *,
    task_queue: str,
    activities: Sequence[Callable[..., Any]],
    threads: int,
    executor: ThreadPoolExecutor,
    cached_workflows: int,
    runner: WorkflowRunner,
    workflows: Sequence[type] = WORKFLOWS,
) -> Worker:
    """A worker of all workflows and activities; ``threads`` is how many activities run at once, local ones as well."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=workflows,
        activities=activities,
        activity_executor=executor,
        workflow_runner=runner,
        max_cached_workflows=cached_workflows,
        max_concurrent_activities=threads // 2,
        max_concurrent_local_activities=threads - threads // 2,
        graceful_shutdown_timeout=GRACE,
        deployment_config=BUILD,
    )


def runner(sandbox: WorkflowSandbox) -> WorkflowRunner:
    """How workflow code is run: guarded against nondeterminism, or at a quarter less of the worker's CPU."""
    if sandbox is WorkflowSandbox.OFF:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))
