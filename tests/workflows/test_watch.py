"""What waits unseen becomes a fallout that says what to do, and goes by itself when it is over."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    Client,
    ScheduleCalendarSpec,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowHandle,
)
from temporalio.worker import UnsandboxedWorkflowRunner

from activities.messages import Look
from adapters.switches import Mode, Switch
from domain.fallout import FalloutType, Finding
from models.work_list import PostgresWorkList
from tests.builders import order
from tests.conftest import Database
from tests.shop import Shop, open_shop
from tests.workflows.catalog import INTERNET, furnish
from workflows import schedules
from workflows.messages import OrderEnd, OrderRun, workflow_id
from workflows.watch import Watch

REFUSED = Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT", message="no free port")


def change(shop: Shop, sql: str, **parameters: object) -> None:
    with shop.engine.begin() as connection:
        assert connection.exec_driver_sql(sql, parameters).rowcount, sql


def found(shop: Shop, *, state: str = "open") -> list[dict[str, Any]]:
    sql = "SELECT * FROM orderloom.fallouts WHERE type = 'System' AND step IS NULL AND state = :s ORDER BY opened_at"
    return shop.rows(sql, s=state)


def codes(shop: Shop) -> list[str]:
    return [x["code"] for x in found(shop)]


def order_of(handle: WorkflowHandle[Any, Any]) -> str:
    return handle.id.removeprefix("order-")


async def held(shop: Shop) -> WorkflowHandle[Any, OrderEnd]:
    """An order that waits for a person, and was started long ago."""
    shop.provisioning.switches.set("activate", REFUSED)
    handle = await shop.start(order(INTERNET))
    change(shop, "UPDATE orderloom.orders SET run_started_at = now()")
    await shop.fallout(order_of(handle))
    await shop.until(lambda: shop.state(order_of(handle)) == "held")
    later(shop, minutes=2)
    return handle


def later(shop: Shop, **duration: float) -> None:
    """Time passes, to a minute in which a look is not thorough by itself, and stands still."""
    at = shop.now() + timedelta(**duration)
    following = at.replace(minute=5) if at.minute < 5 else at.replace(minute=5) + timedelta(hours=1)
    shop.clock.set(following.replace(tzinfo=None).isoformat())


def thoroughly(shop: Shop) -> None:
    """Time passes until a look takes its time."""
    shop.clock.set(shop.now().replace(minute=10, second=0, tzinfo=None).isoformat())


async def once(shop: Shop, true: Callable[[Look], bool]) -> Look:
    """The first look that comes to that: what Temporal lists lags a moment behind."""
    async with asyncio.timeout(20):
        while not true(look := await shop.look()):
            continue
    return look


async def reset(shop: Shop, handle: WorkflowHandle[Any, Any]) -> None:
    """What *Reset* in the Temporal UI does, to the beginning and without what was decided."""
    await shop.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=shop.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="test",
            workflow_task_finish_event_id=4,
            request_id=str(uuid4()),
            reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE,
        )
    )


async def test_where_nothing_is_wrong_nothing_is_found(shop: Shop) -> None:
    await shop.fulfil(order(INTERNET))
    handle = await held(shop)
    look = await shop.look()
    assert (look.findings, look.opened, look.closed, look.escalated) == (0, 0, 0, 0)
    await handle.terminate()


async def test_an_order_whose_run_somebody_terminated_is_a_fallout_that_says_what_is_left_behind(shop: Shop) -> None:
    handle = await held(shop)
    await handle.terminate()
    look = await once(shop, lambda x: x.opened > 0)
    assert look.findings == 1
    (gone,) = found(shop)
    assert (gone["code"], str(gone["order_id"])) == ("RUN_GONE", order_of(handle))
    assert "Order 1001 is held and has no run: it is terminated. " in gone["message"]
    assert "Done or under way for it: sync_customer:ACME-BA, initiate_billing:1" in gone["message"]
    assert (await shop.look()).opened == 0


async def test_a_run_that_goes_on_again_is_no_fallout_any_more(shop: Shop) -> None:
    handle = await held(shop)
    await handle.terminate()
    await once(shop, lambda x: x.opened > 0)
    await reset(shop, handle)
    look = await once(shop, lambda x: x.closed > 0)
    assert look.findings == 0
    (closed,) = found(shop, state="closed")
    assert (closed["actor"], closed["reason"]) == ("system", "it is not so any more")
    await shop.client.get_workflow_handle(handle.id).terminate()


async def test_a_run_that_goes_on_after_its_order_is_over_is_a_fallout_until_it_ends(shop: Shop) -> None:
    handle = await held(shop)
    fallout = shop.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'")[0]
    await shop.decide(fallout, "retry")
    await handle.result()
    run = OrderRun(order=order_of(handle), number=1, account="ACME", requested_start=shop.now() + timedelta(days=1))
    again = await shop.client.start_workflow("Order", run, id=handle.id, task_queue=shop.task_queue)
    await once(shop, lambda x: x.opened > 0)
    (left,) = found(shop)
    assert (left["code"], str(left["order_id"])) == ("RUN_LEFT", order_of(handle))
    await again.terminate()
    await once(shop, lambda x: x.closed > 0)


async def test_two_numbers_that_are_equal_hide_no_two_errors_for_long(shop: Shop) -> None:
    lost = shop.submit(order(INTERNET)).id
    change(shop, "UPDATE orderloom.orders SET run_started_at = now()")
    nobodys = str(uuid4())
    run = OrderRun(order=nobodys, number=1, account="ACME", requested_start=shop.now() + timedelta(days=1))
    handle = await shop.client.start_workflow("Order", run, id=workflow_id(nobodys), task_queue=shop.task_queue)
    later(shop, minutes=2)
    async with asyncio.timeout(20):
        while not await counted(shop):
            continue
    assert (await shop.look()).findings == 0
    thoroughly(shop)
    assert (await shop.look()).opened == 2
    assert {(x["code"], x["subject"].rpartition(":")[2]) for x in found(shop)} == {
        ("RUN_GONE", lost),
        ("RUN_LEFT", nobodys),
    }
    await handle.terminate()


async def counted(shop: Shop) -> int:
    query = f"WorkflowType = 'Order' AND ExecutionStatus = 'Running' AND TaskQueue = '{shop.task_queue}'"
    return (await shop.client.count_workflows(query)).count


@workflow.defn(name="Order")
class Defective:
    """An order whose own code is wrong."""

    @workflow.run
    async def run(self, run: OrderRun) -> OrderEnd:
        raise TypeError(run.order)


async def test_a_poisoned_order_is_a_fallout_within_half_a_minute_and_delays_no_other(
    database: Database, temporal_client: Client
) -> None:
    async with open_shop(
        database.app_url, temporal_client, workflows=[Defective, Watch], runner=UnsandboxedWorkflowRunner()
    ) as shop:
        furnish(shop)
        handle = await shop.start(order(INTERNET))
        began = asyncio.get_running_loop().time()
        await schedules.keep(shop.client, task_queue=shop.task_queue, every={"watch": timedelta(seconds=5)})
        try:
            await shop.until(lambda: codes(shop) == ["RUN_FAILS"], within_s=30)
        finally:
            await shop.client.get_schedule_handle(schedules.schedule_id("watch", task_queue=shop.task_queue)).delete()
            await handle.terminate()
        assert asyncio.get_running_loop().time() - began < 30
        (fails,) = found(shop)
        assert "category=WorkflowTaskFailed" in fails["message"]
        assert str(fails["order_id"]) == order_of(handle)


async def test_an_order_that_nobody_starts_is_a_fallout(shop: Shop) -> None:
    stored = shop.submit(order(INTERNET))
    later(shop, minutes=2)
    assert (await shop.look()).opened == 1
    (waits,) = found(shop)
    assert (waits["code"], str(waits["order_id"])) == ("NOT_STARTED", stored.id)


async def test_billing_that_has_been_initiated_for_long_is_a_fallout_before_it_begins_by_itself(shop: Shop) -> None:
    handle = await held(shop)
    later(shop, days=299)
    await shop.look()
    assert "INITIATED_LONG" not in codes(shop)
    later(shop, days=2)
    await shop.look()
    assert "INITIATED_LONG" in codes(shop)
    await handle.terminate()


async def test_what_is_past_its_due_date_is_escalated(shop: Shop) -> None:
    PostgresWorkList(shop.engine).open(
        [Finding(subject="x", type=FalloutType.RECONCILIATION, code="DATE_MISMATCH", message="m")]
    )
    assert (await shop.look()).escalated == 0
    change(shop, "UPDATE orderloom.fallouts SET due_at = now()")
    assert (await shop.look()).escalated == 1
    assert (await shop.look()).escalated == 0


async def test_that_nobody_compares_network_and_billing_any_more_is_a_fallout(shop: Shop) -> None:
    await shop.fulfil(order(INTERNET))
    await shop.reconcile()
    later(shop, hours=4)
    assert (await shop.look()).opened == 1
    (silent,) = found(shop)
    assert silent["code"] == "NOT_RECONCILED"
    assert "it is not scheduled" in silent["message"]
    await schedules.keep(shop.client, task_queue=shop.task_queue, every={"reconciliation": timedelta(hours=9)})
    handle = shop.client.get_schedule_handle(schedules.schedule_id("reconciliation", task_queue=shop.task_queue))
    try:
        assert (await shop.look()).closed == 1
        await handle.pause(note="billing is being repaired")
        await shop.look()
        assert "its schedule is paused: billing is being repaired" in found(shop)[0]["message"]
    finally:
        await handle.delete()
    await shop.reconcile()
    assert (await shop.look()).closed == 1


async def test_a_schedule_that_somebody_has_rewritten_is_looked_at_like_any_other(shop: Shop) -> None:
    await shop.fulfil(order(INTERNET))
    await shop.reconcile()
    await schedules.keep(shop.client, task_queue=shop.task_queue, every={"reconciliation": timedelta(hours=9)})
    handle = shop.client.get_schedule_handle(schedules.schedule_id("reconciliation", task_queue=shop.task_queue))

    def daily(given: ScheduleUpdateInput) -> ScheduleUpdate:
        given.description.schedule.spec = ScheduleSpec(calendars=[ScheduleCalendarSpec()])
        return ScheduleUpdate(schedule=given.description.schedule)

    try:
        await handle.update(daily)
        await handle.pause(note="billing is being repaired")
        later(shop, hours=4)
        await shop.look()
        assert codes(shop) == ["NOT_RECONCILED"]
    finally:
        await handle.delete()


async def test_that_a_comparison_waits_for_hours_for_a_neighbour_that_does_not_list_is_a_fallout(shop: Shop) -> None:
    await shop.fulfil(order(INTERNET))
    await shop.reconcile()
    shop.billing.switches.set("list_active", Switch(mode=Mode.FAIL_BEFORE))
    await schedules.keep(shop.client, task_queue=shop.task_queue, every={"reconciliation": timedelta(hours=9)})
    handle = shop.client.get_schedule_handle(schedules.schedule_id("reconciliation", task_queue=shop.task_queue))
    try:
        await handle.trigger()
        async with asyncio.timeout(20):
            while not (await handle.describe()).info.recent_actions:
                continue
        later(shop, hours=2)
        await shop.look()
        assert "NOT_RECONCILED" not in codes(shop)
        later(shop, hours=3)
        await shop.look()
        assert ["its runs do not succeed" in x["message"] for x in found(shop)] == [True]
    finally:
        await handle.delete()


async def test_two_looks_at_the_same_time_open_one_fallout(shop: Shop) -> None:
    shop.submit(order(INTERNET))
    later(shop, minutes=2)
    looks = await asyncio.gather(*(shop.look() for _ in range(6)))
    assert sum(x.opened for x in looks) == 1
    assert codes(shop) == ["NOT_STARTED"]


async def test_the_runs_of_what_recurs_do_not_bury_those_of_orders(shop: Shop) -> None:
    await shop.fulfil(order(INTERNET))
    await shop.reconcile()
    await shop.look()

    async def left(workflow_type: str) -> int:
        query = f"WorkflowType = '{workflow_type}' AND TaskQueue = '{shop.task_queue}'"
        return (await shop.client.count_workflows(f"{query} AND ExecutionStatus = 'Completed'")).count

    later(shop, hours=2)
    thoroughly(shop)
    async with asyncio.timeout(20):
        while await left("Watch") != 1:
            continue
        await shop.look()
        while await left("Watch") > 1:
            continue
    assert (await left("Order"), await left("Reconciliation")) == (1, 1)
