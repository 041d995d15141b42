"""The API as a process of its own: killed, and asked to end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from embedded.process import free_port
from tests.api.conftest import Served
from tests.api.test_orders import an_order

PROGRAM = "import server, settings; server.main(settings.Settings())"
ANSWERED_WITHIN_S = 20.0


@dataclass(frozen=True)
class Process:
    """A running API process, and how it is spoken to."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient

    async def end(self, how: signal.Signals) -> int:
        """Send it a signal; its exit status."""
        self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), 15)


@asynccontextmanager
async def process(api: Served, *, temporal: str, **settings: str) -> AsyncIterator[Process]:
    """An API process on the database and the task queue of a house."""
    port = free_port()
    environment = {
        **os.environ,
        "ORDERLOOM_DATABASE_URL": api.engine.url.render_as_string(hide_password=False),
        "ORDERLOOM_TEMPORAL_ADDRESS": temporal,
        "ORDERLOOM_TASK_QUEUE": api.shop.task_queue,
        "ORDERLOOM_API_PORT": str(port),
        **{f"ORDERLOOM_{name.upper()}": value for name, value in settings.items()},
    }
    started = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            await answering(http)
            yield Process(started, http)
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def answering(http: httpx.AsyncClient) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        while True:
            try:
                assert (await http.get("/healthz")).status_code == 200
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.req("W1", "W7")
async def test_an_order_answered_by_a_process_that_is_then_killed_is_carried_out_once(
    fresh_api: Served, temporal_address: str
):
    api = fresh_api
    headers = {"Idempotency-Key": "k-killed"}
    async with process(api, temporal="127.0.0.1:1") as first:  # it stores, and cannot start the run
        answer = await first.http.post("/v1/orders", json=an_order(), headers=headers)
        assert await first.end(signal.SIGKILL) == -signal.SIGKILL
    async with process(api, temporal=temporal_address) as second:
        again = await second.http.post("/v1/orders", json=an_order(), headers=headers)
        assert (again.status_code, again.content) == (202, answer.content)
        await api.in_state(answer.json(), "completed")

    assert (api.count("orders"), api.count("assets")) == (1, 7)


async def test_a_process_that_is_asked_to_end_sends_its_watchers_home_and_ends_at_once(
    fresh_api: Served, temporal_address: str
):
    api = fresh_api
    order = await api.submit(an_order(requested_start="2199-01-01T00:00:00Z"))
    async with process(api, temporal=temporal_address) as running:
        watcher = running.http.stream(
            "GET", f"/v1/orders/{order['id']}/events", headers={"Accept": "text/event-stream"}
        )
        async with watcher as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "id: 1"
            began = asyncio.get_running_loop().time()
            ended = asyncio.create_task(running.end(signal.SIGTERM))
            assert [line async for line in lines]
            await ended
        assert asyncio.get_running_loop().time() - began < 5


async def test_an_api_whose_neighbours_are_other_systems_needs_none_of_them_to_take_orders(
    fresh_api: Served, temporal_address: str
):
    nowhere = "http://127.0.0.1:1"
    urls = {f"{system}_url": nowhere for system in ("inventory", "provisioning", "billing")}
    async with process(fresh_api, temporal=temporal_address, neighbours="urls", **urls) as running:
        answer = await running.http.post("/v1/orders", json=an_order())
        assert answer.status_code == 202
