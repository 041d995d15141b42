"""Orders are revised over HTTP: the whole order as it is to be."""

from copy import deepcopy
from typing import Any
from uuid import uuid4

import pytest

from adapters.switches import Mode, Switch
from tests.api.conftest import Served
from tests.api.test_orders import BUNDLE, an_order


@pytest.fixture
async def waiting(fresh_api: Served) -> tuple[Served, dict[str, Any], dict[str, Any]]:
    """An order that waits for its start, as it was sent and as it is read."""
    sent = an_order(external_id="crm-1", requested_start="2100-01-01T00:00:00Z")
    order = await fresh_api.submit(sent)
    return fresh_api, sent, await fresh_api.in_state(order, "pending")


def without_goods(sent: dict[str, Any]) -> dict[str, Any]:
    desired = deepcopy(sent)
    desired["lines"][0]["lines"] = [x for x in desired["lines"][0]["lines"] if x["product"] != "PHONE"]
    return desired


async def test_a_revision_is_in_force_once_accepted_and_the_order_is_read_as_revised(
    waiting: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, sent, order = waiting
    path = f"/v1/orders/{order['id']}/revisions"

    answer = await api.http.post(path, json=without_goods(sent), params={"actor": "ann", "reason": "no phone"})

    assert answer.status_code == 202, answer.text
    assert answer.json() == {"order": order["id"], "revision": 1, "state": "accepted"}
    read = await api.read(f"/v1/orders/{order['id']}")
    assert (read["revision"], len(read["lines"])) == (1, len(order["lines"]) - 1)
    first, second = (await api.read(path))["items"]
    assert (first["revision"], first["state"]) == (0, "superseded")
    assert (second["revision"], second["state"], second["actor"], second["reason"]) == (1, "active", "ann", "no phone")


async def test_who_has_not_seen_the_newest_revision_is_stale(waiting: tuple[Served, dict[str, Any], dict[str, Any]]):
    api, sent, order = waiting
    path = f"/v1/orders/{order['id']}"
    seen = {"If-Match": (await api.http.get(path)).headers["etag"]}

    first = await api.http.post(f"{path}/revisions", json=without_goods(sent), headers=seen)
    second = await api.http.post(f"{path}/revisions", json=sent, headers=seen)
    current = {"If-Match": (await api.http.get(path)).headers["etag"]}

    assert (first.status_code, second.status_code) == (202, 412)
    assert current != seen
    renewed = await api.http.post(f"{path}/revisions", json=without_goods(sent), headers=current)
    assert renewed.status_code == 202, renewed.text


async def test_a_revision_that_breaks_rules_is_refused_with_all_of_them_and_stored_nowhere(
    waiting: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, sent, order = waiting
    desired = deepcopy(sent)
    desired["account"] = "ACME-BA"
    desired["lines"][0]["product"] = "PHONE"
    desired["lines"][0]["lines"] = []

    answer = await api.http.post(f"/v1/orders/{order['id']}/revisions", json=desired)

    assert answer.status_code == 422
    broken = {(x["code"], x["field"]) for x in answer.json()["violations"]}
    assert {("REVISION", "account"), ("REVISION", "product")} <= broken
    assert api.count("order_revisions") == 0


async def test_the_same_key_is_the_same_revision(waiting: tuple[Served, dict[str, Any], dict[str, Any]]):
    api, sent, order = waiting
    path = f"/v1/orders/{order['id']}/revisions"
    key = {"Idempotency-Key": "r-1"}
    first = await api.http.post(path, json=without_goods(sent), headers=key)
    again = await api.http.post(path, json=without_goods(sent), headers=key)
    other = await api.http.post(path, json=sent, headers=key)
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert again.json() == first.json()
    assert api.count("order_revisions") == 2


async def test_past_the_point_of_no_return_line_and_step_are_named(fresh_api: Served):
    api = fresh_api
    api.shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    sent = an_order()
    order = await api.submit(sent)
    fallout = await api.shop.fallout(order["id"])
    desired = deepcopy(sent)
    desired["lines"][0]["attributes"] = {"apn": "other"}

    answer = await api.http.post(f"/v1/orders/{order['id']}/revisions", json=desired)

    assert (answer.status_code, answer.json()["title"]) == (409, "Past the point of no return")
    (violation,) = answer.json()["violations"]
    assert (violation["code"], violation["line"], violation["field"]) == ("NO_RETURN", "1.4", "deliver:1.4")
    await api.shop.decide(fallout, "retry")
    await api.in_state(order, "completed")
    for late in (desired, {**desired, "account": "OTHER"}):  # it is over, whatever else is wrong with it
        answer = await api.http.post(f"/v1/orders/{order['id']}/revisions", json=late)
        assert answer.status_code == 409
        assert answer.json()["detail"].endswith("The order is over: what it has installed is ended by another one.")


async def test_an_unknown_order_is_not_found(api: Served):
    assert (await api.http.post(f"/v1/orders/{uuid4()}/revisions", json=an_order())).status_code == 404
    assert (await api.http.get(f"/v1/orders/{uuid4()}/revisions")).status_code == 404


async def two_held(api: Served) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """An order of two bundles, both of which the network refuses, and the bundles as they were asked for."""
    api.shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    first = {**BUNDLE, "lines": BUNDLE["lines"][:1]}
    second = {**first, "id": "2", "service_id": None, "lines": [{"id": "2.1", "product": "PLAN"}]}
    return await api.in_state(await api.submit(an_order(lines=[first, second])), "held"), first, second


@pytest.mark.req("W7")
async def test_an_order_is_read_without_the_service_that_a_revision_has_left_out(fresh_api: Served):
    """Its initiated billing is voided, and no line of the order any more."""
    api = fresh_api
    order, first, _ = await two_held(api)
    assert [x["id"] for x in order["lines"]] == ["1", "1.1", "1.1.1", "2", "2.1"]

    answer = await api.http.post(f"/v1/orders/{order['id']}/revisions", json=an_order(lines=[first]))

    assert answer.status_code == 202, answer.text
    await api.shop.until(lambda: api.shop.steps(order["id"])["initiate_billing:2"] == "undone")
    await api.shop.until(
        lambda: api.shop.one("SELECT revision FROM orderloom.orders WHERE id = :o", o=order["id"]) == 1
    )
    revised = await api.read(f"/v1/orders/{order['id']}")
    assert [(x["id"], x["billing"] and x["billing"]["state"]) for x in revised["lines"]] == [
        ("1", "initiated"), ("1.1", "initiated"), ("1.1.1", "initiated"),
    ]  # fmt: skip


async def test_a_revision_of_what_was_given_up_is_refused_with_its_line(fresh_api: Served):
    api = fresh_api
    order, first, second = await two_held(api)
    (of_second,) = (x["fallout"] for x in order["lines"] if x["id"] == "2")
    decision = {"decision": "abort", "reason": "Not wanted."}
    (await api.http.post(f"/v1/fallouts/{of_second}/resolution", json=decision)).raise_for_status()
    await api.shop.until(lambda: api.shop.line_states(order["id"])["2"] == "failed")

    otherwise = an_order(lines=[first, {**second, "attributes": {"apn": "other"}}])
    answer = await api.http.post(f"/v1/orders/{order['id']}/revisions", json=otherwise)

    assert (answer.status_code, answer.json()["title"]) == (409, "Given up")
    assert [(x["code"], x["line"]) for x in answer.json()["violations"]] == [("GIVEN_UP", "2")]
