"""Changes of what is installed: on their day, one at a time, each on what the asset is by then (2.2, C35)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowHandle

from activities.messages import EndingsSeen
from domain.order import Action
from models import submissions
from models.submissions import Submitted
from tests.builders import ACCOUNTS, Line, line, order, raw
from tests.shop import Shop, hasty
from workflows.messages import OrderRun


def about(asset: dict[str, Any], action: Action, **fields: Any) -> Line:  # noqa: ANN401
    """A line about an asset; what is given beside is what an update changes."""
    changes = tuple(x for x in fields if x != "due_date") if action is Action.UPDATE else None
    return line("", asset=asset["id"], action=action, changes=changes, **fields)


async def a_gift(shop: Shop) -> dict[str, Any]:
    """Something that is neither run nor billed."""
    return shop.asset(await shop.fulfil(order(line("GIFT"))))


async def two_changes(shop: Shop, asked: Line, then: Line) -> tuple[Submitted, Submitted, WorkflowHandle[Any, Any]]:
    """Two orders about one asset; the second one's run has begun, and waits for its turn."""
    first, second = shop.change(raw(asked)), shop.change(raw(then))
    later = await shop.run(second)
    await shop.until(lambda: shop.state(second.id) == "pending")
    return first, second, later


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def status(shop: Shop, asset: dict[str, Any]) -> str:
    return str(shop.one("SELECT status FROM orderloom.assets WHERE id = :a", a=asset["id"]))


@pytest.mark.req("A19", "A20", "C22")
async def test_an_asset_goes_through_its_life(shop: Shop):
    gift = await a_gift(shop)
    for action, expected in (
        (Action.SUSPEND, "suspended"),
        (Action.RESUME, "active"),
        (Action.SUSPEND, "suspended"),
        (Action.DELETE, "inactive"),
    ):
        id_ = await shop.changed(raw(about(gift, action)))
        assert status(shop, gift) == expected
        assert shop.state(id_) == "completed"
        assert shop.steps(id_) == {"claim:1": "done", "asset:1": "done"}
    assert shop.one("SELECT service_end FROM orderloom.assets WHERE id = :a", a=gift["id"]) is not None
    assert shop.rows("SELECT FROM orderloom.asset_claims") == []
    await shop.is_sound()


@pytest.mark.req("C23")
async def test_an_update_changes_what_it_says_and_leaves_the_rest(shop: Shop):
    gift = await a_gift(shop)
    ends = datetime(2027, 1, 1, tzinfo=UTC)
    await shop.changed(raw(about(gift, Action.UPDATE, attributes={"colour": "red"}, service_end=ends.date())))
    await shop.changed(raw(about(gift, Action.UPDATE, attributes={"size": 3}, service_point="SP-1")))
    (now,) = shop.rows("SELECT * FROM orderloom.assets WHERE id = :a", a=gift["id"])
    assert now["attributes"] == {"colour": "red", "size": 3}
    assert (now["service_end"], now["service_point"], now["status"]) == (ends, "SP-1", "active")
    assert now["billing_account"] == ACCOUNTS["billing_account"]


@pytest.mark.req("C35")
async def test_two_changes_of_one_asset_go_one_after_the_other(shop: Shop):
    """The first one is held back by a person; the second waits its turn, and is told when it has come."""
    gift = await a_gift(shop)
    first, second, later = await two_changes(shop, about(gift, Action.SUSPEND), about(gift, Action.RESUME))
    assert await reason(shop, second.id) == f"asset_busy: order {first.number}"
    assert status(shop, gift) == "active"

    await asyncio.wait_for((await shop.run(first)).result(), timeout=30)
    await asyncio.wait_for(later.result(), timeout=30)
    assert (shop.state(first.id), shop.state(second.id)) == ("completed", "completed")
    assert status(shop, gift) == "active"
    await shop.is_sound()


async def reason(shop: Shop, id_: str) -> Any:  # noqa: ANN401
    return shop.one("SELECT reason FROM orderloom.orders WHERE id = :o", o=id_)


@pytest.mark.req("C35", "A19")
async def test_changes_in_one_order_wait_for_their_days(shop: Shop):
    """A holiday: suspended on one day, resumed on another, by one order that waits on durable timers."""
    gift = await a_gift(shop)
    stored = shop.change(raw(about(gift, Action.SUSPEND), about(gift, Action.RESUME), requested_start=soon(3)))
    handle = await shop.run(stored)
    await shop.until(lambda: shop.state(stored.id) == "pending")
    assert status(shop, gift) == "active"
    await asyncio.wait_for(handle.result(), timeout=30)
    assert shop.state(stored.id) == "completed"
    assert status(shop, gift) == "active"
    changes = shop.rows(
        "SELECT at FROM orderloom.order_events WHERE order_id = :o AND type = 'assets_installed'", o=stored.id
    )
    assert len(changes) == 2
    await shop.is_sound()


@pytest.mark.req("A19")
async def test_what_is_not_lawful_any_more_when_its_turn_comes_is_a_persons_to_decide(shop: Shop):
    gift = await a_gift(shop)
    first, second, later = await two_changes(shop, about(gift, Action.SUSPEND), about(gift, Action.RESUME))
    await shop.run(first, approvals=("somebody has to see this",))
    await shop.until(lambda: shop.state(first.id) == "pending")
    await shop.cancel(first.id)
    await later.signal("asset_free")
    fallout = await shop.fallout(second.id)
    assert (fallout["code"], fallout["type"]) == ("ASSET_STATE", "System")
    assert "does not allow this action" in fallout["message"]
    await shop.decide(fallout, "abort")
    await asyncio.wait_for(later.result(), timeout=30)
    assert shop.state(second.id) == "failed"
    await shop.is_sound()


@pytest.mark.req("C35")
async def test_an_order_that_waits_for_its_turn_can_be_cancelled(shop: Shop):
    gift = await a_gift(shop)
    first, second, later = await two_changes(shop, about(gift, Action.SUSPEND), about(gift, Action.RESUME))
    assert await shop.cancel(second.id) == "pendingCancellation"
    await asyncio.wait_for(later.result(), timeout=30)
    await asyncio.wait_for((await shop.run(first)).result(), timeout=30)
    assert (shop.state(second.id), status(shop, gift)) == ("cancelled", "suspended")
    await shop.is_sound()


@pytest.mark.req("C35", "W1")
@pytest.mark.parametrize("its_turn", ["has come", "comes"])
async def test_a_run_that_has_forgotten_that_its_order_waits_for_its_turn_goes_on(shop: Shop, its_turn: str):
    gift = await a_gift(shop)
    first = shop.change(raw(about(gift, Action.SUSPEND)))
    second = shop.change(raw(about(gift, Action.RESUME)))
    handle = await shop.run(second)
    await shop.until(lambda: shop.state(second.id) == "pending")
    await handle.terminate("as if nothing of it had come on record")
    if its_turn == "has come":
        await asyncio.wait_for((await shop.run(first)).result(), timeout=30)
    run = OrderRun(order=second.id, number=second.number, account="ACME", title="GIFT", patience=hasty())
    again = await shop.client.start_workflow("Order", run, id=handle.id, task_queue=shop.task_queue)
    if its_turn == "comes":
        await asyncio.wait_for((await shop.run(first)).result(), timeout=30)
    await asyncio.wait_for(again.result(), timeout=30)
    assert (shop.state(second.id), status(shop, gift)) == ("completed", "active")
    await shop.is_sound()


@pytest.mark.req("C35")
async def test_an_order_that_is_called_off_before_it_begins_lets_the_next_one_go(shop: Shop):
    gift = await a_gift(shop)
    red = about(gift, Action.UPDATE, attributes={"colour": "red"})
    first, second, later = await two_changes(shop, red, about(gift, Action.SUSPEND))
    await shop.run(first, approvals=("somebody has to see this",))
    await shop.until(lambda: shop.state(first.id) == "pending")
    await shop.cancel(first.id)
    await asyncio.wait_for(later.result(), timeout=30)
    assert (shop.state(first.id), shop.state(second.id), status(shop, gift)) == ("cancelled", "completed", "suspended")


@pytest.mark.req("C35", "B57")
async def test_a_change_that_waits_for_its_day_is_carried_out_today_after_all(shop: Shop):
    gift = await a_gift(shop)
    stored = shop.change(raw(about(gift, Action.SUSPEND, due_date=soon(40 * 86_400).date())))
    handle = await shop.run(stored)
    await shop.until(lambda: shop.state(stored.id) == "pending")
    await shop.revise(stored.id, raw(about(gift, Action.SUSPEND, due_date=soon(0).date())))
    await asyncio.wait_for(handle.result(), timeout=30)
    assert (shop.state(stored.id), status(shop, gift)) == ("completed", "suspended")
    await shop.is_sound()


@pytest.mark.req("A20", "C35")
async def test_what_should_have_ended_by_then_and_has_not_is_not_left_behind(shop: Shop):
    """The suspension was ordered for a moment when the part would have ended; it runs still, and a person is asked."""
    wireless = shop.asset(await shop.fulfil(order(line("WIRELESS", line("RATE"), line("SMS", line("SMS-BASIC"))))))
    with shop.engine.begin() as connection:
        ends = text("UPDATE orderloom.assets SET service_end = now() + interval '1 second' WHERE product = 'SMS'")
        connection.execute(ends)
    stored = shop.change(raw(about(wireless, Action.SUSPEND), requested_start=soon(2)))
    assert {x.product for x in stored.order.lines} == {"WIRELESS", "RATE"}
    handle = await shop.run(stored)
    fallout = await shop.fallout(stored.id)
    assert "A SMS is part of it, and was not to be by now" in fallout["message"]
    await shop.revise(stored.id, raw(about(wireless, Action.SUSPEND), requested_start=stored.order.requested_start))
    await shop.decide(fallout, "retry")
    await asyncio.wait_for(handle.result(), timeout=30)
    assert await ended(shop) == EndingsSeen(ended=1)
    (id_,) = shop.rows("SELECT CAST(id AS text) AS id FROM orderloom.orders WHERE state = 'acknowledged'")
    await asyncio.wait_for((await shop.run(submissions.submitted(shop.engine, id_["id"]))).result(), timeout=30)
    states = shop.rows("SELECT product, status FROM orderloom.assets ORDER BY product")
    assert {x["product"]: x["status"] for x in states} == {
        "RATE": "suspended", "SMS": "inactive", "SMS-BASIC": "inactive", "WIRELESS": "suspended",
    }  # fmt: skip
    await shop.is_sound()


async def ended(shop: Shop) -> EndingsSeen:
    seen: EndingsSeen = await shop.client.execute_workflow(
        "ServiceEnds", id=f"ends-{uuid4()}", task_queue=shop.task_queue, result_type=EndingsSeen
    )
    return seen


@pytest.mark.req("C06")
async def test_what_reaches_its_end_with_no_order_ends_by_itself(shop: Shop):
    gift, other = await a_gift(shop), await a_gift(shop)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for asset, ends in ((gift, today), (other, today + timedelta(days=1))):
        await shop.changed(raw(about(asset, Action.UPDATE, service_end=ends.date())))
    assert await ended(shop) == EndingsSeen(ended=1)
    assert await ended(shop) == EndingsSeen(ended=0)
    (id_,) = shop.rows("SELECT CAST(id AS text) AS id FROM orderloom.orders WHERE state = 'acknowledged'")
    await asyncio.wait_for((await shop.run(submissions.submitted(shop.engine, id_["id"]))).result(), timeout=30)
    assert (status(shop, gift), status(shop, other)) == ("inactive", "active")
    assert shop.one("SELECT service_end FROM orderloom.assets WHERE id = :a", a=gift["id"]) == today
    assert shop.one("SELECT actor FROM orderloom.audit WHERE object = :o", o=id_["id"]) == "system"
    await shop.is_sound()


@pytest.mark.req("A03", "B26")
async def test_what_a_change_costs_leaves_no_asset_whatever_its_product_would_leave(shop: Shop) -> None:
    television = shop.asset(await shop.fulfil(order(line("TV"))))
    await shop.changed(raw(line("", asset=television["id"], action=Action.SUSPEND)))
    assert shop.one("SELECT product FROM billing.purchases WHERE product = 'FEE'") == "FEE"
    assert [x["product"] for x in shop.rows("SELECT product FROM orderloom.assets")] == ["TV"]
    await shop.is_sound()
