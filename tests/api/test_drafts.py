"""Orders that are left as drafts, edited, submitted or discarded over HTTP (A08, C15)."""

from typing import Any

import pytest

from tests.api.conftest import Served
from tests.api.test_orders import BUNDLE, LINES, an_order, places


async def drafted(api: Served, **fields: object) -> dict[str, Any]:
    answer = await api.http.post("/v1/orders", json=an_order(submit=False, **fields))
    assert answer.status_code == 201, answer.text
    draft: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/orders/{draft['id']}"
    return draft


@pytest.mark.req("A08", "C15")
async def test_a_draft_is_edited_line_by_line_submitted_once_and_an_order_from_then_on(api: Served):
    draft = await drafted(api)
    assert (draft["state"], draft["number"], draft["submitted_at"], draft["run"]) == ("draft", None, None, None)

    path = f"/v1/orders/{draft['id']}"
    edit = {"lines": [{"id": "1", "due_date": "2199-07-01", "service_id": None}], "remove": ["1.2"], "priority": 2}
    edited = await api.http.patch(path, json=edit)
    assert edited.status_code == 200, edited.text
    lines = {x["id"]: x for x in edited.json()["lines"]}
    assert [*lines] == [x for x in LINES if not x.startswith("1.2")]
    assert (lines["1"]["due_date"], lines["1"]["service_id"]) == ("2199-07-01", None)
    assert (lines["1"]["product"], lines["1"]["attributes"]["apn"]) == ("WIRELESS", "internet")
    assert await api.read(path) == edited.json()

    submitted = await api.http.post(f"{path}/submission")
    assert submitted.status_code == 202, submitted.text
    assert (submitted.json()["id"], submitted.json()["state"]) == (draft["id"], "acknowledged")
    assert submitted.json()["number"] > 1000
    done = await api.in_state(submitted.json(), "completed")
    assert [x["id"] for x in done["lines"]] == [*lines]

    again = await api.http.post(f"{path}/submission")
    assert (again.status_code, again.json()["state"]) == (202, "completed")
    for method, body in (("PATCH", {"priority": 1}), ("DELETE", None)):
        answer = await api.http.request(method, path, json=body)
        assert (answer.status_code, answer.json()["title"]) == (409, "Submitted")


@pytest.mark.req("C15")
async def test_a_draft_is_judged_when_it_is_submitted_and_stays_a_draft_while_it_breaks_rules(api: Served):
    draft = await drafted(api, lines=[{**BUNDLE, "product": "NOTHING"}])
    path = f"/v1/orders/{draft['id']}"

    refused = await api.http.post(f"{path}/submission")
    assert refused.status_code == 422
    assert ("CATALOG_VERSION", "B01", "1", "product") in places(refused.json()["violations"])
    assert (await api.read(path))["state"] == "draft"

    assert (await api.http.patch(path, json={"lines": [{"id": "1", "product": "WIRELESS"}]})).status_code == 200
    assert (await api.http.post(f"{path}/submission")).status_code == 202


async def test_lines_are_added_to_a_draft_where_they_are_put(api: Served):
    draft = await drafted(api, lines=[{**BUNDLE, "lines": []}])
    more = [{"id": "1", "lines": [{"id": "1.1", "product": "PLAN"}]}, {"id": "2", "product": "CASE"}]
    lines = (await api.http.patch(f"/v1/orders/{draft['id']}", json={"lines": more})).json()["lines"]
    assert [(x["id"], x["parent"], x["root"], x["product"]) for x in lines] == [
        ("1", None, "1", "WIRELESS"), ("1.1", "1", "1", "PLAN"), ("2", None, "2", "CASE")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"remove": ["9"]}, ("STRUCTURE", "B01", "9", "remove")),
        ({"remove": ["1"]}, ("STRUCTURE", "B01", None, "remove")),
    ],
)
async def test_what_cannot_be_taken_out_of_a_draft_is_refused(api: Served, edit: dict[str, Any], expected: object):
    draft = await drafted(api)
    answer = await api.http.patch(f"/v1/orders/{draft['id']}", json=edit)
    assert answer.status_code == 422
    assert places(answer.json()["violations"]) == {expected}
    assert [x["id"] for x in (await api.read(f"/v1/orders/{draft['id']}"))["lines"]] == LINES


async def test_of_two_who_change_a_draft_at_once_the_second_is_told(api: Served):
    draft = await drafted(api)
    path = f"/v1/orders/{draft['id']}"
    seen = (await api.http.get(path)).headers["etag"]
    first, second = [await api.http.patch(path, json={"priority": x}, headers={"If-Match": seen}) for x in (1, 2)]
    assert (first.status_code, second.status_code) == (200, 412)
    assert first.headers["etag"] == (await api.http.get(path)).headers["etag"] != seen


async def test_a_discarded_draft_was_never_there(api: Served):
    draft = await drafted(api)
    path = f"/v1/orders/{draft['id']}"
    assert (await api.http.delete(path)).status_code == 204
    for method, under in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/submission"), ("GET", "/plan")):
        answer = await api.http.request(method, f"{path}{under}", json={} if method == "PATCH" else None)
        assert (answer.status_code, answer.json().get("detail")) == (404, "There is no such order."), (method, under)


async def test_drafts_are_no_orders_anybody_carries_out_lists_or_revises(fresh_api: Served):
    api = fresh_api
    drafts = [await drafted(api, external_id=f"crm-{x}") for x in range(3)]
    listed = await api.http.get("/v1/orders", params={"state": "draft", "limit": 2, "account": "ACME"})
    assert listed.headers["x-total-count"] == "3"
    rest = await api.read(f"/v1/orders?state=draft&product=WIRELESS&cursor={listed.json()['next_cursor']}")
    items = [*listed.json()["items"], *rest["items"]]
    assert [x["id"] for x in items] == [x["id"] for x in reversed(drafts)]
    assert {(x["state"], x["number"]) for x in items} == {("draft", None)}
    assert (await api.read("/v1/orders"))["items"] == []
    portal = await api.read("/v1/accounts/ACME/customer-portal")
    assert portal["orders"] == portal["service_items"] == []
    for under in ("plan", "events"):
        assert (await api.http.get(f"/v1/orders/{drafts[0]['id']}/{under}")).status_code == 409
    for under, body in (("revisions", an_order()), ("cancellation", {"reason": "why"})):
        answer = await api.http.post(f"/v1/orders/{drafts[0]['id']}/{under}", json=body)
        assert (answer.status_code, answer.json()["title"]) == (409, "Still a draft"), under
    await api.shop.is_sound()


async def test_the_same_request_keeps_one_draft(fresh_api: Served):
    api = fresh_api
    headers = {"Idempotency-Key": "draft-1"}
    body = an_order(submit=False, requested_start="2026-03-01T00:00:00Z")
    first, again = [await api.http.post("/v1/orders", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert api.count("drafts") == 1
    other = await api.http.post("/v1/orders", json=an_order(), headers=headers)
    assert (other.status_code, other.json()["title"]) == (422, "Idempotency key reused")
    assert (await api.http.post(f"{first.headers['location']}/submission")).status_code == 202
    await api.in_state(first.json(), "completed")
    await api.shop.is_sound()


async def test_a_draft_does_not_take_another_orders_external_id(api: Served):
    draft = await drafted(api, external_id="crm-taken")
    await api.submit(an_order(external_id="crm-taken"))
    answer = await api.http.post(f"/v1/orders/{draft['id']}/submission")
    assert (answer.status_code, answer.json()["title"]) == (422, "External id reused")
    assert (await api.read(f"/v1/orders/{draft['id']}"))["state"] == "draft"
