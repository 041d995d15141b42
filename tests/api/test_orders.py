"""Submitting, previewing and reading orders over HTTP."""

from typing import Any

import pytest

from tests.api.conftest import UI, Served

BUNDLE: dict[str, Any] = {
    "id": "1",
    "action": "add",
    "product": "WIRELESS",
    "service_account": "ACME-SA",
    "billing_account": "ACME-BA",
    "billing_profile": "ACME-BP",
    "service_id": "+1-555-0100",
    "attributes": {"apn": "internet", "roaming": True, "gigabytes": 20, "note": None},
    "lines": [
        {"id": "1.1", "product": "PLAN", "lines": [{"id": "1.1.1", "product": "MINUTES"}]},
        {"id": "1.2", "product": "TEXTING", "lines": [{"id": "1.2.1", "product": "TEXT-BASIC"}]},
        {"id": "1.3", "product": "CASE"},
        {"id": "1.4", "product": "PHONE"},
    ],
}
LINES = ["1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.4"]


def an_order(**fields: object) -> dict[str, Any]:
    return {"account": "ACME", "lines": [BUNDLE], **fields}


def broken() -> dict[str, Any]:
    """An order that breaks five rules on four lines."""
    return an_order(
        lines=[
            {
                **BUNDLE,
                "quantity": 2,
                "lines": [
                    {"id": "1.1", "product": "PLAN", "billing_account": "ACME-SA"},
                    {"id": "1.2", "product": "CASE", "quantity": 0},
                    {"id": "1.3", "product": "NOTHING"},
                ],
            },
            {"id": "2", "product": "CASE"},
        ]
    )


BROKEN = {
    ("SB_QTY", "Q12", "1", "quantity"),
    ("ACCT_MISMATCH", "B22", "1.1", "billing_account"),
    ("QTY", "B47", "1.2", "quantity"),
    ("CATALOG_VERSION", "B01", "1.3", "product"),
    ("ACCT_MISSING", "B23", "2", "billing_account"),
    ("ACCT_MISSING", "B23", "2", "service_account"),
    ("ACCT_MISSING", "B23", "2", "billing_profile"),
}


def places(violations: list[dict[str, str]]) -> set[tuple[str | None, ...]]:
    return {(x["code"], x["rule"], x.get("line"), x.get("field")) for x in violations}


@pytest.mark.req("W4", "W7", "B23")
async def test_an_order_is_acknowledged_with_its_lines_flat_and_their_accounts_filled(api: Served):
    answer = await api.http.post("/v1/orders", json=an_order(external_id="crm-1"))

    assert answer.status_code == 202, answer.text
    order = answer.json()
    assert answer.headers["location"] == f"/v1/orders/{order['id']}"
    assert (order["state"], order["rollup"], order["revision"]) == ("acknowledged", "inProgress", 0)
    assert [x["id"] for x in order["lines"]] == LINES
    assert [x["parent"] for x in order["lines"]] == [None, "1", "1.1", "1", "1.2", "1", "1"]
    assert {x["root"] for x in order["lines"]} == {"1"}
    assert {x["billing_account"] for x in order["lines"]} == {"ACME-BA"}
    assert {(x["state"], x["step"]) for x in order["lines"]} == {("acknowledged", "validate")}


@pytest.mark.req("W7", "A11")
async def test_an_acknowledged_order_runs_to_its_end_by_itself_and_is_read_with_all_that_became_of_it(api: Served):
    order = await api.in_state(await api.submit(an_order()), "completed")

    assert order.keys() == {
        "id", "number", "external_id", "account", "actions", "revision", "state", "reason", "requested_start", "rollup",
        "submitted_at", "completed_at", "lines", "run",
    }  # fmt: skip
    assert order["rollup"] == "completed"
    assert order["completed_at"] >= order["submitted_at"]
    assert order["run"] == {
        "workflow_id": f"order-{order['id']}",
        "run_id": order["run"]["run_id"],
        "status": "completed",
        "temporal_ui": f"{UI}/namespaces/default/workflows/order-{order['id']}/{order['run']['run_id']}/user-metadata",
    }
    lines = {x["id"]: x for x in order["lines"]}
    assert {(x["state"], x["step"], x["fallout"]) for x in lines.values()} == {("completed", None, None)}
    assert all(lines[x]["asset"] for x in LINES)
    assert lines["1"]["actual_delivery_at"]
    assert lines["1"]["billing"]["phase"] == "two"
    assert lines["1"]["billing"]["state"] == "active"
    assert lines["1"]["billing"]["service_instance"]
    assert lines["1"]["billing"]["purchased_product"] is None
    assert lines["1.1"]["billing"]["purchased_product"]
    assert lines["1.1"]["billing"]["service_instance"] == lines["1"]["billing"]["service_instance"]
    assert lines["1.2"]["billing"]["service_instance"] != lines["1"]["billing"]["service_instance"]
    assert lines["1.2.1"]["billing"]["service_instance"] == lines["1.2"]["billing"]["service_instance"]
    assert lines["1.3"]["billing"] is None
    assert lines["1.4"]["billing"]["phase"] == "single"
    assert lines["1.4"]["billing"]["purchased_product"]


@pytest.mark.req("W7")
async def test_an_order_that_breaks_rules_is_refused_with_all_of_them_and_stores_only_an_audit_row(api: Served):
    before, audited = api.written(), api.count("audit")

    answer = await api.http.post("/v1/orders", json=broken(), headers={"Idempotency-Key": "k-broken"})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert places(answer.json()["violations"]) == BROKEN
    assert api.written() == before
    assert api.count("audit") == audited + 1
    row = api.shop.rows("SELECT action, decision, reason FROM orderloom.audit ORDER BY id DESC LIMIT 1")[0]
    assert row == {
        "action": "order.submit",
        "decision": "refused",
        "reason": "ACCT_MISMATCH, ACCT_MISSING, CATALOG_VERSION, QTY, SB_QTY",
    }


async def test_an_order_of_an_account_that_does_not_exist_is_refused(api: Served):
    answer = await api.http.post("/v1/orders", json=an_order(account="NOBODY"))

    assert answer.status_code == 422
    assert ("ACCT_UNKNOWN", "B23", None, "account") in places(answer.json()["violations"])


@pytest.mark.req("B23", "A12")
async def test_another_customers_account_is_refused_in_the_words_for_one_that_does_not_exist(api: Served):
    answers = [
        (await api.http.post("/v1/orders", json=an_order(lines=[{**BUNDLE, "billing_account": account}]))).json()
        for account in ("OTHER", "NOBODY")
    ]
    for answer in answers:
        assert ("ACCT_UNKNOWN", "B23", "1", "billing_account") in places(answer["violations"])
    assert answers[0]["violations"] == answers[1]["violations"]


async def test_two_lines_of_one_id_are_refused(api: Served):
    answer = await api.http.post("/v1/orders", json=an_order(lines=[BUNDLE, {**BUNDLE, "lines": []}]))

    assert answer.status_code == 422
    assert ("STRUCTURE", "B01", "1", "id") in places(answer.json()["violations"])


@pytest.mark.req("B23", "B01", "B22")
async def test_a_preview_shows_lines_plan_calls_and_reservations_and_changes_nothing(api: Served):
    before, audited = api.written(), api.count("audit")

    answer = await api.http.post("/v1/orders/preview", json=an_order())

    assert answer.status_code == 200, answer.text
    preview = answer.json()
    assert (preview["violations"], preview["warnings"]) == ([], [])
    lines = {x["id"]: x for x in preview["lines"]}
    assert {x["billing_profile"] for x in lines.values()} == {"ACME-BP"}
    assert [(lines[x]["kind"], lines[x]["service"]) for x in ("1", "1.1.1", "1.2.1", "1.3")] == [
        ("service_bundle", "1"), ("billing_component", "1"), ("billing_component", "1.2"), ("non_billing", "1"),
    ]  # fmt: skip
    steps = {x["id"]: x for x in preview["plan"]}
    assert {"reserve:1", "initiate_billing:1", "provision:1", "fulfill_billing:1", "deliver:1.4", "asset:1"} <= set(
        steps
    )
    assert "initiate_billing:1" in steps["provision:1"]["depends_on"]
    assert steps["provision:1"]["no_return"]
    calls = [(x["operation"], x["line"], x["service_instance"]) for x in preview["billing"]]
    assert sorted(calls) == [
        ("fulfill_billing", "1", True), ("fulfill_billing", "1.2", True),
        ("initiate_billing", "1", True), ("initiate_billing", "1.2", True), ("purchase", "1.4", False),
    ]  # fmt: skip
    fulfilled = next(x for x in preview["billing"] if (x["operation"], x["line"]) == ("fulfill_billing", "1"))
    assert [(x["line"], x["quantity"]) for x in fulfilled["purchases"]] == [("1.1", 1), ("1.1.1", 1)]
    assert [(x["line"], x["sku"], x["quantity"]) for x in preview["reservations"]] == [("1.4", "PHONE", 1)]
    assert (api.written(), api.count("audit")) == (before, audited)


async def test_a_preview_of_a_broken_order_shows_every_violation_and_no_plan(api: Served):
    answer = await api.http.post("/v1/orders/preview", json=broken())

    assert answer.status_code == 200
    preview = answer.json()
    assert places(preview["violations"]) == BROKEN
    assert (preview["plan"], preview["billing"], preview["reservations"]) == ([], [], [])
    assert [x["kind"] for x in preview["lines"] if x["id"] == "1.3"] == [None]


async def test_a_preview_asks_to_tell_billing_of_an_account_it_does_not_know_yet(fresh_api: Served):
    preview = (await fresh_api.http.post("/v1/orders/preview", json=an_order())).json()

    assert preview["plan"][0]["id"] == "sync_customer:ACME-BA"


async def test_orders_are_listed_newest_first_page_by_page_and_by_state_account_and_product(fresh_api: Served):
    api = fresh_api
    numbers = [(await api.submit(an_order()))["number"] for _ in range(5)]
    case = {**BUNDLE, "product": "CASE", "lines": []}
    numbers.append((await api.submit(an_order(lines=[case])))["number"])

    seen: list[int] = []
    cursor = ""
    while True:
        answer = await api.http.get("/v1/orders", params={"limit": 2, "cursor": cursor})
        assert answer.headers["x-total-count"] == "6"
        page = answer.json()
        seen += [x["number"] for x in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == sorted(numbers, reverse=True)

    assert len((await api.read("/v1/orders?account=ACME"))["items"]) == 6
    assert (await api.read("/v1/orders?account=OTHER"))["items"] == []
    assert [x["number"] for x in (await api.read("/v1/orders?product=CASE&limit=1"))["items"]] == [numbers[-1]]
    assert len((await api.read("/v1/orders?product=PHONE"))["items"]) == 5
    assert (await api.read("/v1/orders?state=cancelled"))["items"] == []


async def test_an_unchanged_order_need_not_be_sent_again(api: Served):
    order = await api.in_state(await api.submit(an_order()), "completed")
    first = await api.http.get(f"/v1/orders/{order['id']}")

    again = await api.http.get(f"/v1/orders/{order['id']}", headers={"If-None-Match": first.headers["etag"]})
    other = await api.http.get(f"/v1/orders/{order['id']}", headers={"If-None-Match": 'W/"0.1"'})

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["etag"].startswith('W/"0.')
    assert other.status_code == 200


async def test_the_plan_is_read_with_its_steps_as_they_stand(api: Served):
    order = await api.in_state(await api.submit(an_order()), "completed")

    plan = await api.read(f"/v1/orders/{order['id']}/plan")

    assert (plan["order"], plan["revision"]) == (order["id"], 0)
    assert {x["state"] for x in plan["steps"]} == {"done"}
    assert all(x["finished_at"] and x["attempts"] >= 1 for x in plan["steps"])
    places = {x["id"]: n for n, x in enumerate(plan["steps"])}
    assert all(places[before] < places[x["id"]] for x in plan["steps"] for before in x["depends_on"])


async def test_what_does_not_exist_is_not_found(api: Served):
    nobody = "00000000-0000-0000-0000-000000000000"
    for path in ("", "/plan", "/events"):
        answer = await api.http.get(f"/v1/orders/{nobody}{path}")
        assert answer.status_code == 404
        assert answer.json()["detail"] == "There is no such order."


async def test_a_future_dated_order_waits_for_its_start(api: Served):
    order = await api.in_state(await api.submit(an_order(requested_start="2199-01-01T00:00:00Z")), "pending")

    assert order["run"]["status"] == "running"
    assert {x["state"] for x in order["lines"]} == {"pending"}


@pytest.mark.req("W7")
async def test_an_order_of_a_thousand_steps_is_taken_whole(api: Served):
    order = await api.submit(an_order(lines=cases(1_000), requested_start="2199-01-01T00:00:00Z"))
    assert len(order["lines"]) == 1_000
    assert api.shop.one("SELECT count(*) FROM orderloom.order_lines WHERE order_id = :o", o=order["id"]) == 1_000


@pytest.mark.req("W1")
async def test_an_order_of_too_many_steps_is_refused_and_its_preview_shows_them_all_the_same(api: Served):
    body = an_order(lines=cases(1_001))
    refused = await api.http.post("/v1/orders", json=body)
    assert refused.status_code == 422
    assert places(refused.json()["violations"]) == {("SIZE", "W1", None, "lines")}
    preview = (await api.http.post("/v1/orders/preview", json=body)).json()
    assert preview["violations"] == refused.json()["violations"]
    assert len(preview["plan"]) == 1_001


def cases(count: int) -> list[dict[str, Any]]:
    return [{**BUNDLE, "id": f"b{n}", "product": "CASE", "lines": []} for n in range(count)]


async def test_an_order_of_too_many_lines_is_refused_however_they_are_nested(api: Served):
    below = [{"id": f"b{n}", "product": "X"} for n in range(1_001)]
    lines = [{"id": "1", "product": "X", "lines": below}, {"id": "2", "product": "X", "lines": below}]

    answer = await api.http.post("/v1/orders", json=an_order(lines=lines))

    assert answer.status_code == 422
    assert places(answer.json()["violations"]) == {("SIZE", "W1", None, "lines")}
