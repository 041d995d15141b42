"""An order's event log, as a list and live."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text

from api.live import AGAIN_AFTER_S
from tests.api.conftest import Served
from tests.api.test_orders import an_order

LATER = "2199-01-01T00:00:00Z"
STREAM = {"Accept": "text/event-stream"}


async def stream(api: Served, order: dict[str, Any], **headers: str) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream until it ends; the id of each is its number."""
    path = f"/v1/orders/{order['id']}/events"
    async with api.http.stream("GET", path, headers={**STREAM, **headers}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        frame: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                frame[name] = value
            elif not line and frame:
                event: dict[str, Any] = json.loads(frame["data"])
                assert (frame["id"], frame["event"]) == (str(event["seq"]), event["type"])
                yield event
                frame = {}


async def test_the_log_begins_with_the_acknowledgement_and_has_no_gaps(api: Served):
    order = await api.in_state(await api.submit(an_order()), "completed")

    log = await api.read(f"/v1/orders/{order['id']}/events")

    assert [x["seq"] for x in log["items"]] == list(range(1, len(log["items"]) + 1))
    assert (log["items"][0]["type"], log["items"][-1]["type"]) == ("acknowledged", "completed")
    assert log["next_cursor"] is None

    first = await api.read(f"/v1/orders/{order['id']}/events?limit=2")
    second = await api.read(f"/v1/orders/{order['id']}/events?limit=1000&cursor={first['next_cursor']}")
    assert first["items"] + second["items"] == log["items"]


async def test_a_stream_tells_what_happens_while_it_happens_and_ends_with_the_order(api: Served):
    async with asyncio.timeout(20):
        order = await api.submit(an_order())
        seen = [event async for event in stream(api, order)]

    log = await api.read(f"/v1/orders/{order['id']}/events")
    assert seen == log["items"]


@contextlib.asynccontextmanager
async def watching(api: Served, order: dict[str, Any]) -> AsyncIterator[asyncio.Queue[str]]:
    """The types of the events that a watcher hears of from now on."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    log = await api.read(f"/v1/orders/{order['id']}/events")

    async def watch() -> None:
        async for event in stream(api, order):
            heard.put_nowait(event["type"])

    task = asyncio.create_task(watch())
    try:
        for known in log["items"]:
            assert await asyncio.wait_for(heard.get(), 5) == known["type"]
        yield heard
    finally:
        task.cancel()


def happen(api: Served, order: dict[str, Any], event: str) -> None:
    """What a worker does when something happens to an order."""
    sql = """
        WITH o AS (UPDATE orderloom.orders SET last_seq = last_seq + 1 WHERE id = :o RETURNING last_seq)
        INSERT INTO orderloom.order_events (order_id, seq, type, body) SELECT :o, last_seq, :event, '{}' FROM o
    """
    with api.engine.begin() as connection:
        connection.execute(text(sql), {"o": order["id"], "event": event})


async def test_a_watcher_hears_within_a_moment(api: Served):
    order = await api.in_state(await api.submit(an_order(requested_start=LATER)), "pending")

    async with watching(api, order) as heard:
        happen(api, order, "phone_rang")
        assert await asyncio.wait_for(heard.get(), 1.0) == "phone_rang"


async def test_a_reader_that_comes_back_is_told_only_what_it_missed(api: Served):
    order = await api.in_state(await api.submit(an_order()), "completed")
    everything = [event async for event in stream(api, order)]

    missed = [event async for event in stream(api, order, **{"Last-Event-ID": "3"})]
    nothing = await api.http.get(
        f"/v1/orders/{order['id']}/events", headers={**STREAM, "Last-Event-ID": str(everything[-1]["seq"])}
    )

    assert missed == everything[3:]
    assert nothing.status_code == 204


async def test_watchers_survive_the_loss_of_every_connection_to_the_database(fresh_api: Served):
    api = fresh_api
    order = await api.in_state(await api.submit(an_order(requested_start=LATER)), "pending")

    async with watching(api, order) as heard:
        killed = api.shop.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND state = 'idle' AND datname = current_database()"
        )
        await asyncio.sleep(2 * AGAIN_AFTER_S)
        happen(api, order, "the_line_was_dead")

        assert killed
        assert await asyncio.wait_for(heard.get(), 5.0) == "the_line_was_dead"
