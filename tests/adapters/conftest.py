"""The three neighbours, embedded and served over HTTP: the same suite runs against both."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, text

from activities.neighbours import Billing, Inventory, Provisioning
from adapters.billing import server as billing_server
from adapters.billing.client import BillingClient
from adapters.billing.embedded import EmbeddedBilling
from adapters.inventory import server as inventory_server
from adapters.inventory.client import InventoryClient
from adapters.inventory.embedded import EmbeddedInventory
from adapters.provisioning import server as provisioning_server
from adapters.provisioning.client import ProvisioningClient
from adapters.provisioning.embedded import EmbeddedProvisioning
from domain.billing import Account
from embedded.process import free_port
from sql.connections import connect
from tests.conftest import FreshDatabase

THREADS = 16
ACCOUNT = "ACME-BA"
LEDGER = ("calls", "attempts", "switches")

Result = TypeVar("Result")
Client = TypeVar("Client", InventoryClient, ProvisioningClient, BillingClient)


class Clock:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The neighbours as an activity sees them, and behind them the systems themselves."""

    inventory: Inventory
    provisioning: Provisioning
    billing: Billing
    own_inventory: EmbeddedInventory
    own_provisioning: EmbeddedProvisioning
    own_billing: EmbeddedBilling
    clock: Clock
    engine: Engine

    def own(self, system: str) -> EmbeddedInventory | EmbeddedProvisioning | EmbeddedBilling:
        match system:
            case "inventory":
                return self.own_inventory
            case "provisioning":
                return self.own_provisioning
            case _:
                return self.own_billing

    def rows(self, query: str, **parameters: object) -> Sequence[Any]:
        """What a query of the systems' own tables finds."""
        with self.engine.connect() as connection:
            return connection.execute(text(query), parameters).all()

    def snapshot(self, system: str) -> dict[str, list[str]]:
        """All that a system holds, other than its memory of calls."""
        tables = self.rows(
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = :system"
            " AND table_type = 'BASE TABLE' AND table_name <> ALL(:ledger)",
            system=system,
            ledger=list(LEDGER),
        )
        every_row = "SELECT CAST(t AS text) AS line FROM {} t ORDER BY 1"
        return {x.name: [row.line for row in self.rows(every_row.format(f"{system}.{x.name}"))] for x in tables}

    def outcomes(self, system: str, key: str) -> list[str]:
        """What became of every attempt with a key."""
        return sorted(x.outcome for x in self.own(system).ledger.journal() if x.key == key)


@pytest.fixture(scope="module")
def engine(fresh_database: FreshDatabase) -> Iterator[Engine]:
    with fresh_database() as database:
        engine = connect(database.app_url, pool_size=THREADS)
        yield engine
        engine.dispose()


@pytest.fixture(scope="module", params=["embedded", "over_http"])
def neighbours(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Neighbours]:
    clock = Clock()
    inventory = EmbeddedInventory(engine, clock=clock)
    provisioning = EmbeddedProvisioning(engine, clock=clock)
    billing = EmbeddedBilling(engine, clock=clock)
    own = partial(
        Neighbours,
        own_inventory=inventory,
        own_provisioning=provisioning,
        own_billing=billing,
        clock=clock,
        engine=engine,
    )
    with contextlib.ExitStack() as stack:
        if request.param == "embedded":
            neighbours = own(inventory=inventory, provisioning=provisioning, billing=billing)
        else:
            neighbours = own(
                inventory=_client(stack, InventoryClient, inventory_server.create_app(inventory)),
                provisioning=_client(stack, ProvisioningClient, provisioning_server.create_app(provisioning)),
                billing=_client(stack, BillingClient, billing_server.create_app(billing)),
            )
        neighbours.billing.sync_customer(
            key=f"account for {request.param}", account=Account(id=ACCOUNT, name="ACME", owner="ACME")
        )
        yield neighbours


def _client(stack: contextlib.ExitStack, client: type[Client], app: FastAPI) -> Client:
    return stack.enter_context(contextlib.closing(client(stack.enter_context(served(app)), at_once=THREADS)))


@pytest.fixture(autouse=True)
def switched_off(request: pytest.FixtureRequest) -> Iterator[None]:
    """No switch outlives its test."""
    yield
    if "neighbours" in request.fixturenames:
        neighbours: Neighbours = request.getfixturevalue("neighbours")
        for system in ("inventory", "provisioning", "billing"):
            neighbours.own(system).switches.clear()


_NUMBERS = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"T{next(_NUMBERS):04d}"


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The base URL of an application that is served as long as the block lasts."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def at_once(call: Callable[[int], Result], times: int) -> list[Result]:
    """The results of calls that are made at the same time."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(call, range(times)))
