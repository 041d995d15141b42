"""A PostgreSQL and a Temporal for many worlds, and the database that every world begins with."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from psycopg2 import sql
from temporalio.client import Client

from domain.catalog import ACCOUNT_LEVEL, BillingType, Product
from domain.money import Money
from embedded import temporal
from embedded.postgres import APP, DATABASE, OWNER, SUPERUSER, Cluster
from embedded.process import free_port, listens, running, wait_until
from models.database import upgrade
from sql.connections import connect
from tests.builders import goods
from tests.faults.haste import PATIENCE, Hasty
from tests.faults.orderer import orderer
from tests.workflows.catalog import PRODUCTS
from workflows import search_attributes
from workflows.payloads import DATA_CONVERTER

NO_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400"}
NUMBERS = 3_000
PHONES = 1_000
FURNISHED = "furnished"


@dataclass(frozen=True, kw_only=True)
class House:
    """Where worlds are made."""

    cluster: Cluster
    temporal: str
    client: Client
    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The name of a database of one's own, furnished: a catalog with prices, accounts, numbers and phones."""
        name = f"world_{next(self._numbers)}_{uuid4().hex[:8]}"
        with self.cluster.connect(SUPERUSER, database="postgres") as server, server.cursor() as cursor:
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy")
            cursor.execute(create.format(*map(sql.Identifier, (name, FURNISHED, OWNER))))
        yield name
        with self.cluster.connect(SUPERUSER, database="postgres") as server, server.cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def alter(self, database: str | None, statement: str) -> None:
        """Have the tables of a database otherwise than they are meant to be."""
        with self.cluster.connect(OWNER, database=str(database)) as owner, owner.cursor() as cursor:
            cursor.execute(statement)


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    """A house on servers of its own that keep nothing: no worlds outlive it."""
    cluster = Cluster(directory=folder / "postgres", port=free_port(), settings=NO_DURABILITY)
    server = temporal.Server(port=free_port(), ui_port=free_port())
    with contextlib.ExitStack() as stack:
        await asyncio.to_thread(cluster.create)
        postgres = stack.enter_context(running(cluster.program(), output=folder / "postgres.log"))
        runs = stack.enter_context(running(server.program(), output=folder / "temporal.log"))
        await asyncio.to_thread(wait_until, cluster.accepts_connections, process=postgres, name="postgres")
        cluster.prepare()
        await asyncio.to_thread(upgrade, cluster.url(OWNER))
        await asyncio.to_thread(wait_until, lambda: listens(server.port), process=runs, name="temporal")
        yield await furnished(cluster, server.address, folder)


async def furnished(cluster: Cluster, address: str, folder: Path) -> House:
    """A house on servers that run already; the cluster's own database is migrated."""
    with cluster.connect(SUPERUSER, database="postgres") as server, server.cursor() as cursor:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        cursor.execute(create.format(*map(sql.Identifier, (FURNISHED, DATABASE, OWNER))))
    await temporal.register(await temporal.connect(address), search_attributes.ALL)
    client = await Client.connect(address, data_converter=DATA_CONVERTER, interceptors=[Hasty()])
    await asyncio.to_thread(_furnish, cluster.url(APP, database=FURNISHED), client)
    return House(cluster=cluster, temporal=address, client=client, folder=folder)


HANDSET = goods("HANDSET", billing_service_type=ACCOUNT_LEVEL)
"""Sold for itself: no network is asked."""
PRICES: Mapping[BillingType | None, Money] = {
    BillingType.SUBSCRIPTION: Money(2_999, "USD"),
    BillingType.ITEM: Money(1_999, "USD"),
}


def _furnish(url: str, client: Client) -> None:
    engine = connect(url, pool_size=1)
    shop = orderer(engine, client, queue="", patience=PATIENCE)
    shop.publish(*map(_priced, (*PRODUCTS, HANDSET)))
    shop.account("ACME", "ACME-BA")
    shop.supplies.create_range(pool="MSISDN", first="+1-555-0000", last=f"+1-555-{NUMBERS:04}")
    shop.receive("PHONE", PHONES)
    shop.receive(HANDSET.code, PHONES)
    engine.dispose()


def _priced(product: Product) -> Product:
    months = 3 if product.billing_type is BillingType.DISCOUNT else None
    return replace(product, price=PRICES.get(product.billing_type), duration_months=months)
