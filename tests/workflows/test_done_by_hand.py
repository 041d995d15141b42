"""What was done by hand is skipped, and billed and installed from the day it was done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.switches import Mode, Switch
from domain.order import Action
from tests.builders import line, order, raw
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, WIRELESS
from tests.workflows.test_fallout import refuse_once
from workflows.start import Declined


def yesterday(shop: Shop) -> datetime:
    """Midday of the day before."""
    return datetime.combine(shop.now().date() - timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)


@pytest.mark.req("W5", "B57")
async def test_a_step_skipped_with_its_date_is_billed_and_installed_from_that_date(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE))
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.decide(fallout, "skip", actual_date=yesterday(shop).isoformat())
    await handle.result()
    ran_since = yesterday(shop)
    assert shop.one("SELECT purchase_start FROM billing.purchases") == ran_since
    assert shop.one("SELECT service_start FROM orderloom.assets") == ran_since
    assert shop.one("SELECT actual_at FROM orderloom.plan_items WHERE function = 'provision'") == ran_since
    assert shop.one("SELECT actual_delivery_at FROM orderloom.order_lines WHERE id = '1'") == ran_since


CHANGES = (
    (Action.SUSPEND, "suspend", "suspend", "SELECT state_since FROM billing.service_instances"),
    (Action.DELETE, "disconnect", "deactivate", "SELECT ended_at FROM billing.service_instances"),
)


@pytest.mark.req("W5", "B50", "B51")
@pytest.mark.parametrize(("action", "step", "operation", "billed"), CHANGES)
async def test_a_change_made_by_hand_is_billed_and_written_down_from_the_day_it_was_made(
    shop: Shop, action: Action, step: str, operation: str, billed: str
) -> None:
    internet = shop.asset(await shop.fulfil(order(INTERNET)))
    shop.provisioning.switches.set(operation, Switch(mode=Mode.REFUSE))
    stored = shop.change(raw(line("", action=action, asset=internet["id"])))
    handle = await shop.run(stored)
    fallout = await shop.fallout(stored.id)
    had_its_turn = shop.one("SELECT actual_at FROM orderloom.plan_items WHERE order_id = :o AND function = 'claim'",
                            o=stored.id)  # fmt: skip
    with pytest.raises(Declined) as refused:
        await shop.decide(fallout, "skip", actual_date=(had_its_turn - timedelta(seconds=1)).isoformat())
    assert refused.value.code == "INPUT"
    await shop.decide(fallout, "skip", actual_date=had_its_turn.isoformat())
    await handle.result()
    assert shop.steps(stored.id)[f"{step}:1"] == "skipped"
    assert shop.one(billed) == had_its_turn
    if action is Action.DELETE:
        assert shop.one("SELECT service_end FROM orderloom.assets") == had_its_turn
    await shop.is_sound()


async def test_a_step_skipped_without_a_date_is_billed_and_installed_from_one_and_the_same_instant(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE))
    handle = await shop.start(order(INTERNET))
    await shop.decide(await shop.fallout(handle.id.removeprefix("order-")), "skip")
    await handle.result()
    billed = shop.one("SELECT purchase_start FROM billing.purchases")
    assert shop.one("SELECT service_start FROM orderloom.assets") == billed


async def test_a_change_made_by_hand_may_be_said_so_with_a_signal(shop: Shop) -> None:
    internet = shop.asset(await shop.fulfil(order(INTERNET)))
    shop.provisioning.switches.set("suspend", Switch(mode=Mode.REFUSE))
    stored = shop.change(raw(line("", action=Action.SUSPEND, asset=internet["id"])))
    handle = await shop.run(stored)
    await shop.fallout(stored.id)
    await handle.signal("skip", {"actor": "ann", "reason": "ticket 4711"})
    await handle.result()
    assert shop.steps(stored.id)["suspend:1"] == "skipped"


@pytest.mark.parametrize(
    "given",
    [
        {"actual_date": "2100-01-01T00:00:00Z"},
        {"actual_date": "2001-01-01T00:00:00Z"},
        {"actual_date": "2026-11-01T00:00:00"},
        {"actual_date": "yesterday"},
        {"actual_date": 5},
        {"date": "2026-11-01T00:00:00Z"},
    ],
)
async def test_a_date_that_cannot_be_is_refused_and_nothing_is_skipped(shop: Shop, given: dict[str, Any]) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    with pytest.raises(Declined) as refused:
        await shop.decide(fallout, "skip", **given)
    assert refused.value.code == "INPUT"
    await shop.decide(fallout, "retry")
    await handle.result()


@pytest.mark.req("W5")
async def test_signals_with_tiny_json_skip_and_set_the_date(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE))
    handle = await shop.start(order(INTERNET))
    await shop.fallout(handle.id.removeprefix("order-"))
    word = {"actor": "ann", "reason": "done by hand"}

    await handle.signal("set_actual_date", {**word, "at": yesterday(shop).isoformat()})
    await handle.signal("set_actual_date", {**word, "at": "2100-01-01T00:00:00Z"})
    assert f"done since {yesterday(shop):%Y-%m-%d %H:%M} UTC" in await shop.details(handle)
    await handle.signal("skip", word)

    await handle.result()
    assert shop.one("SELECT purchase_start FROM billing.purchases") == yesterday(shop)
    closed = shop.rows("SELECT decision, actor, reason FROM orderloom.fallouts")
    assert closed == [{"decision": "skip", "actor": "ann", "reason": "done by hand"}]


async def test_a_skip_by_signal_takes_its_date_along_and_leaves_alone_what_may_not_be_skipped(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, match='"INTERNET"'))
    shop.inventory.switches.set("reserve", Switch(mode=Mode.REFUSE, remaining=1, code="NUMBER_TAKEN"))
    handle = await shop.start(order(WIRELESS, INTERNET))
    await shop.until(lambda: shop.one("SELECT count(*) FROM orderloom.fallouts WHERE state = 'open'") == 2)
    await handle.signal("skip", {"actor": "ann", "reason": "by hand", "at": yesterday(shop).isoformat()})
    await shop.until(lambda: shop.one("SELECT count(*) FROM orderloom.fallouts WHERE state = 'open'") == 1)
    left = await shop.fallout(handle.id.removeprefix("order-"))
    assert left["step"] == "reserve:1"
    await shop.decide(left, "retry")
    await handle.result()
    assert shop.one("SELECT service_start FROM orderloom.assets WHERE product = 'INTERNET'") == yesterday(shop)
