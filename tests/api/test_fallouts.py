"""What needs a person, over HTTP: found, read, decided."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from api.app import create_app
from domain.order import State
from domain.watch import WatchedOrder, has_no_run
from models.work_list import PostgresWorkList
from tests.api.conftest import Served, house_of, serving
from tests.api.test_orders import BUNDLE, an_order
from workflows import start
from workflows.messages import OrderRun
from workflows.runs import described

GOODS = {**BUNDLE, "product": "PHONE-2", "lines": []}


@pytest.fixture
async def stuck(fresh_api: Served) -> tuple[Served, dict[str, Any], dict[str, Any]]:
    """An order for a phone that is not in stock, and its fallout."""
    from tests import builders  # noqa: PLC0415

    api = fresh_api
    phone = builders.goods("PHONE-2", billing_service_type="/account")
    api.shop.publish(*builders.WIRELESS, phone)
    order = await api.in_state(await api.submit(an_order(lines=[GOODS])), "held")
    await api.shop.fallout(order["id"])
    order = await api.read(f"/v1/orders/{order['id']}")
    (fallout,) = (await api.read(f"/v1/fallouts?order={order['id']}"))["items"]
    return api, order, fallout


@pytest.mark.req("A16", "W5")
async def test_a_refused_step_is_found_with_its_order_line_error_and_what_may_be_decided(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, order, fallout = stuck

    assert (fallout["order"], fallout["number"], fallout["account"]) == (order["id"], order["number"], "ACME")
    assert (fallout["line"], fallout["step"], fallout["state"]) == ("1", "reserve:1", "open")
    assert (fallout["error"]["code"], fallout["attempts"]) == ("UNKNOWN_ITEM", 1)
    assert "retry" in fallout["decisions"]
    assert order["rollup"] == "attention"
    assert [(x["step"], x["fallout"]) for x in order["lines"]] == [("reserve", fallout["id"])]
    assert await api.read(f"/v1/fallouts/{fallout['id']}") == fallout
    assert (await api.read("/v1/accounts/ACME/customer-portal"))["trouble_tickets"] == [fallout]


@pytest.mark.req("F26")
async def test_the_work_list_is_filtered_by_everything_that_it_shows(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, _, fallout = stuck
    for query, found in (
        ("", True), ("state=open", True), ("state=closed", False), ("state=all", True), ("state=inProgress", False),
        ("account=ACME", True), ("account=OTHER", False), ("type=Inventory Allocation", True), ("type=Billing", False),
        ("step=reserve", True), ("step=reserve:1", True), ("step=reser", False), ("code=UNKNOWN_ITEM", True),
        ("code=NO_STOCK", False), ("owner=ann", False), ("taken=false", True), ("taken=true", False),
        ("overdue=false", True), ("overdue=true", False), ("sort=due", True),
        ("product=PHONE-2", True), ("product=CASE", False), ("order=00000000-0000-0000-0000-000000000000", False),
    ):  # fmt: skip
        answer = await api.http.get(f"/v1/fallouts?{query}")
        assert [x["id"] for x in answer.json()["items"]] == [fallout["id"]] * found, query
        assert answer.headers["x-total-count"] == str(int(found))


async def test_a_decision_continues_the_order_and_cannot_be_taken_twice(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, order, fallout = stuck
    api.shop.receive("PHONE-2", 1)
    path = f"/v1/fallouts/{fallout['id']}/resolution"
    decision = {"decision": "retry", "reason": "Goods have arrived.", "actor": "ann"}

    taken = await api.http.post(path, json=decision)
    again = await api.http.post(path, json=decision)

    assert taken.status_code == 200, taken.text
    assert taken.json() == {
        "fallout": fallout["id"], "order": order["id"], "decision": "retry", "outcome": "retry of reserve:1",
    }  # fmt: skip
    assert (again.status_code, again.json()["title"]) == (409, "Not open")
    await api.in_state(order, "completed")
    closed = await api.read(f"/v1/fallouts/{fallout['id']}")
    assert (closed["state"], closed["decision"], closed["actor"]) == ("closed", "retry", "ann")
    assert closed["reason"] == "Goods have arrived."


async def test_a_decision_that_the_run_does_not_take_is_refused_and_the_fallout_stays_open(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, _, fallout = stuck
    path = f"/v1/fallouts/{fallout['id']}/resolution"
    for decision, status in (
        ({"decision": "retry_with", "input": {"price": "1"}}, 422),
        ({"decision": "skip"}, 409 if "skip" not in fallout["decisions"] else None),
    ):
        if status:
            answer = await api.http.post(path, json={"reason": "Try.", **decision})
            assert answer.status_code == status, answer.text
    assert (await api.read(f"/v1/fallouts/{fallout['id']}"))["state"] == "open"


async def test_what_is_wrong_with_corrected_input_is_said_and_not_echoed(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, _, fallout = stuck
    path = f"/v1/fallouts/{fallout['id']}/resolution"
    for given, said in (
        ({"price": "1"}, "input: only attributes, location, service_id, service_point can be corrected"),
        ({"line": "9.9", "location": "MAIN"}, "input.line: no step of the order is about a line of that name"),
        ({}, "input: names nothing to correct"),
    ):
        answer = await api.http.post(path, json={"decision": "retry_with", "reason": "Try.", "input": given})
        assert answer.status_code == 422, answer.text
        assert [(x["field"], x["message"]) for x in answer.json()["violations"]] == [("input", said)]


async def test_where_the_run_of_an_open_order_is_gone_nobody_is_told_that_it_is_closed(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    """Whatever is asked of it: the order is open, the fallout too, and the answer says what to do first (I5)."""
    api, order, fallout = stuck
    await api.shop.client.get_workflow_handle(f"order-{order['id']}").terminate()
    decision = {"decision": "retry", "reason": "Goods have arrived.", "actor": "ann"}
    revised = an_order(lines=[{**GOODS, "attributes": {"colour": "red"}}], external_id=order["external_id"])

    answers = [
        await api.http.post(f"/v1/fallouts/{fallout['id']}/resolution", json=decision),
        await api.http.post(f"/v1/orders/{order['id']}/cancellation"),
        await api.http.post(f"/v1/orders/{order['id']}/revisions", json=revised),
        await api.http.post(f"/v1/orders/{order['id']}/approval", json={"decision": "approve", "reason": "x"}),
    ]

    assert [(x.status_code, x.json()["title"]) for x in answers] == [(409, "Nobody carries it out")] * 4
    assert "RUN_GONE" in answers[0].json()["detail"]
    many = {"selection": {"order": order["id"], "step": "reserve"}, **decision}
    told = (await api.http.post("/v1/fallouts/resolutions", json=many)).json()
    assert [x["became"] for x in told["items"]] == ["refused"]
    revisions = (await api.read(f"/v1/orders/{order['id']}/revisions"))["items"]
    assert [x["state"] for x in revisions if x["revision"]] == ["refused"]


async def forgotten(api: Served, order: dict[str, Any]) -> str:
    """Temporal loses an order's run; the fallout that says so."""
    client, id_ = api.shop.client, f"order-{order['id']}"
    await client.get_workflow_handle(id_).terminate()
    lost = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=id_)
    )
    await client.workflow_service.delete_workflow_execution(lost)
    async with asyncio.timeout(20):
        while await described(client, id_) is not None:
            continue
    found = has_no_run(WatchedOrder(id=order["id"], number=order["number"], state=State.HELD), "it is lost")
    (gone,) = PostgresWorkList(api.engine).open([found])
    return gone


async def until_taken(api: Served, fallout: str, decision: dict[str, Any]) -> dict[str, Any]:
    """The answer once a run that has just begun knows of the fallout."""
    async with asyncio.timeout(20):
        while (answer := await api.http.post(f"/v1/fallouts/{fallout}/resolution", json=decision)).status_code != 200:
            continue
    taken: dict[str, Any] = answer.json()
    return taken


async def test_an_order_whose_run_temporal_has_lost_is_carried_out_further_by_a_new_one(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    """It was terminated and deleted, or Temporal's own data is gone: our rows know how far the order is (I5)."""
    api, order, fallout = stuck
    gone = await forgotten(api, order)
    decision = {"decision": "retry", "reason": "Go on.", "actor": "ann"}

    answers = await asyncio.gather(*(api.http.post(f"/v1/fallouts/{gone}/resolution", json=decision) for _ in range(2)))

    told = {x.json()["outcome"] for x in answers if x.status_code == 200}
    assert len(told) == 1
    api.shop.receive("PHONE-2", 1)
    assert (await until_taken(api, fallout["id"], decision))["outcome"] == "retry of reserve:1"
    done = await api.in_state(order, "completed")
    assert told == {f"carried out further by run {done['run']['run_id']}"}
    assert done["run"]["run_id"] != order["run"]["run_id"]
    (closed,) = api.shop.rows("SELECT state, decision, actor, reason FROM orderloom.fallouts WHERE id = :id", id=gone)
    assert closed == {"state": "closed", "decision": "retry", "actor": "ann", "reason": "Go on."}
    await api.shop.is_sound()


async def test_an_order_names_the_run_that_carries_it_out_further_once_one_was_terminated(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]],
):
    api, order, _ = stuck
    await api.shop.client.get_workflow_handle(f"order-{order['id']}").terminate()
    found = has_no_run(WatchedOrder(id=order["id"], number=order["number"], state=State.HELD), "it was terminated")
    (gone,) = PostgresWorkList(api.engine).open([found])

    answer = await api.http.post(f"/v1/fallouts/{gone}/resolution", json={"decision": "retry", "reason": "Go on."})

    now = (await api.http.get(f"/v1/orders/{order['id']}")).json()["run"]
    assert now["run_id"] != order["run"]["run_id"]
    assert now["run_id"] in now["temporal_ui"]
    assert answer.json()["outcome"] == f"carried out further by run {now['run_id']}"


async def test_a_fallout_that_does_not_exist_is_not_found(api: Served):
    decision = {"decision": "retry", "reason": "Why not."}
    assert (await api.http.get("/v1/fallouts/1-1")).status_code == 404
    assert (await api.http.post("/v1/fallouts/1-1/resolution", json=decision)).status_code == 404


async def test_two_decisions_at_once_are_one_decision(stuck: tuple[Served, dict[str, Any], dict[str, Any]]):
    api, order, fallout = stuck
    api.shop.receive("PHONE-2", 1)
    path = f"/v1/fallouts/{fallout['id']}/resolution"
    decision = {"decision": "retry", "reason": "Goods have arrived."}

    answers = await asyncio.gather(*(api.http.post(path, json=decision) for _ in range(5)))

    assert sorted(x.status_code for x in answers) == [200, 409, 409, 409, 409]
    await api.in_state(order, "completed")


async def test_a_decision_that_reaches_no_worker_or_no_temporal_is_answered_so(
    stuck: tuple[Served, dict[str, Any], dict[str, Any]], temporal_client: Client, monkeypatch: pytest.MonkeyPatch
):
    api, order, fallout = stuck
    monkeypatch.setattr("workflows.start.RPC_TIMEOUT", timedelta(seconds=0.5))
    path = f"/v1/fallouts/{fallout['id']}/resolution"
    decision = {"decision": "retry", "reason": "Goods have arrived."}
    await start.start_order(  # a run that nobody works on, under the id of a row that says it waits
        temporal_client,
        OrderRun(order=(lost := str(uuid4())), number=1, account="ACME"),
        task_queue="nobody-polls-this",
        now=api.shop.now(),
    )
    with api.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            INSERT INTO orderloom.orders (id, account, catalog_version, state, priority, document, run_started_at)
            SELECT %(lost)s, account, 1, state, 4, document, now() FROM orderloom.orders WHERE id = %(order)s
            """,
            {"lost": lost, "order": order["id"]},
        )
        connection.exec_driver_sql("UPDATE orderloom.fallouts SET order_id = %(lost)s", {"lost": lost})

    no_worker = await api.http.post(path, json=decision)
    nowhere = await Client.connect("127.0.0.1:1", lazy=True)
    async with serving(create_app(house_of(api.shop, nowhere))) as url, httpx.AsyncClient(base_url=url) as http:
        no_temporal = await http.post(path, json=decision, timeout=20)

    assert (no_worker.status_code, no_worker.json()["title"]) == (503, "Try again later")
    assert (no_temporal.status_code, no_temporal.json()["title"]) == (503, "Try again later")
