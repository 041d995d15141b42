"""The API as one application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from api import (
    accounts,
    approval,
    assets,
    bulk_changes,
    cancellation,
    catalog,
    changes,
    docs,
    drafts,
    errors,
    events,
    fallouts,
    health,
    orders,
    reports,
    revisions,
    schedules,
)
from api.bulk_changes import BulkChanger
from api.envelope import Envelope
from api.house import House
from api.live import Live
from api.openapi import allowed_methods, describe
from api.starter import Starter

TITLE = "Orderloom"
DESCRIPTION = """
Order fulfillment for telephone, utility and subscription companies.

Errors are `application/problem+json` (RFC 9457) with all violations at once. Instants are UTC. Lists are newest first,
with `limit`, `cursor` and `X-Total-Count`. `Idempotency-Key` on what creates: the same request, the same answer.
"""

ROUTERS = tuple(
    x.router
    for x in (
        orders,
        drafts,
        approval,
        cancellation,
        revisions,
        events,
        fallouts,
        catalog,
        accounts,
        assets,
        changes,
        bulk_changes,
        reports,
        schedules,
        health,
        docs,
    )
)


def create_app(house: House) -> FastAPI:
    """The application on its collaborators. Its lifespan starts the runs of stored orders and listens for events."""
    app = FastAPI(
        title=TITLE,
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.house = house
    app.state.allowed_methods = lambda scope: allowed_methods(ROUTERS, scope)
    app.add_middleware(Envelope)
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    vars(app)["openapi"] = lambda: describe(app, ROUTERS)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    house: House = app.state.house
    current_default_thread_limiter().total_tokens = _pool_size(house)
    app.state.starter, app.state.live = Starter(house), Live(house.engine)
    bulk_changer = BulkChanger(house, app.state.starter)
    background = asyncio.gather(app.state.starter.run(), app.state.live.run(), bulk_changer.run())
    try:
        yield
    finally:
        background.cancel()
        with suppress(asyncio.CancelledError):
            await background


def _pool_size(house: House) -> int:
    """As many requests at once as there are connections, but for the starter's."""
    size: int = house.engine.pool.size() - 1  # type: ignore[attr-defined]
    return max(size, 1)
