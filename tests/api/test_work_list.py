"""The work list over HTTP: who works on what, what may be decided now, and many decisions at once."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from adapters.switches import Mode, Switch
from domain.fallout import ACTIVE_NOT_BILLED, FalloutType, Finding
from models.work_list import PostgresWorkList
from tests import builders
from tests.api.conftest import Served
from tests.api.test_orders import BUNDLE, an_order

GOODS = {**BUNDLE, "product": "PHONE-2", "lines": []}


async def waiting(api: Served, orders: int) -> list[dict[str, Any]]:
    """Have so many orders wait for a phone that is not in stock: their fallouts, oldest first."""
    api.shop.publish(*builders.WIRELESS, builders.goods("PHONE-2", billing_service_type="/account"))
    for _ in range(orders):
        await api.submit(an_order(lines=[GOODS]))
    return await on_the_list(api, orders)


async def on_the_list(api: Served, many: int) -> list[dict[str, Any]]:
    """The open fallouts, oldest first, as soon as there are so many."""
    await api.shop.until(lambda: api.count("fallouts") >= many, within_s=30)
    return list(reversed((await api.read("/v1/fallouts?limit=200"))["items"]))


async def take(api: Served, fallout: dict[str, Any], **change: object) -> tuple[int, Any]:
    answer = await api.http.patch(f"/v1/fallouts/{fallout['id']}", json=change)
    return answer.status_code, answer.json()


async def decide(api: Served, selection: dict[str, Any], decision: str, **rest: object) -> dict[str, Any]:
    body = {"selection": selection, "decision": decision, "reason": "All of them.", "actor": "ann", **rest}
    answer = await api.http.post("/v1/fallouts/resolutions", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.req("F26")
async def test_a_fallout_is_taken_put_on_hold_made_more_urgent_and_put_back_and_all_of_that_is_on_record(
    fresh_api: Served,
):
    (fallout,) = await waiting(fresh_api, 1)
    assert (fallout["owner"], fallout["priority"], fallout["state"]) == (None, 3, "open")
    assert (fallout["overdue"], fallout["escalated_at"]) == (False, None)
    assert fallout["correctable"] == ["attributes", "location", "service_id", "service_point"]

    status, taken = await take(fresh_api, fallout, owner="ann", state="inProgress", actor="ann")
    assert (status, taken["owner"], taken["state"], taken["due_at"]) == (200, "ann", "inProgress", fallout["due_at"])
    status, urgent = await take(fresh_api, fallout, state="awaitingInfo", priority=1, actor="ann", reason="A VIP.")
    assert (status, urgent["owner"], urgent["state"], urgent["priority"]) == (200, "ann", "awaitingInfo", 1)
    assert urgent["due_at"] < fallout["due_at"]
    status, back = await take(fresh_api, fallout, owner=None, state="open", actor="ann")
    assert (status, back["owner"], back["state"], back["priority"]) == (200, None, "open", 1)
    assert (await take(fresh_api, fallout, owner=None, actor="ann"))[0] == 200

    audited = fresh_api.shop.rows(
        "SELECT actor, reason FROM orderloom.audit WHERE action = 'fallout.change' ORDER BY id"
    )
    assert audited == [{"actor": "ann", "reason": x} for x in (None, "A VIP.", None)]
    events = (await fresh_api.read(f"/v1/orders/{fallout['order']}/events"))["items"]
    assert [x["body"]["owner"] for x in events if x["type"] == "fallout_changed"] == ["ann", "ann", None]


async def test_what_one_person_has_taken_another_takes_only_knowingly(fresh_api: Served):
    (fallout,) = await waiting(fresh_api, 1)
    assert (await take(fresh_api, fallout, owner="ann", actor="ann"))[0] == 200

    status, problem = await take(fresh_api, fallout, owner="bob", actor="bob")
    assert (status, problem["title"]) == (409, "Taken")
    assert (await take(fresh_api, fallout, state="onHold", actor="bob"))[1]["owner"] == "ann"
    assert (await take(fresh_api, fallout, owner="eve", actor="ann"))[1]["owner"] == "eve"
    assert (await take(fresh_api, fallout, owner="bob", actor="bob", take_over=True))[1]["owner"] == "bob"


async def test_two_who_take_the_same_at_once_are_not_both_told_that_they_have_it(fresh_api: Served):
    (fallout,) = await waiting(fresh_api, 1)
    names = ["ann", "bob", "eve", "joe"]
    answers = await asyncio.gather(*(take(fresh_api, fallout, owner=x, actor=x) for x in names))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]


async def test_only_what_is_open_and_there_can_be_taken(fresh_api: Served):
    (fallout,) = await waiting(fresh_api, 1)
    await decide(fresh_api, {}, "abort")
    status, problem = await take(fresh_api, fallout, owner="ann")
    assert (status, problem["title"]) == (409, "Not open")
    assert (await take(fresh_api, {"id": "1-1"}, owner="ann"))[0] == 404


async def test_what_may_be_decided_follows_what_other_steps_of_the_bundle_have_done(fresh_api: Served):
    fresh_api.shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    fresh_api.shop.inventory.switches.set("deliver", Switch(mode=Mode.DELAY, ms=1_000))
    await fresh_api.submit(an_order())
    order = (await on_the_list(fresh_api, 1))[0]["order"]
    await fresh_api.shop.until(lambda: fresh_api.shop.steps(order)["deliver:1.4"] == "done")
    (fallout,) = (await fresh_api.read("/v1/fallouts"))["items"]
    assert fallout["decisions"] == ["retry", "retry_with", "skip"]


@pytest.mark.req("F26")
async def test_one_decision_about_many_is_answered_for_each_page_by_page(fresh_api: Served):
    fallouts = await waiting(fresh_api, 7)
    fresh_api.shop.receive("PHONE-2", 7)

    first = await decide(fresh_api, {"code": "UNKNOWN_ITEM"}, "retry", limit=4)
    rest = await decide(fresh_api, {"code": "UNKNOWN_ITEM"}, "retry", limit=4, cursor=first["next_cursor"])

    items = [*first["items"], *rest["items"]]
    assert [x["fallout"] for x in items] == [x["id"] for x in reversed(fallouts)]
    assert {(x["became"], x["detail"]) for x in items} == {("resolved", "retry of reserve:1")}
    assert (len(first["items"]), rest["next_cursor"], rest["stopped"]) == (4, None, False)
    for fallout in fallouts:
        await fresh_api.in_state({"id": fallout["order"]}, "completed")
    again = await decide(fresh_api, {"ids": [x["id"] for x in fallouts]}, "retry")
    assert Counter(x["became"] for x in again["items"]) == {"settled": 7}
    assert (await decide(fresh_api, {"code": "UNKNOWN_ITEM"}, "retry"))["items"] == []


async def test_after_too_many_refusals_the_rest_is_not_attempted(fresh_api: Served):
    fallouts = await waiting(fresh_api, 25)
    told = await decide(fresh_api, {"step": "reserve"}, "skip", threshold=3)
    became = Counter(x["became"] for x in told["items"])
    assert told["stopped"]
    assert became == {"refused": 3, "not_attempted": 22}
    assert (await fresh_api.read(f"/v1/fallouts/{fallouts[0]['id']}"))["state"] == "open"
    refused = next(x for x in told["items"] if x["became"] == "refused")
    assert refused["detail"].startswith("Not allowed here: Here may be decided: retry")


async def test_of_those_that_are_named_the_ones_that_are_none_are_said(fresh_api: Served):
    (fallout,) = await waiting(fresh_api, 1)
    fresh_api.shop.receive("PHONE-2", 1)
    told = await decide(fresh_api, {"ids": ["1-9", fallout["id"], "F-0"]}, "retry", threshold=1)
    became = [(x["fallout"], x["order"], x["became"]) for x in told["items"]]
    assert became == [(fallout["id"], fallout["order"], "resolved"), ("1-9", None, "unknown"), ("F-0", None, "unknown")]
    assert (told["stopped"], told["next_cursor"]) == (False, None)


async def test_of_what_a_detector_found_only_some_things_can_be_decided(fresh_api: Served):
    leak = Finding(subject="s", type=FalloutType.RECONCILIATION, code=ACTIVE_NOT_BILLED, message="m", account="ACME")
    (found,) = PostgresWorkList(fresh_api.engine).open([leak])
    decision = {"decision": "abort", "reason": "Try."}
    answer = await fresh_api.http.post(f"/v1/fallouts/{found}/resolution", json=decision)
    assert (answer.status_code, answer.json()["title"]) == (409, "Not allowed here")
    told = await decide(fresh_api, {"type": "Reconciliation"}, "abort")
    assert [x["became"] for x in told["items"]] == ["refused"]
    assert (await fresh_api.read("/v1/accounts/ACME/customer-portal"))["trouble_tickets"][0]["id"] == found
