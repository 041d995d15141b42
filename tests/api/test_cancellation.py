"""Orders are cancelled over HTTP, or the answer says what stands in the way."""

from uuid import uuid4

from adapters.switches import Mode, Switch
from tests.api.conftest import Served
from tests.api.test_orders import BUNDLE, an_order


async def test_an_order_that_waits_is_cancelled_and_asking_again_is_answered_the_same(fresh_api: Served):
    api = fresh_api
    order = await api.submit(an_order(requested_start="2100-01-01T00:00:00Z"))
    await api.in_state(order, "pending")
    path = f"/v1/orders/{order['id']}/cancellation"

    first = await api.http.post(path, json={"reason": "The customer moves abroad.", "actor": "ann"})

    assert first.status_code == 200, first.text
    assert first.json() == {"order": order["id"], "state": "pendingCancellation"}
    await api.in_state(order, "cancelled")
    again = await api.http.post(path)
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
    assert (await api.read(f"/v1/orders/{order['id']}"))["reason"] == "The customer moves abroad."
    events = (await api.read(f"/v1/orders/{order['id']}/events"))["items"]
    assert [x["type"] for x in events][-3:] == ["assessingCancellation", "pendingCancellation", "cancelled"]


async def test_past_the_point_of_no_return_line_and_step_are_named_under_way_and_afterwards(fresh_api: Served):
    api = fresh_api
    api.shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    order = await api.submit(an_order())
    fallout = await api.shop.fallout(order["id"])
    path = f"/v1/orders/{order['id']}/cancellation"

    under_way = await api.http.post(path, json={"reason": "Too late."})

    assert (under_way.status_code, under_way.json()["title"]) == (409, "Past the point of no return")
    (violation,) = under_way.json()["violations"]
    assert (violation["code"], violation["line"], violation["field"]) == ("NO_RETURN", "1.4", "deliver:1.4")
    await api.shop.decide(fallout, "retry")
    await api.in_state(order, "completed")
    afterwards = await api.http.post(path)
    assert afterwards.status_code == 409
    assert afterwards.json()["violations"] == under_way.json()["violations"]
    assert under_way.json()["detail"].endswith("deliver:1.4 was sent. Once it is completed it can be ended.")
    assert afterwards.json()["detail"].endswith("The order is over: what it has installed is ended by another one.")


async def test_force_needs_a_reason_and_an_unknown_order_is_not_found(api: Served):
    order = await api.submit(an_order())
    forced = await api.http.post(f"/v1/orders/{order['id']}/cancellation", json={"force": True})
    assert forced.status_code == 422
    assert forced.json()["violations"][0]["field"] == "reason"
    unknown = await api.http.post(f"/v1/orders/{uuid4()}/cancellation", json={})
    assert unknown.status_code == 404


async def test_what_billing_had_initiated_for_a_cancelled_order_is_read_as_voided(fresh_api: Served):
    api = fresh_api
    api.shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    lines = [{**BUNDLE, "lines": BUNDLE["lines"][:1]}]
    order = await api.in_state(await api.submit(an_order(lines=lines)), "held")
    assert [x["billing"]["state"] for x in order["lines"][:2]] == ["initiated", "initiated"]

    await api.http.post(f"/v1/orders/{order['id']}/cancellation", json={"reason": "Moved."})

    cancelled = await api.in_state(order, "cancelled")
    assert cancelled["reason"] == "Moved."
    assert [x["billing"]["state"] for x in cancelled["lines"][:2]] == ["voided", "voided"]
    assert cancelled["lines"][0]["billing"]["service_instance"] == order["lines"][0]["billing"]["service_instance"]
