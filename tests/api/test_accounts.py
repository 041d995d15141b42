"""Accounts, and what a customer has: the service profile and the other views of the same assets."""

from typing import Any

import pytest

from tests.api.conftest import Served
from tests.api.test_orders import BUNDLE, LINES, an_order

VIEWS = ("service-profile", "installed-assets", "billing-items")


async def test_an_account_is_opened_and_read_with_the_billing_profiles_it_owns(api: Served):
    opened = await api.http.post(
        "/v1/accounts", json={"id": "NEW", "name": "New", "class": "billing", "parent": "ACME"}
    )
    added = await api.http.post("/v1/accounts/NEW/billing-profiles", json={"id": "NEW-BP"})

    assert (opened.status_code, opened.headers["location"]) == (201, "/v1/accounts/NEW")
    assert (added.status_code, added.json()) == (201, {"id": "NEW-BP", "account": "NEW"})
    assert await api.read("/v1/accounts/NEW") == {
        "id": "NEW", "name": "New", "class": "billing", "parent": "ACME", "billing_profiles": ["NEW-BP"],
    }  # fmt: skip


async def test_what_is_taken_missing_or_its_own_parent_is_refused_and_changes_nothing(api: Served):
    before = api.written()
    customer = {"name": "X", "class": "customer"}
    for path, body, status in (
        ("/v1/accounts", {"id": "ACME", **customer}, 409),
        ("/v1/accounts", {"id": "LOOP", **customer, "parent": "LOOP"}, 422),
        ("/v1/accounts", {"id": "ORPHAN", **customer, "parent": "NOBODY"}, 422),
        ("/v1/accounts/NOBODY/billing-profiles", {"id": "NOBODY-BP"}, 404),
        ("/v1/accounts/OTHER/billing-profiles", {"id": "ACME-BP"}, 409),
    ):
        answer = await api.http.post(path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
    assert api.written() == before


@pytest.mark.req("A06", "A16")
async def test_an_account_without_assets_has_empty_views_not_missing_ones(api: Served):
    for view in VIEWS:
        answer = await api.http.get(f"/v1/accounts/OTHER/{view}")
        assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})
        assert answer.headers["x-total-count"] == "0"
    portal = await api.read("/v1/accounts/OTHER/customer-portal")
    assert portal.keys() == {"account", "service_items", "billing_items", "quotes", "orders", "trouble_tickets"}
    assert portal["account"]["id"] == "OTHER"
    assert [portal[x] for x in portal if x != "account"] == [[], [], [], [], []]


async def test_nobody_has_no_views(api: Served):
    for view in (*VIEWS, "customer-portal"):
        assert (await api.http.get(f"/v1/accounts/NOBODY/{view}")).status_code == 404


@pytest.fixture
async def installed(fresh_api: Served) -> tuple[Served, dict[str, Any]]:
    """A house in which ACME has a wireless bundle."""
    return fresh_api, await fresh_api.in_state(await fresh_api.submit(an_order()), "completed")


@pytest.mark.req("A01", "A04", "A06", "A12")
async def test_the_service_profile_and_the_two_lists_are_views_of_the_same_assets(
    installed: tuple[Served, dict[str, Any]],
):
    api, order = installed
    profile, everything, billed = [(await api.read(f"/v1/accounts/ACME/{x}"))["items"] for x in VIEWS]

    assert {x["id"] for x in profile} == {x["asset"] for x in order["lines"]}
    assert profile == everything
    case = next(x for x in everything if x["product"] == "CASE")
    assert billed == [x for x in everything if x["id"] != case["id"]]
    assert (await api.read("/v1/accounts/OTHER/service-profile"))["items"] == []
    assert {x["asset_id"] == x["id"] and tuple(x["pending_changes"]) for x in profile} == {()}


@pytest.mark.req("A01")
async def test_the_profile_of_a_service_account_is_what_serves_it(installed: tuple[Served, dict[str, Any]]):
    api, order = installed

    items = (await api.read("/v1/accounts/ACME-SA/service-profile"))["items"]

    assert {x["id"] for x in items} == {x["asset"] for x in order["lines"]}
    assert (await api.read("/v1/accounts/ACME-BA/service-profile"))["items"] == []


@pytest.mark.req("A01", "A14")
async def test_active_and_suspended_assets_are_in_the_profile_and_inactive_ones_are_not(
    installed: tuple[Served, dict[str, Any]],
):
    api, order = installed
    assets = {x["product"]: x["asset"] for x in order["lines"]}
    for product, status in (("CASE", "inactive"), ("PLAN", "suspended")):
        with api.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE orderloom.assets SET status = %(status)s WHERE id = %(id)s",
                {"status": status, "id": assets[product]},
            )

    items = (await api.read("/v1/accounts/ACME/service-profile"))["items"]

    assert {x["product"]: x["status"] for x in items} == {x: "active" for x in assets if x not in ("CASE", "PLAN")} | {
        "PLAN": "suspended"
    }


async def test_a_long_profile_is_read_page_by_page(installed: tuple[Served, dict[str, Any]]):
    api, _ = installed
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await api.http.get("/v1/accounts/ACME/service-profile", params={"limit": 3, "cursor": cursor})
        assert answer.headers["x-total-count"] == "7"
        seen += [x["id"] for x in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
    assert (len(seen), len(set(seen))) == (7, 7)


@pytest.mark.req("A02", "A09", "A16")
async def test_what_is_ordered_is_no_asset_before_it_is_completed(fresh_api: Served):
    api = fresh_api
    order = await api.in_state(await api.submit(an_order(requested_start="2199-01-01T00:00:00Z")), "pending")

    portal = await api.read("/v1/accounts/ACME/customer-portal")

    assert (await api.read("/v1/accounts/ACME/service-profile"))["items"] == []
    assert {x["asset"] for x in order["lines"]} == {None}
    assert [(x["line"], x["stage"], x["asset"]) for x in portal["service_items"]] == [
        (x, "ordered", None) for x in LINES
    ]
    assert [x["id"] for x in portal["orders"]] == [order["id"]]
    assert portal["billing_items"] == []


@pytest.mark.req("A09", "A16")
async def test_the_portal_shows_what_is_provisioned_with_its_asset(installed: tuple[Served, dict[str, Any]]):
    api, order = installed

    portal = await api.read("/v1/accounts/ACME/customer-portal")

    shown = {(x["product"], x["stage"], x["asset"]) for x in portal["service_items"]}
    assert shown == {(x["product"], "provisioned", x["asset"]) for x in order["lines"]}
    assert {x["status"] for x in portal["service_items"]} == {"active"}
    assert len(portal["billing_items"]) == 6
    assert portal["quotes"] == portal["trouble_tickets"] == []


@pytest.mark.req("A17")
async def test_an_asset_is_read_with_its_billing_ids_its_orders_and_the_assets_below_it(
    installed: tuple[Served, dict[str, Any]],
):
    api, order = installed
    lines = {x["id"]: x for x in order["lines"]}

    asset = await api.read(f"/v1/assets/{lines['1']['asset']}")

    assert (asset["product"], asset["status"], asset["service_id"]) == ("WIRELESS", "active", "+1-555-0100")
    assert asset["attributes"] == BUNDLE["attributes"]
    assert [(x["kind"], x["billing_id"]) for x in asset["billing"]] == [
        ("service_instance", lines["1"]["billing"]["service_instance"])
    ]
    assert [(x["order"], x["line"], x["action"], x["state"]) for x in asset["order_history"]] == [
        (order["id"], "1", "add", "completed")
    ]
    assert asset["contracts"] == []
    below = {x["product"]: x for x in asset["children"]}
    assert below.keys() == {"PLAN", "TEXTING", "CASE", "PHONE"}
    assert [x["product"] for x in below["PLAN"]["children"]] == ["MINUTES"]
    assert [(x["kind"], x["billing_id"]) for x in below["PLAN"]["billing"]] == [
        ("purchased_product", lines["1.1"]["billing"]["purchased_product"])
    ]

    alone = await api.read(f"/v1/assets/{lines['1.2']['asset']}")
    assert alone["parent"] == alone["root"] == asset["id"]
    assert [x["product"] for x in alone["children"]] == ["TEXT-BASIC"]


async def test_an_asset_that_does_not_exist_is_not_found(api: Served):
    answer = await api.http.get("/v1/assets/00000000-0000-0000-0000-000000000000")
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such asset.")


@pytest.mark.req("A03")
async def test_what_is_not_tracked_is_provisioned_without_becoming_an_asset(fresh_api: Served):
    from tests import builders  # noqa: PLC0415

    api = fresh_api
    api.shop.publish(*builders.WIRELESS, builders.unbilled("FEE-ONCE", track_as_asset=False))
    line = {**BUNDLE, "product": "FEE-ONCE", "lines": []}
    order = await api.in_state(await api.submit(an_order(lines=[line])), "completed")

    portal = await api.read("/v1/accounts/ACME/customer-portal")

    assert order["lines"][0]["asset"] is None
    assert (await api.read("/v1/accounts/ACME/installed-assets"))["items"] == []
    assert [(x["product"], x["stage"]) for x in portal["service_items"]] == [("FEE-ONCE", "provisioned")]
