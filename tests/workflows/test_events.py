"""An order's own log: for golden orders exactly these events, none missing and none besides (I26)."""

from typing import Any

import pytest

from adapters.switches import Mode, Switch
from tests.builders import line, order
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, WIRELESS


async def held(shop: Shop, order_id: str) -> dict[str, Any]:
    """The fallout for which the order is held by now: who decides sooner has one event less."""
    fallout = await shop.fallout(order_id)
    await shop.until(lambda: shop.state(order_id) == "held")
    return fallout


def told(shop: Shop, order_id: str) -> list[str]:
    """The events of an order in order: what happened, and to which step."""
    sql = "SELECT type, body ->> 'step' AS step FROM orderloom.order_events WHERE order_id = :o ORDER BY seq"
    return [" ".join(filter(None, (x["type"], x["step"]))) for x in shop.rows(sql, o=order_id)]


BEGINNING = ["acknowledged", "inProgress", "step_done sync_customer:ACME-BA"]
GOLDEN = {
    "internet": (
        order(INTERNET),
        [
            *BEGINNING,
            "step_done initiate_billing:1",
            "step_done provision:1",
            "step_done fulfill_billing:1",
            "assets_installed asset:1",
            "completed",
        ],
    ),
    "wireless": (
        order(WIRELESS),
        [
            *BEGINNING,
            "step_done reserve:1",
            "step_done initiate_billing:1",
            "step_done provision:1",
            "step_done provision:1.5",
            "step_done fulfill_billing:1",
            "step_done fulfill_billing:1.5",
            "step_done commit:1",
            "assets_installed asset:1",
            "completed",
        ],
    ),
    "phone": (
        order(line("WIRELESS", line("RATE"), line("PHONE"))),
        [
            *BEGINNING,
            "step_done reserve:1",
            "step_done initiate_billing:1",
            "step_done deliver:1.2",
            "step_done purchase:1.2",
            "step_done provision:1",
            "step_done fulfill_billing:1",
            "step_done commit:1",
            "assets_installed asset:1",
            "completed",
        ],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
async def test_an_orders_log_has_exactly_what_happened(shop: Shop, name: str) -> None:
    wanted, events = GOLDEN[name]
    found = told(shop, await shop.fulfil(wanted))
    assert sorted(found) == sorted(events)  # what goes side by side is told in either order
    assert (found[:2], found[-2:]) == (events[:2], events[-2:])


async def test_the_log_of_a_refused_and_retried_order_has_exactly_what_happened(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(order(INTERNET))
    order_id = handle.id.removeprefix("order-")
    await shop.decide(await held(shop, order_id), "retry")
    await handle.result()
    before, after = GOLDEN["internet"][1][:4], GOLDEN["internet"][1][4:]
    fallout = ["fallout_opened provision:1", "held", "fallout_closed provision:1", "inProgress"]
    assert sorted(told(shop, order_id)) == sorted([*before, *fallout, *after])


async def test_the_log_of_an_order_that_is_given_up_has_exactly_what_happened(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(order(INTERNET))
    order_id = handle.id.removeprefix("order-")
    await shop.decide(await held(shop, order_id), "abort")
    await handle.result()
    fallout = ["fallout_opened provision:1", "held", "fallout_closed provision:1", "inProgress"]
    ending = ["step_undone provision:1", "step_undone initiate_billing:1", "bundle_ended", "failed"]
    assert sorted(told(shop, order_id)) == sorted([*GOLDEN["internet"][1][:4], *fallout, *ending])
