"""Orders with prices of their own, and the verdict on those that wait for one, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client

from domain.money import Money
from tests import builders
from tests.api.conftest import Served, open_api
from tests.api.test_fallouts import forgotten
from tests.api.test_orders import BUNDLE, an_order
from tests.conftest import Database

PLAN = builders.subscription("PLAN", "MINUTES", price=Money(3_000, "USD"), approval_above_percent=20)
_REASON = "SELECT reason FROM orderloom.orders WHERE id = :o"
_REVISION = "SELECT revision FROM orderloom.orders WHERE id = :o"
CATALOG = {**builders.WIRELESS.products, "PLAN": PLAN}


@pytest.fixture(scope="module")
async def shop(module_database: Database, temporal_client: Client) -> AsyncIterator[Served]:
    async with open_api(module_database, temporal_client) as served:
        served.shop.publish(*CATALOG.values())
        yield served


def priced(amount: str, currency: str = "USD") -> dict[str, Any]:
    plan, *others = BUNDLE["lines"]
    return an_order(lines=[{**BUNDLE, "lines": [{**plan, "price": {"amount": amount, "currency": currency}}, *others]}])


async def say(api: Served, order: dict[str, Any], decision: str) -> tuple[int, Any]:
    body = {"decision": decision, "reason": "A customer of ten years.", "actor": "ann"}
    answer = await api.http.post(f"/v1/orders/{order['id']}/approval", json=body)
    return answer.status_code, answer.json()


@pytest.mark.req("F31")
async def test_a_price_too_far_below_the_catalogs_waits_for_approval_and_is_billed_once_approved(shop: Served):
    preview = (await shop.http.post("/v1/orders/preview", json=priced("15.00"))).json()
    assert [(x["code"], x["rule"], x["line"]) for x in preview["warnings"]] == [("APPROVAL_PRICE", "F31", "1.1")]

    order = await shop.in_state(await shop.submit(priced("15.00")), "pending")
    assert order["reason"] == ("approval: line 1.1: PLAN for 15.00 USD: 50 % below the catalog's 30.00, 20 % are free.")
    assert await say(shop, order, "approve") == (
        200, {"order": order["id"], "decision": "approve", "state": "pending"},
    )  # fmt: skip
    done = await shop.in_state(order, "completed")
    assert done["reason"] is None
    prices = shop.shop.rows("SELECT price_minor FROM billing.purchases WHERE product = 'PLAN'")
    assert prices == [{"price_minor": 1_500}]
    status, problem = await say(shop, order, "approve")
    assert (status, problem["title"]) == (409, "Not waiting")


@pytest.mark.req("F31")
async def test_a_rejected_order_ends_with_the_reason(shop: Served):
    order = await shop.in_state(await shop.submit(priced("1.00")), "pending")
    assert (await say(shop, order, "reject"))[1]["state"] == "rejected"
    ended = await shop.in_state(order, "rejected")
    assert ended["reason"] == "rejected by ann: A customer of ten years."
    assert {x["state"] for x in ended["lines"]} == {"rejected"}


@pytest.mark.req("F31")
async def test_a_revision_that_leaves_nothing_to_approve_lets_the_order_go_on(shop: Served):
    order = await shop.in_state(await shop.submit(priced("15.00")), "pending")
    revised = await shop.http.post(f"/v1/orders/{order['id']}/revisions", json=priced("27.00"))
    assert revised.status_code == 202, revised.text
    await shop.in_state(order, "completed")
    events = [x["type"] for x in (await shop.read(f"/v1/orders/{order['id']}/events"))["items"]]
    assert "approved" not in events

    later = {"requested_start": "2100-01-01T00:00:00Z"}
    order = await shop.in_state(await shop.submit(priced("15.00") | later), "pending")
    assert order["reason"].startswith("approval: ")
    await shop.http.post(f"/v1/orders/{order['id']}/revisions", json=priced("27.00") | later)
    await shop.shop.until(lambda: shop.shop.one(_REASON, o=order["id"]) == "requested start")
    assert (await say(shop, order, "reject"))[1]["title"] == "Not waiting"
    await shop.http.post(f"/v1/orders/{order['id']}/cancellation")
    await shop.in_state(order, "cancelled")


@pytest.mark.req("F31")
async def test_what_an_order_waits_for_follows_its_revision(shop: Served):
    """What is approved then is what the reason says."""
    order = await shop.in_state(await shop.submit(priced("15.00")), "pending")
    plan = {**BUNDLE["lines"][0], "id": "2.1", "price": {"amount": "15.00", "currency": "USD"}}
    first = priced("15.00")
    both = an_order(lines=[*first["lines"], {**BUNDLE, "id": "2", "service_id": None, "lines": [plan | {"lines": []}]}])
    refused = await shop.http.post(f"/v1/orders/{order['id']}/revisions", json=both)
    assert [x["line"] for x in refused.json()["violations"]] == ["2.1"]
    await shop.http.post(f"/v1/orders/{order['id']}/revisions", json=priced("15.00") | {"priority": 1})
    await shop.shop.until(lambda: shop.shop.one(_REVISION, o=order["id"]) == 1)
    assert (await shop.read(f"/v1/orders/{order['id']}"))["reason"] == order["reason"]
    await say(shop, order, "approve")
    await shop.in_state(order, "completed")


@pytest.mark.req("F31")
async def test_a_price_within_what_is_free_goes_on_at_once(shop: Served):
    order = await shop.submit(priced("25.00"))
    await shop.in_state(order, "completed")
    types = [x["type"] for x in (await shop.read(f"/v1/orders/{order['id']}/events"))["items"]]
    assert types[:2] == ["acknowledged", "inProgress"]


@pytest.mark.req("F31")
async def test_a_product_can_need_approval_whatever_it_costs(fresh_api: Served):
    watched = {**builders.WIRELESS.products, "CASE": builders.unbilled("CASE", needs_approval=True)}
    fresh_api.shop.publish(*watched.values())
    order = await fresh_api.in_state(await fresh_api.submit(an_order()), "pending")
    assert order["reason"] == "approval: line 1.3: CASE is approved before it is carried out."
    assert (await say(fresh_api, order, "approve"))[0] == 200
    await fresh_api.in_state(order, "completed")


@pytest.mark.parametrize(("amount", "currency"), [("1.00", "EUR"), ("-1.00", "USD"), ("1.001", "USD"), ("1.5", "JPY")])
async def test_a_price_that_cannot_be_is_refused_and_stores_nothing(shop: Served, amount: str, currency: str):
    before = shop.written()
    answer = await shop.http.post("/v1/orders", json=priced(amount, currency))
    assert answer.status_code == 422
    assert [(x["code"], x["line"], x["field"]) for x in answer.json()["violations"]] == [("PRICE", "1.1", "price")]
    assert shop.written() == before


async def test_what_was_approved_is_approved_though_temporal_has_lost_the_orders_run(shop: Served):
    later = {**priced("15.00"), "requested_start": "2199-01-01T00:00:00Z"}
    order = await shop.in_state(await shop.submit(later), "pending")
    await say(shop, order, "approve")
    gone = await forgotten(shop, order)
    decision = {"decision": "retry", "reason": "Go on.", "actor": "ann"}

    assert (await shop.http.post(f"/v1/fallouts/{gone}/resolution", json=decision)).status_code == 200

    status, problem = await say(shop, order, "reject")
    assert (status, problem["title"]) == (409, "Not waiting")
    cancelled = await shop.http.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": "No more."})
    assert (cancelled.status_code, (await shop.in_state(order, "cancelled"))["state"]) == (200, "cancelled")


async def test_an_order_that_does_not_exist_takes_no_verdict(shop: Served):
    assert (await say(shop, {"id": "00000000-0000-0000-0000-000000000000"}, "approve"))[0] == 404
