"""What does not succeed for long is seen: on the work list, and in the Temporal UI, for as long as it lasts."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from adapters.switches import Mode, Switch
from models import views
from tests.builders import order
from tests.shop import Shop, hasty
from tests.workflows.catalog import INTERNET, WIRELESS
from tests.workflows.test_fallout import refuse_once
from workflows import search_attributes


async def calls_for_help(handle: WorkflowHandle[Any, Any], step: str) -> None:
    """Wait until the run's search attributes say that it needs somebody, and where."""
    async with asyncio.timeout(10):
        while True:
            found = (await handle.describe()).typed_search_attributes
            if found.get(search_attributes.ATTENTION) and found.get(search_attributes.STEP) == step:
                return
            await asyncio.sleep(0.05)


@pytest.mark.req("W5")
async def test_a_network_that_is_at_work_for_ever_falls_out_in_doubt(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=600_000))
    handle = await shop.start(order(INTERNET), patience=hasty(at_work_s=0.0))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert (fallout["step"], fallout["code"], fallout["in_doubt"]) == ("provision:1", "STILL_AT_WORK", True)
    found = views.fallout(shop.engine, fallout["id"])
    assert found is not None
    assert found["decisions"] == ["retry", "skip", "abort"]
    await shop.decide(fallout, "abort")
    await handle.result()
    assert shop.state(str(fallout["order_id"])) == "failed"
    assert shop.provisioning.list_active(as_of=shop.now()) == ()


async def test_an_undo_that_fails_for_long_is_on_the_work_list_until_it_succeeds(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    shop.billing.switches.set("void_initiated", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(WIRELESS))
    identity = handle.id.removeprefix("order-")
    await shop.decide(await shop.fallout(identity), "abort")
    fallout = await shop.fallout(identity)
    assert (fallout["type"], fallout["step"], fallout["code"]) == ("Billing", "void_initiated:1", "Unavailable")
    await calls_for_help(handle, "void_initiated:1")
    assert "void_initiated:1 needs somebody" in await shop.details(handle)

    shop.billing.switches.clear("void_initiated")

    await handle.result()
    closed = views.fallout(shop.engine, fallout["id"])
    assert closed is not None
    assert (closed["state"], closed["decision"], closed["actor"]) == ("closed", "none", "system")
    assert (await shop.shown(handle, state="failed")).get(search_attributes.ATTENTION) is False


async def test_a_fault_in_our_own_records_is_seen_and_on_the_work_list_until_it_is_mended(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    stored = shop.submit(order(INTERNET))
    with shop.in_the_way(f"{stored.id}:provision:1"):
        handle = await shop.run(stored)
        trouble = await shop.fallout(stored.id)
        assert (trouble["type"], trouble["step"], trouble["code"]) == ("System", "open_fallout", "IntegrityError")
        await calls_for_help(handle, "provision:1")
        assert "open_fallout needs somebody" in await shop.details(handle)

    await shop.until(lambda: shop.one("SELECT count(*) FROM orderloom.fallouts WHERE step = 'provision:1'") == 1)
    await shop.until(lambda: (views.fallout(shop.engine, trouble["id"]) or {})["state"] == "closed")
    await shop.decide(await shop.fallout(stored.id), "retry")
    await handle.result()
    assert shop.state(stored.id) == "completed"


async def test_one_fault_in_our_records_that_stops_two_steps_is_one_entry_until_both_go_on(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=2))
    stored = shop.submit(order(WIRELESS, INTERNET))
    with shop.in_the_way(f"{stored.id}:provision:1"), shop.in_the_way(f"{stored.id}:provision:2"):
        handle = await shop.run(stored)
        trouble = await shop.fallout(stored.id)
        await shop.until(lambda: set(shop.line_states(stored.id).values()) == {"inProgress"})
    of_steps = "SELECT count(*) FROM orderloom.fallouts WHERE step LIKE 'provision:%' AND state = 'open'"
    await shop.until(lambda: shop.one(of_steps) == 2)
    await shop.until(lambda: (views.fallout(shop.engine, trouble["id"]) or {})["state"] == "closed")
    assert shop.one("SELECT count(*) FROM orderloom.fallouts WHERE type = 'System'") == 1
    for fallout in shop.rows("SELECT * FROM orderloom.fallouts WHERE step LIKE 'provision:%'"):
        await shop.decide(fallout, "retry")
    await handle.result()
