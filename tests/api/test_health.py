"""Whether the API says truly what it can do."""

import httpx
from temporalio.client import Client

from api.app import create_app
from tests.api.conftest import Served, house_of, serving


async def test_an_api_with_everything_behind_it_is_alive_and_ready(api: Served):
    assert await api.read("/healthz") == {"status": "alive"}
    assert await api.read("/readyz") == {"status": "ready", "database": "ok", "temporal": "ok", "worker": "ok"}


async def test_an_api_whose_queue_no_worker_polls_is_alive_and_not_ready(api: Served):
    house = house_of(api.shop, task_queue="nobody-polls-this")
    async with serving(create_app(house)) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/healthz")).status_code == 200
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (503, "Missing: temporal and a worker.")


async def test_an_api_without_temporal_is_alive_and_not_ready(api: Served):
    nowhere = await Client.connect("127.0.0.1:1", lazy=True)
    async with serving(create_app(house_of(api.shop, nowhere))) as url, httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503


async def test_an_api_without_its_database_says_so_and_stays_alive(fresh_api: Served):
    api = fresh_api
    with api.engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    api.shop.one("SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE datname = current_database() AND pid <> pg_backend_pid()) AS gone")  # fmt: skip

    answers = [await api.http.get("/v1/orders") for _ in range(20)]

    assert {x.status_code for x in answers} <= {200, 503}
    assert all(x.headers["content-type"] == "application/problem+json" for x in answers if x.status_code == 503)
    assert answers[-1].status_code == 200
    assert (await api.http.get("/healthz")).status_code == 200
