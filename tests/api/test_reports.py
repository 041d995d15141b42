"""Reports over HTTP: what differs between network and billing, how quickly orders are fulfilled, what is scheduled."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from adapters.switches import Mode, Switch
from domain.money import Money
from tests.api.conftest import Served, open_api
from tests.builders import bundle, line, order, simple_bundle, subscription
from tests.conftest import Database
from tests.shop import hasty
from workflows import schedules


@pytest.fixture(name="api", scope="module")
async def _api(module_database: Database, temporal_client: Client) -> AsyncIterator[Served]:
    """A house where one service runs unbilled, one is billed and does not run, and one is right."""
    async with open_api(module_database, temporal_client) as served:
        shop = served.shop
        shop.publish(
            simple_bundle("INTERNET", price=Money(1_000, "USD"), billing_service_type="/service/ip"),
            bundle("WIRELESS", "RATE"),
            subscription("RATE", price=Money(2_500, "USD")),
        )
        for _ in range(2):
            await shop.fulfil(order(line("INTERNET")))
        shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT", message="no"))
        handle = await shop.start(order(line("WIRELESS", line("RATE"))))
        await shop.decide(await shop.fallout(handle.id.removeprefix("order-")), "retry")
        await handle.result()
        with shop.engine.begin() as connection:
            first, second = (
                connection.exec_driver_sql("SELECT service FROM provisioning.services ORDER BY id").scalars().all()[:2]
            )
            connection.exec_driver_sql(
                "UPDATE billing.service_instances SET status = 'closed', ended_at = active_from WHERE asset = %s",
                (first,),
            )
            connection.exec_driver_sql("UPDATE provisioning.services SET until = since WHERE service = %s", (second,))
        shop.clock.set((shop.now() + timedelta(days=30)).replace(tzinfo=None).isoformat())
        yield served


async def reconciled(api: Served) -> str:
    """Compare now; the workflow id of the run."""
    answer = await api.http.post("/v1/reports/reconciliation")
    assert answer.status_code == 202, answer.text
    run = str(answer.json()["run"]["workflow_id"])
    await api.shop.client.get_workflow_handle(run).result()
    return run


async def test_before_the_first_comparison_there_is_none(fresh_api: Served):
    assert await fresh_api.read("/v1/reports/reconciliation") == {
        "run": None,
        "by_billing_service_type": [],
        "by_account": [],
        "items": [],
        "next_cursor": None,
    }


@pytest.mark.req("F06", "F07")
async def test_the_report_names_what_differs_though_the_numbers_are_equal(api: Served):
    run = await reconciled(api)
    report = await api.read("/v1/reports/reconciliation")
    assert report["run"] | {"as_of": 0, "finished_at": 0} == {
        "id": run,
        "as_of": 0,
        "finished_at": 0,
        "active": 2,
        "billed": 2,
        "ratio": "1.0000",
        "balanced": False,
        "complete": True,
        "by_class": {"ACTIVE_NOT_BILLED": 1, "BILLED_NOT_ACTIVE": 1},
        "leakage": [{"amount": "9.86", "currency": "USD"}],
    }
    assert {(x["billing_service_type"], x["active"], x["billed"]) for x in report["by_billing_service_type"]} == {
        ("/service/ip", 1, 1),
        ("/service/telco/gsm/telephony", 1, 1),
    }
    assert report["by_account"] == [{"account": "ACME", "active": 2, "billed": 2}]
    leaks = next(x for x in report["items"] if x["class"] == "ACTIVE_NOT_BILLED")
    assert leaks["leakage"] == {"amount": "9.86", "currency": "USD"}
    assert (leaks["account"], leaks["product"], leaks["accepted"]) == ("ACME", "INTERNET", None)
    fallout = await api.read(f"/v1/fallouts/{leaks['fallout']}")
    assert (fallout["type"], fallout["error"]["code"]) == ("Reconciliation", "ACTIVE_NOT_BILLED")


@pytest.mark.req("F06")
async def test_differences_are_filtered_by_account_and_class_and_come_in_pages(api: Served):
    await reconciled(api)

    async def found(**filters: str) -> dict[str, Any]:
        answer = await api.http.get("/v1/reports/reconciliation", params=filters)
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Total-Count"].isdigit()
        body: dict[str, Any] = answer.json()
        return body

    (only,) = (await found(**{"class": "BILLED_NOT_ACTIVE"}))["items"]
    assert only["class"] == "BILLED_NOT_ACTIVE"
    assert len((await found(account="ACME"))["items"]) == 2
    other = await found(account="OTHER")
    assert (other["items"], other["by_account"], other["by_billing_service_type"]) == ([], [], [])
    first = await found(limit="1")
    second = await found(limit="1", cursor=first["next_cursor"])
    assert first["items"][0]["id"] != second["items"][0]["id"]
    assert second["next_cursor"] is None
    assert (await api.http.get("/v1/reports/reconciliation", params={"class": "OTHER"})).status_code == 422


@pytest.mark.req("F07")
async def test_a_person_can_have_it_compared_again_or_accept_a_difference_which_then_stays_in_the_report(api: Served):
    await reconciled(api)
    wanted = "/v1/reports/reconciliation?class=BILLED_NOT_ACTIVE"
    (found,) = (await api.read(wanted))["items"]
    fallout = await api.read(f"/v1/fallouts/{found['fallout']}")
    assert fallout["decisions"] == ["retry", "skip"]

    async def decided(decision: str) -> tuple[int, dict[str, Any]]:
        body = {"decision": decision, "actor": "ann", "reason": "a trial"}
        answer = await api.http.post(f"/v1/fallouts/{fallout['id']}/resolution", json=body)
        return answer.status_code, answer.json()

    status, retried = await decided("retry")
    assert (status, retried["outcome"].partition(" by ")[0]) == (200, "compared again")
    await api.shop.client.get_workflow_handle(retried["outcome"].rpartition(" ")[2]).result()
    assert (await api.read(f"/v1/fallouts/{fallout['id']}"))["state"] == "open"
    assert (await decided("abort"))[0] == 409
    assert (await decided("skip"))[1]["outcome"] == "accepted as it is"
    assert (await decided("skip"))[0] == 409

    await reconciled(api)
    (found,) = (await api.read(wanted))["items"]
    assert (found["accepted"]["by"], found["accepted"]["reason"]) == ("ann", "a trial")
    closed = await api.read(f"/v1/fallouts/{fallout['id']}")
    assert (closed["state"], closed["decision"], closed["actor"]) == ("closed", "skip", "ann")


async def test_the_same_key_is_one_comparison(api: Served):
    headers = {"Idempotency-Key": str(uuid4())}
    first, again = [(await api.http.post("/v1/reports/reconciliation", headers=headers)).json() for _ in range(2)]
    assert first == again
    assert first["run"]["temporal_ui"].endswith(f"{first['run']['workflow_id']}/{first['run']['run_id']}/user-metadata")


@pytest.mark.req("F16")
async def test_the_report_tells_time_to_service_durations_fallouts_and_retries(api: Served):
    report = await api.read("/v1/reports/fulfillment")
    assert report["orders"] == {"submitted": 3, "completed": 3, "with_fallout": 1, "fallout_rate": 0.3333}
    assert [(x["product"], x["delivered"]) for x in report["products"]] == [("INTERNET", 2), ("WIRELESS", 1)]
    assert all(0 < x["time_to_service"]["p50_s"] < 60 for x in report["products"])
    steps = {x["function"]: x for x in report["steps"]}
    assert [*steps] == ["sync_customer", "initiate_billing", "provision", "fulfill_billing", "asset"]
    provision = steps["provision"]
    assert (provision["planned"], provision["done"], provision["fallouts"]) == (3, 3, 1)
    assert provision["fallout_rate"] == 0.3333
    assert provision["duration"]["p95_s"] >= provision["duration"]["p50_s"] > 0


@pytest.mark.req("F16")
async def test_a_retried_step_counts_as_one_that_was_retried(fresh_api: Served):
    fresh_api.shop.provisioning.switches.set("activate", Switch(mode=Mode.FAIL_BEFORE, remaining=2))
    await fresh_api.shop.fulfil(order(line("INTERNET")))
    steps = (await fresh_api.read("/v1/reports/fulfillment"))["steps"]
    assert {x["function"]: x["retries"] for x in steps if x["retries"]} == {"provision": 2}


@pytest.mark.req("F16")
async def test_only_orders_of_the_period_are_in_the_report(api: Served):
    report = await api.read("/v1/reports/fulfillment?until=2020-01-01T00:00:00Z")
    assert report["since"] == "2019-12-02T00:00:00Z"
    assert report["orders"] == {"submitted": 0, "completed": 0, "with_fallout": 0, "fallout_rate": None}
    assert (report["products"], report["steps"]) == ([], [])
    backwards = {"since": "2026-03-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    refused = await api.http.get("/v1/reports/fulfillment", params=backwards)
    assert refused.status_code == 422
    assert [x["code"] for x in refused.json()["violations"]] == ["PERIOD"]
    assert (await api.http.get("/v1/reports/fulfillment?until=0001-01-01T00:00:00Z")).status_code == 200


@pytest.mark.req("F41")
async def test_the_report_tells_how_each_neighbour_answers_and_what_it_fails_at_now(fresh_api: Served):
    shop = fresh_api.shop
    idle = (await fresh_api.read("/v1/reports/neighbours"))["items"]
    assert [(x["system"], x["state"]) for x in idle] == [
        ("inventory", "idle"),
        ("provisioning", "idle"),
        ("billing", "idle"),
    ]
    shop.billing.switches.set("initiate", Switch(mode=Mode.FAIL_BEFORE, remaining=1))
    await shop.fulfil(order(line("INTERNET")))
    shop.provisioning.switches.set("activate", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(line("INTERNET")), patience=hasty(give_up_s=60))
    sql = "SELECT count(*) FROM orderloom.plan_items WHERE function = 'provision' AND last_error IS NOT NULL"
    await shop.until(lambda: shop.one(sql) == 1)

    found = {x["system"]: x for x in (await fresh_api.read("/v1/reports/neighbours"))["items"]}
    assert (found["billing"]["state"], found["billing"]["retries"], found["billing"]["failing"]) == ("answers", 1, 0)
    network = found["provisioning"]
    assert (network["state"], network["done"], network["failing"]) == ("fails", 1, 1)
    assert "fail_before" in network["last_error"]
    assert network["answered_at"] is not None
    shop.provisioning.switches.clear()
    await handle.result()
    assert {x["state"] for x in (await fresh_api.read("/v1/reports/neighbours"))["items"]} == {"answers", "idle"}


async def test_schedules_are_listed_with_their_last_and_next_runs(api: Served):
    missing = (await api.read("/v1/schedules"))["items"]
    assert {x["state"] for x in missing} == {"missing"}

    queue, client = api.shop.task_queue, api.shop.client
    await schedules.keep(client, task_queue=queue, every=dict.fromkeys(schedules.RECURRING, timedelta(hours=1)))
    handle = client.get_schedule_handle(schedules.schedule_id("reconciliation", task_queue=queue))
    try:
        await handle.trigger()
        shown: dict[str, Any] = {}
        async with asyncio.timeout(20):
            while not shown.get("last_runs"):
                shown = next(x for x in (await api.read("/v1/schedules"))["items"] if x["name"] == "reconciliation")
        assert (shown["state"], shown["every_s"], shown["started"]) == ("active", 3_600, 1)
        assert len(shown["next_runs"]) == 5
        assert shown["last_runs"][0]["workflow_id"].startswith(f"{queue}-reconciliation-")
        await handle.pause(note="billing is being repaired")
        paused = next(x for x in (await api.read("/v1/schedules"))["items"] if x["name"] == "reconciliation")
        assert (paused["state"], paused["note"], paused["next_runs"]) == ("paused", "billing is being repaired", [])
    finally:
        for name in schedules.RECURRING:
            await client.get_schedule_handle(schedules.schedule_id(name, task_queue=queue)).delete()
