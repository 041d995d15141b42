"""The API over HTTP in a whole order house: real database, real Temporal, real worker, the embedded neighbours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from temporalio.client import Client

from api.app import create_app
from api.house import House
from domain.fallout import DUE
from tests import builders
from tests.conftest import Database
from tests.shop import Shop, open_shop

ACCOUNTS = (
    {"id": "ACME", "name": "Acme", "class": "customer"},
    {"id": "ACME-BA", "name": "Acme", "class": "billing", "parent": "ACME"},
    {"id": "ACME-SA", "name": "Acme", "class": "service", "parent": "ACME"},
    {"id": "OTHER", "name": "Other", "class": "customer"},
)
UI = "http://127.0.0.1:8233"


@dataclass(frozen=True)
class Served:
    """A running API; in the house are the accounts of ACME, the wireless catalog and a hundred phones."""

    http: httpx.AsyncClient
    shop: Shop
    app: FastAPI

    @property
    def engine(self) -> Engine:
        return self.shop.engine

    def count(self, table: str) -> int:
        return int(self.shop.one(f"SELECT count(*) FROM orderloom.{table}"))  # noqa: S608

    def written(self) -> dict[str, int]:
        """How many rows there are of everything that a request may write, but for the audit."""
        tables = ("accounts", "billing_profiles", "orders", "order_lines", "idempotency_keys")
        return {table: self.count(table) for table in tables}

    async def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        """An order as it is acknowledged."""
        answer = await self.http.post("/v1/orders", json=body)
        assert answer.status_code == 202, answer.text
        acknowledged: dict[str, Any] = answer.json()
        return acknowledged

    async def read(self, path: str) -> Any:  # noqa: ANN401
        """What a GET answers."""
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def in_state(self, order: dict[str, Any], state: str, *, within_s: float = 20.0) -> dict[str, Any]:
        """The order as it is read once it has come to a state."""
        async with asyncio.timeout(within_s):
            while True:
                read: dict[str, Any] = await self.read(f"/v1/orders/{order['id']}")
                if read["state"] == state:
                    return read
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The app on a port of its own, for as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=3))
    vars(server)["capture_signals"] = contextlib.nullcontext  # the signals are pytest's
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        if task.done():
            task.result()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        app.state.live.close()
        server.should_exit = True
        await task


def house_of(shop: Shop, temporal: Client | None = None, *, task_queue: str | None = None) -> House:
    """The API's collaborators in a house, or on another Temporal, or on a queue that nobody polls."""
    return House(
        engine=shop.engine,
        temporal=temporal or shop.client,
        task_queue=task_queue or shop.task_queue,
        temporal_ui_url=UI,
        billing_references=lambda product: shop.billing.references(product=product),
        due_times=DUE,
    )


@contextlib.asynccontextmanager
async def open_api(database: Database, client: Client, **fields: Any) -> AsyncIterator[Served]:  # noqa: ANN401
    """A house and its API."""
    async with open_shop(database.app_url, client) as shop:
        app = create_app(replace(house_of(shop), **fields))
        shop.publish(*builders.WIRELESS)
        shop.receive("PHONE", 100)
        async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
            for account in ACCOUNTS:
                (await http.post("/v1/accounts", json=account)).raise_for_status()
            added = await http.post("/v1/accounts/ACME-BA/billing-profiles", json={"id": "ACME-BP"})
            added.raise_for_status()
            yield Served(http=http, shop=shop, app=app)


@pytest.fixture(scope="module")
async def api(module_database: Database, temporal_client: Client) -> AsyncIterator[Served]:
    """The API that the tests of one module share."""
    async with open_api(module_database, temporal_client) as served:
        yield served


@pytest.fixture
async def fresh_api(database: Database, temporal_client: Client) -> AsyncIterator[Served]:
    """An API of a test's own."""
    async with open_api(database, temporal_client) as served:
        yield served
