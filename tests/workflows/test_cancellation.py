"""An order under way is cancelled, or truly cannot be any more."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from adapters.switches import Mode, Switch
from domain.order import Order
from domain.progress import Cancellation
from tests.boundaries import Watched
from tests.builders import Line, line, order
from tests.shop import Shop, durable_activity_names, hasty
from tests.workflows.catalog import INTERNET, WIRELESS
from workflows import start
from workflows.messages import OrderRun, workflow_id
from workflows.start import CutShort, Declined

GOODS = line("WIRELESS", line("RATE"), line("PHONE"))
ORDERS: dict[str, Order] = {
    "a bundle in two phases, with a nested service": order(WIRELESS),
    "a simple service bundle": order(INTERNET),
    "goods beside a service": order(GOODS),
    "two services": order(WIRELESS, INTERNET),
}


def nothing_is_left(shop: Shop, order_id: str) -> None:
    """Whatever was done for the order is taken back, in all three ledgers."""
    held = "SELECT count(*) FROM inventory.reservations WHERE order_id = :o AND state <> 'released'"
    assert shop.one(held, o=order_id) == 0
    lines = shop.rows("SELECT asset FROM orderloom.order_lines WHERE order_id = :o", o=order_id)
    assets = [str(x["asset"]) for x in lines]
    for question in (
        "SELECT count(*) FROM inventory.numbers WHERE reservation LIKE :o || '%'",
        "SELECT count(*) FROM orderloom.assets WHERE created_by_order = CAST(:o AS uuid)",
    ):
        assert shop.one(question, o=order_id) == 0
    for question in (
        "SELECT count(*) FROM billing.service_instances WHERE asset = ANY(:a) AND status <> 'voided'",
        "SELECT count(*) FROM billing.purchases WHERE asset = ANY(:a) AND status <> 'voided'",
        "SELECT count(*) FROM billing.charges c JOIN billing.purchases p ON p.id = c.purchase WHERE p.asset = ANY(:a)",
        "SELECT count(*) FROM provisioning.services WHERE service = ANY(:a) AND until IS NULL",
    ):
        assert shop.one(question, a=assets) == 0, question


@pytest.mark.req("F23")
@pytest.mark.timeout(300)  # dozens of orders: 12 seconds by itself
@pytest.mark.parametrize("kind", ORDERS)
async def test_a_cancellation_at_any_boundary_is_answered_truly(watched: Watched, kind: str) -> None:
    shop, wanted = watched.shop, ORDERS[kind]
    points = await watched.golden(wanted)

    answers = await watched.asked_at_each(points, wanted, shop.cancel)

    for point, (order_id, answer) in zip(points, answers, strict=True):
        state = shop.state(order_id)
        if answer == "pendingCancellation":
            assert state == "cancelled", (str(point), answer)
            assert set(shop.line_states(order_id).values()) == {"cancelled"}
            nothing_is_left(shop, order_id)
        else:
            assert answer.split()[0] in ("NO_RETURN", "NOT_OPEN"), (str(point), answer)
            assert state == "completed", (str(point), answer)
    said = {answer.split()[0] for _, answer in answers}
    assert not watched.boundaries.stumbling or {"pendingCancellation", "NO_RETURN"} <= said, "both must have happened"
    await shop.is_sound()


@pytest.mark.req("W5")
async def test_a_held_order_is_cancelled_and_its_fallout_with_it(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(order(WIRELESS))
    order_id = handle.id.removeprefix("order-")
    await shop.fallout(order_id)

    assert await shop.cancel(order_id) == "pendingCancellation"

    await handle.result()
    assert shop.state(order_id) == "cancelled"
    nothing_is_left(shop, order_id)
    undone = "SELECT body ->> 'step' AS step FROM orderloom.order_events WHERE type = 'step_undone' ORDER BY seq"
    assert [x["step"] for x in shop.rows(undone)] == ["provision:1", "initiate_billing:1", "reserve:1"], "last first"
    (fallout,) = shop.rows("SELECT state, decision, reason FROM orderloom.fallouts")
    assert fallout == {"state": "cancelled", "decision": "abort", "reason": "the order is cancelled"}
    (audited,) = shop.rows("SELECT actor, decision, reason FROM orderloom.audit WHERE action = 'order.cancel'")
    assert audited == {"actor": "ann", "decision": "accepted", "reason": "changed their mind"}


async def test_an_order_waiting_for_its_start_is_cancelled_at_once(shop: Shop) -> None:
    handle = await shop.start(order(INTERNET, requested_start=shop.now() + timedelta(days=30)))
    order_id = handle.id.removeprefix("order-")
    await shop.until(lambda: shop.state(order_id) == "pending")

    await shop.cancel(order_id)

    await asyncio.wait_for(handle.result(), timeout=10)
    assert (shop.state(order_id), shop.steps(order_id)) == ("cancelled", {})
    assert set(shop.line_states(order_id).values()) == {"cancelled"}


async def test_a_refusal_names_line_and_step_and_the_order_goes_on(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=1500, remaining=1))
    handle = await shop.start(order(INTERNET))
    order_id = handle.id.removeprefix("order-")
    await shop.until(lambda: shop.rows("SELECT FROM provisioning.calls WHERE key LIKE :o || '%'", o=order_id) != [])

    with pytest.raises(Declined) as refused:
        await shop.cancel(order_id)

    assert (refused.value.code, refused.value.details) == ("NO_RETURN", ("1", "provision:1"))
    assert "wanted to cancel: refused, provision:1 is past the point of no return" in await shop.details(handle)
    await handle.result()
    assert shop.state(order_id) == "completed"
    events = [
        x["type"]
        for x in shop.rows("SELECT type FROM orderloom.order_events WHERE order_id = :o ORDER BY seq", o=order_id)
    ]
    asked = events.index("assessingCancellation")
    assert events[asked + 1] == "inProgress"


@pytest.mark.parametrize("bundle", [INTERNET, WIRELESS], ids=["without a number", "with a number"])
async def test_force_takes_down_what_runs_and_is_not_billed_yet(shop: Shop, bundle: Line) -> None:
    shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, code="ACCOUNT_UNKNOWN"))
    handle = await shop.start(order(bundle))
    order_id = handle.id.removeprefix("order-")
    await shop.fallout(order_id)
    with pytest.raises(Declined):
        await shop.cancel(order_id)

    assert await shop.cancel(order_id, force=True) == "pendingCancellation"

    await handle.result()
    assert shop.state(order_id) == "cancelled"
    nothing_is_left(shop, order_id)
    forced = shop.one("SELECT body FROM orderloom.audit WHERE action = 'order.cancel' AND decision = 'accepted'")
    assert forced == {"force": True}


async def test_force_does_not_take_back_what_a_customer_has_in_hands(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    handle = await shop.start(order(GOODS))
    order_id = handle.id.removeprefix("order-")
    await shop.fallout(order_id)
    await shop.until(lambda: shop.steps(order_id)["deliver:1.2"] == "done")
    with pytest.raises(Declined) as refused:
        await shop.cancel(order_id, force=True)
    assert refused.value.details == ("1.2", "deliver:1.2")
    shop.provisioning.switches.clear()
    await shop.decide(await shop.fallout(order_id), "retry")
    await handle.result()


async def test_a_neighbour_that_is_away_is_not_waited_for_once_the_order_is_cancelled(shop: Shop) -> None:
    shop.billing.switches.set("initiate", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(WIRELESS), patience=hasty(give_up_s=1000, pause_s=100, longest_pause_s=100))
    order_id = handle.id.removeprefix("order-")
    await shop.until(lambda: shop.rows("SELECT FROM billing.attempts WHERE key LIKE :o || '%'", o=order_id) != [])

    await shop.cancel(order_id)

    await asyncio.wait_for(handle.result(), timeout=15)
    assert shop.state(order_id) == "cancelled"
    nothing_is_left(shop, order_id)


async def test_temporals_own_cancellation_is_a_wish_like_any_other(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(order(WIRELESS))
    order_id = handle.id.removeprefix("order-")
    await shop.fallout(order_id)

    await handle.cancel()

    await asyncio.wait_for(handle.result(), timeout=15)
    assert shop.state(order_id) == "cancelled"
    nothing_is_left(shop, order_id)


async def test_temporals_own_cancellation_past_the_point_of_no_return_stops_nothing(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=1000, remaining=1))
    handle = await shop.start(order(INTERNET))
    order_id = handle.id.removeprefix("order-")
    await shop.until(lambda: shop.rows("SELECT FROM provisioning.calls WHERE key LIKE :o || '%'", o=order_id) != [])

    await handle.cancel()

    assert (await handle.result()).state == "completed"
    assert shop.state(order_id) == "completed"


@pytest.mark.req("W5")
async def test_many_orders_are_cancelled_by_signal(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    handles = [await shop.start(order(INTERNET)) for _ in range(3)]
    for handle in handles:
        await shop.fallout(handle.id.removeprefix("order-"))
        await handle.signal("cancel", Cancellation(actor="ann", reason="batch"))
    for handle in handles:
        await handle.result()
        assert shop.state(handle.id.removeprefix("order-")) == "cancelled"


@pytest.mark.req("W5")
@pytest.mark.parametrize("given", [{}, {"actor": "ann"}, {"actor": "ann", "reason": " "}])
async def test_who_does_not_say_why_cancels_nothing_and_is_told_so(shop: Shop, given: dict[str, str]) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))

    await handle.signal("cancel", given)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("cancel", given)

    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "NO_REASON"
    assert "A wish to cancel was ignored: actor and reason are needed." in await shop.details(handle)
    await shop.decide(fallout, "retry")
    await handle.result()
    assert shop.state(fallout["order_id"]) == "completed"


async def test_one_of_two_bundles_had_failed_when_the_order_is_cancelled(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    handle = await shop.start(order(WIRELESS, INTERNET))
    order_id = handle.id.removeprefix("order-")
    await shop.until(lambda: len(shop.rows("SELECT FROM orderloom.fallouts WHERE state = 'open'")) == 2)
    (first, _) = shop.rows("SELECT * FROM orderloom.fallouts ORDER BY step")
    await shop.decide(first, "abort")
    await shop.until(lambda: "failed" in shop.line_states(order_id).values())

    await shop.cancel(order_id)

    await handle.result()
    assert shop.state(order_id) == "cancelled"
    assert set(shop.line_states(order_id).values()) == {"failed", "cancelled"}
    nothing_is_left(shop, order_id)


async def test_a_terminated_run_goes_on_from_where_it_was(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(order(WIRELESS))
    order_id = handle.id.removeprefix("order-")
    fallout = await shop.fallout(order_id)
    with pytest.raises(Declined):
        await start.carry_on(shop.client, order_id)
    await handle.terminate("by mistake")

    await start.carry_on(shop.client, order_id)

    await shop.shown(handle, state="held")
    await shop.decide(fallout, "retry")
    await shop.until(lambda: shop.state(order_id) == "completed")
    assert shop.one("SELECT count(*) FROM billing.service_instances") == 2
    await shop.is_sound()


async def test_a_run_that_was_terminated_before_a_worker_had_begun_it_goes_on_too(shop: Shop) -> None:
    stored = shop.submit(order(WIRELESS))
    run = OrderRun(order=stored.id, number=stored.number, account="ACME")
    await start.start_order(shop.client, run, task_queue="nobody-polls-this", now=shop.now())
    handle = shop.client.get_workflow_handle(workflow_id(stored.id))
    await handle.terminate("by mistake")

    again = await start.carry_on(shop.client, stored.id)

    found = await handle.describe()
    assert (found.status, found.run_id) == (WorkflowExecutionStatus.RUNNING, again)
    await handle.terminate()


@pytest.mark.req("W1")
async def test_a_run_that_was_terminated_while_its_order_was_taken_back_is_found_and_takes_back_the_rest(
    shop: Shop,
) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    handle = await shop.start(order(WIRELESS))
    order_id = handle.id.removeprefix("order-")
    await shop.fallout(order_id)
    shop.billing.switches.set("void_initiated", Switch(mode=Mode.FAIL_BEFORE))
    await shop.cancel(order_id)
    await shop.until(lambda: shop.rows("SELECT FROM billing.attempts WHERE operation = 'void_initiated'") != [])

    await handle.terminate("it takes so long")

    assert "I5" in await shop.broken()
    await start.carry_on(shop.client, order_id)
    shop.billing.switches.clear()
    await shop.until(lambda: shop.state(order_id) == "cancelled")
    nothing_is_left(shop, order_id)


async def test_what_was_skipped_by_hand_cannot_be_cancelled(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="LATER"))
    handle = await shop.start(order(INTERNET))
    order_id = handle.id.removeprefix("order-")
    await shop.decide(await shop.fallout(order_id), "skip")
    later = await shop.fallout(order_id)

    with pytest.raises(Declined) as refused:
        await shop.cancel(order_id)

    assert refused.value.details == ("1", "provision:1")
    await shop.decide(later, "retry")
    await handle.result()


async def test_a_wish_to_cancel_is_on_record_before_it_is_written_down(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    handle = await shop.start(order(INTERNET))
    await shop.fallout(handle.id.removeprefix("order-"))
    await shop.cancel(handle.id.removeprefix("order-"))
    await handle.result()
    assert "assess" in await durable_activity_names(handle)


async def test_who_asks_a_run_that_goes_before_it_has_answered_is_not_told_no(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    handle = await shop.start(order(INTERNET))
    order_id = handle.id.removeprefix("order-")
    await shop.shown(handle, state="held")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with shop.engine.begin() as in_the_way:
        in_the_way.execute(text("SELECT FROM orderloom.orders FOR UPDATE"))
        asking = asyncio.create_task(shop.cancel(order_id))
        await shop.until(lambda: shop.one(waiting) > 0)
        await handle.terminate("by mistake")

        with pytest.raises(CutShort):
            await asking


@pytest.mark.req("W5")
async def test_an_undo_that_is_refused_is_asked_for_anew_until_it_is_done(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    shop.inventory.switches.set("release", Switch(mode=Mode.REFUSE, remaining=2, code="IN_REPAIR"))
    handle = await shop.start(order(WIRELESS))
    order_id = handle.id.removeprefix("order-")
    await shop.decide(await shop.fallout(order_id), "abort")

    await asyncio.wait_for(handle.result(), timeout=20)

    asked = [x["key"] for x in shop.rows("SELECT key FROM inventory.calls WHERE operation = 'release' ORDER BY key")]
    undo = f"{order_id}:1:reserve:0:undo"
    assert asked == [undo, f"{undo}:1", f"{undo}:2"]
    assert shop.state(order_id) == "failed"
    await shop.is_sound()
