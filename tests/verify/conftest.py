"""A house where orders have come to every kind of end, and copies of its database for breaking things in."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from psycopg2 import sql
from sqlalchemy import Engine, text
from temporalio.client import Client, WorkflowHandle

from adapters.switches import Mode, Switch
from cli.verify import verify
from domain.catalog import BillingPhase
from domain.invariant import Finding
from domain.money import Money
from domain.order import Action
from embedded.postgres import APP, OWNER, SUPERUSER, Cluster
from sql.connections import connect
from tests.builders import (
    SMS,
    bundle,
    changed,
    discount,
    event,
    goods,
    item,
    line,
    order,
    raw,
    simple_bundle,
    subscription,
    unbilled,
)
from tests.conftest import FreshDatabase
from tests.shop import Shop, hasty, open_shop
from workflows.invariants import Limits

PRODUCTS = (
    bundle("WIRELESS", "RATE", "FEE", "HALF-PRICE", "GIFT", "PHONE", "SMS", pool="MSISDN"),
    subscription("RATE", price=Money(2_500, "USD")),
    item("FEE", price=Money(999, "USD")),
    discount("HALF-PRICE", duration_months=3),
    unbilled("GIFT", track_as_asset=False),
    goods("PHONE", price=Money(49_900, "USD")),
    bundle("SMS", "SMS-BASIC", billing_service_type=SMS),
    subscription("SMS-BASIC", billing_service_type=SMS, price=Money(300, "USD")),
    simple_bundle("INTERNET", "USAGE", price=Money(1_000, "USD")),
    event("USAGE"),
    bundle("TV", "CHANNELS", billing_phase=BillingPhase.SINGLE),
    subscription("CHANNELS"),
)
WIRELESS = line(
    "WIRELESS",
    line("RATE"),
    line("FEE", quantity=2),
    line("HALF-PRICE"),
    line("GIFT"),
    line("PHONE"),
    line("SMS", line("SMS-BASIC")),
)
SMALL_WIRELESS = line("WIRELESS", line("RATE"), line("SMS", line("SMS-BASIC")))


@dataclass(frozen=True, kw_only=True)
class World:
    """A database where these orders were carried out, by what became of them; no run goes on."""

    database: str
    client: Client
    task_queue: str
    wireless: str
    internet: str
    partial: str
    failed: str
    rejected: str
    held: str
    suspending: str


@pytest.fixture(scope="module")
async def world(fresh_database: FreshDatabase, temporal_client: Client) -> AsyncIterator[World]:
    """Orders completed, partly given up, given up, rejected and held."""
    with fresh_database() as database:
        async with open_shop(database.app_url, temporal_client) as shop:
            shop.publish(*PRODUCTS)
            shop.account("ACME", "ACME-BA")
            shop.numbers("MSISDN", *(f"+1-555-01{n:02}" for n in range(20)))
            shop.receive("PHONE", 10)
            ends = {name: await come_to_its_end(shop) for name, come_to_its_end in ENDS.items()}
            queue = shop.task_queue
        yield World(database=database.name, client=temporal_client, task_queue=queue, **ends)


async def _wireless(shop: Shop) -> str:
    return await shop.fulfil(order(WIRELESS))


async def _internet(shop: Shop) -> str:
    shop.provisioning.switches.set("activate", _refusing())
    handle = await shop.start(order(line("INTERNET", quantity=3), line("TV", line("CHANNELS"))))
    await shop.decide(await shop.fallout(_order_of(handle)), "retry")
    await handle.result()
    return _order_of(handle)


async def _partial(shop: Shop) -> str:
    """Of two bundles the network refuses one, and a person gives it up."""
    shop.provisioning.switches.set("activate", _refusing(match='"WIRELESS"'))
    handle = await shop.start(order(line("INTERNET"), SMALL_WIRELESS))
    return await _give_up(shop, handle)


async def _failed(shop: Shop) -> str:
    """The network activates, but never says so; a person gives the order up."""
    shop.provisioning.switches.set("activate", Switch(mode=Mode.LOSE_ANSWER, remaining=1))
    shop.provisioning.switches.set("query", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(SMALL_WIRELESS), patience=hasty(give_up_s=1.0))
    await shop.fallout(_order_of(handle))
    shop.provisioning.switches.clear()
    return await _give_up(shop, handle)


async def _rejected(shop: Shop) -> str:
    """What the API would have refused: two of a bundle in one line."""
    return await shop.fulfil(changed(order(SMALL_WIRELESS), "1", quantity=2))


async def _held(shop: Shop) -> str:
    shop.provisioning.switches.set("activate", _refusing())
    handle = await shop.start(order(line("INTERNET")))
    await shop.fallout(_order_of(handle))
    await shop.until(lambda: shop.state(_order_of(handle)) == "held")
    return _order_of(handle)


async def _suspending(shop: Shop) -> str:
    """A change that waits for a person."""
    internet = shop.asset(await shop.fulfil(order(line("INTERNET"))))
    shop.provisioning.switches.set("suspend", _refusing())
    handle = await shop.run(shop.change(raw(line("", asset=internet["id"], action=Action.SUSPEND))))
    await shop.fallout(_order_of(handle))
    await shop.until(lambda: shop.state(_order_of(handle)) == "held")
    return _order_of(handle)


async def _give_up(shop: Shop, handle: WorkflowHandle[Any, Any]) -> str:
    await shop.decide(await shop.fallout(_order_of(handle)), "abort")
    await handle.result()
    return _order_of(handle)


def _order_of(handle: WorkflowHandle[Any, Any]) -> str:
    return handle.id.removeprefix("order-")


def _refusing(match: str | None = None) -> Switch:
    return Switch(mode=Mode.REFUSE, match=match, remaining=1, code="NO_PORT", message="no free port")


ENDS = {
    "wireless": _wireless,
    "internet": _internet,
    "partial": _partial,
    "failed": _failed,
    "rejected": _rejected,
    "held": _held,
    "suspending": _suspending,
}


POSSIBLE = """
    ALTER TABLE orderloom.orders DROP CONSTRAINT IF EXISTS orders_ended, DISABLE TRIGGER USER;
    ALTER TABLE orderloom.order_lines DISABLE TRIGGER USER;
    ALTER TABLE orderloom.order_events DISABLE TRIGGER USER;
    ALTER TABLE orderloom.audit DISABLE TRIGGER USER;
"""
"""What the tables forbid can be done in a copy: the invariants are to hold, and to be found broken, without them."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of the world's database, which a test may break as its owner."""

    world: World
    engine: Engine
    owner: Engine

    def plant(self, *statements: str, **parameters: object) -> None:
        """Change rows behind everybody's back, each statement at least one; parameters are the world's orders too."""
        orders = {name: getattr(self.world, name) for name in ENDS}
        with self.owner.begin() as connection:
            connection.exec_driver_sql(POSSIBLE)
            for statement in map(text, statements):
                wanted = {x: value for x, value in (orders | parameters).items() if x in statement.compile().params}
                assert connection.execute(statement, wanted).rowcount, statement

    async def findings(self, *, grace_s: float = 0, limits: Limits | None = None) -> list[Finding]:
        """What is found, everything being at rest."""
        return await verify(
            self.engine, self.world.client, task_queue=self.world.task_queue, grace_s=grace_s, limits=limits
        )

    async def broken(self, **given: Any) -> set[str]:  # noqa: ANN401
        """The ids of what is broken."""
        return {x.id for x in await self.findings(**given) if not x.holds}


@pytest.fixture
def copy(world: World, cluster: Cluster) -> Iterator[Copy]:
    """A database of the test's own, as the orders have left it."""
    name = f"copy_{next(_numbers)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with cluster.connect(SUPERUSER, database="postgres") as server, server.cursor() as cursor:
        cursor.execute(create.format(*map(sql.Identifier, (name, world.database, OWNER))))
        engine, owner = (connect(cluster.url(role, database=name), pool_size=3) for role in (APP, OWNER))
        yield Copy(world=world, engine=engine, owner=owner)
        engine.dispose()
        owner.dispose()
        cursor.execute(drop.format(sql.Identifier(name)))


_numbers = count(1)
