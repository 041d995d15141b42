"""What recurs is scheduled once, as the settings say, whatever was done to the schedule before."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client, ScheduleDescription, ScheduleHandle

from tests.conftest import Database
from tests.shop import open_shop
from workflows import schedules

NAME = "reconciliation"


@pytest.fixture
async def queue(temporal_client: Client) -> AsyncIterator[str]:
    queue = f"scheduled-{uuid4()}"
    yield queue
    if await schedules.described(temporal_client, NAME, task_queue=queue):
        await _handle(temporal_client, queue).delete()


def _handle(client: Client, queue: str) -> ScheduleHandle:
    return client.get_schedule_handle(schedules.schedule_id(NAME, task_queue=queue))


async def _kept(client: Client, queue: str, every: timedelta) -> ScheduleDescription:
    await schedules.keep(client, task_queue=queue, every={NAME: every})
    found = await schedules.described(client, NAME, task_queue=queue)
    assert found is not None
    return found


def _intervals(found: ScheduleDescription) -> list[timedelta]:
    return [x.every for x in found.schedule.spec.intervals]


async def test_a_schedule_is_made_once_and_takes_over_another_interval(temporal_client: Client, queue: str) -> None:
    assert _intervals(await _kept(temporal_client, queue, timedelta(hours=1))) == [timedelta(hours=1)]
    assert _intervals(await _kept(temporal_client, queue, timedelta(hours=1))) == [timedelta(hours=1)]
    assert _intervals(await _kept(temporal_client, queue, timedelta(minutes=5))) == [timedelta(minutes=5)]


async def test_many_workers_that_start_at_once_make_one_schedule(temporal_client: Client, queue: str) -> None:
    found = await asyncio.gather(*(_kept(temporal_client, queue, timedelta(hours=1)) for _ in range(5)))
    assert {x.id for x in found} == {f"{queue}-{NAME}"}


async def test_a_schedule_that_somebody_deleted_is_made_anew(temporal_client: Client, queue: str) -> None:
    await _kept(temporal_client, queue, timedelta(hours=1))
    await _handle(temporal_client, queue).delete()
    assert await schedules.described(temporal_client, NAME, task_queue=queue) is None
    assert _intervals(await _kept(temporal_client, queue, timedelta(hours=1))) == [timedelta(hours=1)]


async def test_a_schedule_that_somebody_paused_stays_paused(temporal_client: Client, queue: str) -> None:
    await _kept(temporal_client, queue, timedelta(hours=1))
    await _handle(temporal_client, queue).pause(note="billing is being repaired")
    found = await _kept(temporal_client, queue, timedelta(minutes=5))
    assert _intervals(found) == [timedelta(minutes=5)]
    assert (found.schedule.state.paused, found.schedule.state.note) == (True, "billing is being repaired")


async def test_what_is_scheduled_begins_by_itself_and_never_beside_itself(
    database: Database, temporal_client: Client
) -> None:
    async with open_shop(database.app_url, temporal_client) as shop:
        await schedules.keep(temporal_client, task_queue=shop.task_queue, every={NAME: timedelta(seconds=1)})
        try:
            await shop.until(lambda: shop.one("SELECT count(*) FROM orderloom.reconciliations") > 1)
        finally:
            await _handle(temporal_client, shop.task_queue).delete()
        found = shop.rows("SELECT id FROM orderloom.reconciliations")
        assert all(x["id"].startswith(f"{shop.task_queue}-{NAME}-2") for x in found)
