"""A house in which services are installed, and changes of them are taken."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx

from api.app import create_app
from tests.api.conftest import Served, house_of, serving
from tests.api.test_orders import an_order

LEAST: dict[str, dict[str, Any]] = {"modify": {"attributes": {"apn": "fast"}}, "move": {"service_point": "SP-2"}}


@dataclass(frozen=True)
class House:
    """A house whose changes are taken, and carried out by nobody."""

    http: httpx.AsyncClient
    served: Served

    async def install(self, **fields: object) -> dict[str, str]:
        """A wireless service of ACME's: its assets, by product."""
        order = await self.served.submit(an_order(**fields))
        return {x["product"]: x["asset"] for x in (await self.served.in_state(order, "completed"))["lines"]}

    async def ask(self, asset: str, change: str, /, **body: Any) -> httpx.Response:  # noqa: ANN401
        """The least request for a change, with what else is said."""
        return await self.http.post(f"/v1/assets/{asset}/{change}", json=LEAST.get(change, {}) | body)

    async def asset(self, asset: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get(f"/v1/assets/{asset}")).json()
        return found

    def becomes(self, asset: str, status: str) -> None:
        with self.served.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE orderloom.assets SET status = %(status)s WHERE root = %(root)s",
                {"status": status, "root": asset},
            )


@contextlib.asynccontextmanager
async def open_house(served: Served, **fields: Any) -> AsyncIterator[House]:  # noqa: ANN401
    """Another API of the house, whose orders nobody carries out."""
    app = create_app(replace(house_of(served.shop, task_queue="nobody"), **fields))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        yield House(http, served)
