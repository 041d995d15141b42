"""The API process: settings in, collaborators built, uvicorn run."""

import asyncio
import gc
from datetime import UTC, datetime
from types import FrameType

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from temporalio.client import Client
from typing_extensions import override

import observability
from adapters.billing.client import BillingClient
from adapters.billing.embedded import EmbeddedBilling
from api.app import create_app
from api.house import House
from settings import AssetBasedOrdering, Neighbours, Settings
from sql.connections import connect
from workflows.payloads import DATA_CONVERTER

POOL = 16
"""Database connections, and so requests that are worked on at once."""


def main(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    observability.configure()
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    engine = connect(settings.database_url, pool_size=POOL)
    temporal = await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=DATA_CONVERTER,
        lazy=True,  # orders are stored while Temporal is away
    )
    app = create_app(house(settings, engine, temporal))
    _spare_the_collector()
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
    )
    try:
        await _Server(config, app).serve()
    finally:
        engine.dispose()


def house(settings: Settings, engine: Engine, temporal: Client) -> House:
    """What the API works with."""
    billing: EmbeddedBilling | BillingClient
    match settings.neighbours:
        case Neighbours.EMBEDDED:
            billing = EmbeddedBilling(engine, clock=lambda: datetime.now(UTC))
        case Neighbours.URLS:
            billing = BillingClient(str(settings.billing_url))
    return House(
        engine=engine,
        temporal=temporal,
        task_queue=settings.task_queue,
        temporal_ui_url=settings.temporal_ui_url,
        billing_references=lambda product: billing.references(product=product),
        due_times=settings.due_times,
        asset_based_ordering=settings.asset_based_ordering is AssetBasedOrdering.ON,
        bulk_change_orders=settings.bulk_change_orders,
    )


def _spare_the_collector() -> None:
    """What is there now stays; and a request makes many small values that are gone with its answer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 20, 50)


class _Server(uvicorn.Server):
    """Sends those who watch orders home when it is told to end; it would wait for them otherwise."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._loop = asyncio.get_running_loop()

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._app.state.live.close)
        super().handle_exit(sig, frame)
