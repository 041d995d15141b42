"""An attempt that its run has given up may succeed all the same: our rows, the run and a person agree about it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from temporalio.client import Client

from adapters.switches import Mode, Switch
from domain.order import State
from tests.builders import order
from tests.conftest import Database
from tests.shop import Activities, Shop, hasty, open_shop, stages
from tests.workflows.catalog import INTERNET, furnish
from workflows.messages import OrderEnd

HURRIED = hasty(attempt_s=2, give_up_s=2.2)
"""Two attempts, of two seconds each: time enough for each to come as far as it is meant to."""
STEP = "provision:1"
"""The first of a batch is asked about when nobody knows which step of it takes so long."""


@pytest.fixture
async def house(database: Database, temporal_client: Client) -> AsyncIterator[Shop]:
    """A house in which billing takes a moment, and everything adds up at the end of the test."""
    async with open_shop(database.app_url, temporal_client) as shop:
        furnish(shop)
        await shop.fulfil(order(INTERNET))  # billing knows the account from now on
        shop.billing.switches.set("fulfill", Switch(mode=Mode.DELAY, ms=300))
        yield shop
        await shop.is_sound()


async def test_nobody_is_asked_about_a_step_that_is_done_by_then(house: Shop) -> None:
    """Our database is slow: both attempts have carried everything out, and wait until it is written down."""
    handle = await house.run(stored := house.submit(order(INTERNET)), patience=HURRIED)
    await house.until(lambda: house.steps(stored.id).get(STEP) == "inProgress")
    with house.engine.begin() as slow:
        slow.execute(text("SELECT FROM orderloom.plan_items FOR UPDATE"))
        while "open_fallout" not in await stages(handle):  # noqa: ASYNC110 - nobody here could set an event
            await asyncio.sleep(0.05)

    assert (await handle.result()).state is State.COMPLETED
    assert house.rows("SELECT * FROM orderloom.fallouts") == []
    assert house.one("SELECT count(*) FROM billing.service_instances WHERE status = 'active'") == 2


async def test_an_attempt_whose_time_is_up_sends_nothing_more(house: Shop) -> None:
    house.provisioning.switches.set("activate", Switch(mode=Mode.DELAY, ms=2_500, remaining=1))
    handle = await house.run(stored := house.submit(order(INTERNET)), patience=hasty(attempt_s=2, give_up_s=10))
    await handle.result()
    await asyncio.sleep(1.5)  # by now the first attempt is over as well

    repeated = house.rows("SELECT operation FROM billing.attempts WHERE key LIKE :o || '%'", o=stored.id)
    assert repeated == []


async def test_nothing_interrupts_an_activity_in_the_midst_of_a_statement(
    database: Database, temporal_client: Client
) -> None:
    """A connection that goes back to the pool in the midst of something would be another one's trouble."""
    seen: list[bool] = []

    def look(activities: Activities) -> Activities:
        seen.extend(getattr(x, "__temporal_activity_definition").no_thread_cancel_exception for x in activities)
        return activities

    async with open_shop(database.app_url, temporal_client, around=look):
        assert seen
        assert all(seen)


async def test_a_run_that_was_reset_withdraws_the_question_when_the_step_succeeds(house: Shop) -> None:
    house.billing.switches.set("fulfill", Switch(mode=Mode.FAIL_BEFORE))
    handle = await house.run(stored := house.submit(order(INTERNET)), patience=HURRIED)
    fallout = await house.fallout(stored.id)
    house.billing.switches.clear()

    await house.rewind(handle)

    again = house.client.get_workflow_handle(handle.id, result_type=OrderEnd)
    assert (await again.result()).state is State.COMPLETED
    (withdrawn,) = house.rows("SELECT id, state, reason FROM orderloom.fallouts")
    assert withdrawn == {"id": fallout["id"], "state": "cancelled", "reason": "the step is done after all"}
