"""The API over HTTP, on a real database and a real Temporal; no worker unless a test brings one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, text
from temporalio.client import Client

from api.app import create_app
from api.house import House
from models import catalogs
from models.database import connect
from tests import builders
from tests.conftest import Database

ACCOUNTS = (
    {"id": "ACME", "name": "Acme", "class": "customer"},
    {"id": "ACME-BA", "name": "Acme", "class": "billing", "parent": "ACME"},
    {"id": "ACME-SA", "name": "Acme", "class": "service", "parent": "ACME"},
    {"id": "OTHER", "name": "Other", "class": "customer"},
)


@dataclass(frozen=True)
class Served:
    """A running API with the accounts of ACME and the wireless catalog in it."""

    http: httpx.AsyncClient
    engine: Engine
    app: FastAPI
    house: House

    def count(self, table: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM orderloom.{table}")).scalar_one())  # noqa: S608

    def rows(self) -> dict[str, int]:
        """How many rows there are of everything that a request may write, but for the audit."""
        tables = ("accounts", "billing_profiles", "orders", "order_lines", "order_events", "idempotency_keys")
        return {table: self.count(table) for table in tables}


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


@pytest.fixture(scope="module")
async def house(module_database: Database, temporal_client: Client) -> AsyncIterator[House]:
    """Its collaborators."""
    engine = connect(module_database.app_url, pool_size=8)
    yield House(
        engine=engine,
        temporal=temporal_client,
        task_queue="tests-api",
        temporal_ui_url="http://127.0.0.1:8233",
        billing_references=lambda _: (),
    )
    engine.dispose()


@pytest.fixture(scope="module")
async def api(house: House) -> AsyncIterator[Served]:
    """The API."""
    app = create_app(house)
    catalogs.publish(house.engine, builders.WIRELESS, source="test")
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        for account in ACCOUNTS:
            (await http.post("/v1/accounts", json=account)).raise_for_status()
        added = await http.post("/v1/accounts/ACME-BA/billing-profiles", json={"id": "ACME-BP"})
        added.raise_for_status()
        yield Served(http=http, engine=house.engine, app=app, house=house)
