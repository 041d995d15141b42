"""Orders that somebody approves or rejects before anything is done for them."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.approval import Approval
from domain.order import Order
from domain.progress import Cancellation
from tests.builders import order
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, WIRELESS
from workflows import search_attributes
from workflows.start import Declined, approve, cancel

WHY = "line 1: INTERNET for 1.00 USD: 90 % below the catalog's 10.00, 20 % are free."


async def waiting(shop: Shop, asked: Order | None = None) -> tuple[Any, str]:
    handle = await shop.start(asked or order(INTERNET), approvals=(WHY,))
    identity = handle.id.removeprefix("order-")
    await shop.until(lambda: shop.state(identity) == "pending")
    return handle, identity


def said(decision: str, actor: str = "ann", reason: str = "a good customer") -> Approval:
    return Approval(decision=decision, actor=actor, reason=reason)


@pytest.mark.req("F31")
async def test_an_order_waits_pending_with_the_reason_until_it_is_approved_and_goes_on(shop: Shop) -> None:
    handle, identity = await waiting(shop)
    assert shop.one("SELECT reason FROM orderloom.orders") == f"approval: {WHY}"
    assert set(shop.line_states(identity).values()) == {"pending"}
    assert shop.steps(identity) == {}

    assert await approve(shop.client, identity, said("approve")) == "pending"

    await handle.result()
    assert shop.state(identity) == "completed"
    events = shop.rows("SELECT type, body FROM orderloom.order_events ORDER BY seq")
    assert [x["type"] for x in events][:4] == ["acknowledged", "pending", "approved", "inProgress"]
    assert (events[2]["body"]["actor"], events[2]["body"]["reason"]) == ("ann", "a good customer")
    audited = shop.rows("SELECT actor, decision, reason FROM orderloom.audit WHERE action = 'order.approve'")
    assert audited == [{"actor": "ann", "decision": "approved", "reason": "a good customer"}]


@pytest.mark.req("F31")
async def test_a_rejected_order_ends_rejected_with_the_reason_and_nothing_was_done_for_it(shop: Shop) -> None:
    handle, identity = await waiting(shop, order(WIRELESS))
    assert await approve(shop.client, identity, said("reject", reason="too cheap")) == "rejected"
    await handle.result()
    assert shop.state(identity) == "rejected"
    assert shop.one("SELECT reason FROM orderloom.orders") == "rejected by ann: too cheap"
    assert set(shop.line_states(identity).values()) == {"rejected"}
    assert shop.one("SELECT count(*) FROM inventory.calls") == 0
    assert shop.one("SELECT completed_at IS NOT NULL FROM orderloom.orders")


@pytest.mark.req("F31", "W5")
async def test_the_temporal_ui_shows_what_is_to_be_approved_and_what_to_send(shop: Shop) -> None:
    handle, identity = await waiting(shop)
    found = await shop.shown(handle, state="pending", attention=True)
    assert found.get(search_attributes.ERROR) == f"approval: {WHY}"
    text = await shop.details(handle)
    assert WHY in text
    to_send = json.loads(text.split("```json")[1].split("```")[0])
    assert await handle.execute_update("approval", to_send) == "pending"
    await handle.result()
    assert (await shop.shown(handle, state="completed")).get(search_attributes.ATTENTION) is False
    assert shop.state(identity) == "completed"


async def test_a_future_dated_order_is_approved_before_it_waits_for_its_start(shop: Shop) -> None:
    start = shop.now() + timedelta(seconds=2)
    handle, identity = await waiting(shop, order(INTERNET, requested_start=start))
    await approve(shop.client, identity, said("approve"))
    assert shop.one("SELECT reason FROM orderloom.orders") == "requested start"
    await handle.result()
    assert shop.state(identity) == "completed"
    assert shop.one("SELECT min(started_at) FROM orderloom.plan_items") >= start


@pytest.mark.parametrize(("signal", "ends"), [("approve", "completed"), ("reject", "rejected")])
async def test_signals_serve_batches(shop: Shop, signal: str, ends: str) -> None:
    handle, identity = await waiting(shop)
    await handle.signal(signal, {"actor": "ann", "reason": "campaign"})
    await handle.result()
    assert shop.state(identity) == ends


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (said("perhaps"), "NOT_ALLOWED"),
        (said("approve", actor=" "), "NO_REASON"),
        (said("reject", reason=""), "NO_REASON"),
    ],
)
async def test_a_verdict_that_makes_no_sense_is_refused_and_the_order_waits_on(
    shop: Shop, given: Approval, code: str
) -> None:
    handle, identity = await waiting(shop)
    with pytest.raises(Declined) as refused:
        await approve(shop.client, identity, given)
    assert refused.value.code == code
    await handle.signal("approve", {"actor": "", "reason": ""})
    assert shop.state(identity) == "pending"
    await approve(shop.client, identity, said("reject"))
    await handle.result()


async def test_an_order_that_needs_no_approval_takes_no_verdict(shop: Shop) -> None:
    handle = await shop.start(order(INTERNET, requested_start=shop.now() + timedelta(seconds=1)))
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("approval", said("reject"))
    await handle.signal("reject", said("reject"))
    await handle.result()
    assert shop.state(handle.id.removeprefix("order-")) == "completed"


async def test_an_order_can_be_cancelled_while_it_waits_and_takes_no_verdict_then(shop: Shop) -> None:
    handle, identity = await waiting(shop)
    wish = Cancellation(actor="ann", reason="changed my mind")
    assert await cancel(shop.client, identity, wish) in ("pendingCancellation", "cancelled")
    await handle.result()
    assert shop.state(identity) == "cancelled"
    assert set(shop.line_states(identity).values()) == {"cancelled"}
    with pytest.raises(Declined):
        await approve(shop.client, identity, said("approve"))


async def test_of_a_verdict_and_a_cancellation_at_once_each_is_answered_truly(shop: Shop) -> None:
    handle, identity = await waiting(shop)
    wish = Cancellation(actor="ann", reason="changed my mind")
    verdict, cancelled = await asyncio.gather(
        approve(shop.client, identity, said("approve")), cancel(shop.client, identity, wish), return_exceptions=True
    )
    await handle.result()
    ended = shop.state(identity)
    assert ended == ("cancelled" if isinstance(cancelled, str) else "completed")
    assert isinstance(verdict, Declined) or verdict == "pending"
    assert len(shop.rows("SELECT 1 FROM orderloom.order_events WHERE type = 'approved'")) == isinstance(verdict, str)
