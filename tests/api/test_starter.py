"""An order that was answered gets its run, whatever happens to Temporal or to this process meanwhile."""

import asyncio

import httpx
import pytest
from temporalio.client import Client

from api.app import create_app
from tests.api.conftest import Served, house_of, serving
from tests.api.test_orders import an_order

pytestmark = pytest.mark.req("W1", "W7")


async def submit_without_temporal(api: Served, count: int) -> list[str]:
    """Have orders stored by an API that cannot reach Temporal, and that is gone afterwards."""
    nowhere = await Client.connect("127.0.0.1:1", lazy=True)
    async with serving(create_app(house_of(api.shop, nowhere))) as url, httpx.AsyncClient(base_url=url) as http:
        answers = [await http.post("/v1/orders", json=an_order()) for _ in range(count)]
        assert [x.status_code for x in answers] == [202] * count
        read = (await http.get(answers[0].headers["location"])).json()
        assert (read["state"], read["run"]["status"], read["run"]["run_id"]) == ("acknowledged", "starting", None)
        return [x.json()["id"] for x in answers]


async def test_orders_stored_while_temporal_is_away_start_when_it_is_back(fresh_api: Served):
    api = fresh_api
    ids = await submit_without_temporal(api, 3)  # the other API of the house sees them as forgotten

    async with asyncio.timeout(15):
        for id_ in ids:
            await api.in_state({"id": id_}, "completed")

    assert api.count("assets") == 21


async def test_a_run_that_was_started_before_a_crash_is_not_started_again(fresh_api: Served):
    api = fresh_api
    order = await api.in_state(await api.submit(an_order()), "completed")
    with api.engine.begin() as connection:  # as if the process had died between starting the run and writing it down
        connection.exec_driver_sql(
            "UPDATE orderloom.orders SET run_started_at = NULL, run_id = NULL, submitted_at = now() - interval '1 hour'"
        )

    await api.shop.until(
        lambda: api.shop.one("SELECT count(*) FROM orderloom.orders WHERE run_started_at IS NULL") == 0
    )

    again = await api.read(f"/v1/orders/{order['id']}")
    assert again["run"]["run_id"] in (order["run"]["run_id"], None)
    runs = [x async for x in api.shop.client.list_workflows(f"WorkflowId = 'order-{order['id']}'")]
    assert len(runs) <= 1
    assert api.count("assets") == 7


async def test_several_apis_share_what_was_left_behind(fresh_api: Served):
    api = fresh_api
    ids = await submit_without_temporal(api, 10)
    async with serving(create_app(house_of(api.shop))), asyncio.timeout(30):
        for id_ in ids:
            await api.in_state({"id": id_}, "completed")

    assert api.count("assets") == 70
