"""What the network, inventory or billing refuses waits for a person, and goes on as the person decides."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.records import RecordActivities
from adapters.switches import Mode, Switch
from domain.order import State
from domain.progress import Closing, OrderRef, Resolution
from models import views
from models.records import PostgresRecords
from tests.builders import line, order
from tests.shop import Shop, durable_activity_names, hasty
from tests.workflows.catalog import INTERNET, WIRELESS
from workflows import search_attributes
from workflows.start import Declined


def refuse_once() -> Switch:
    return Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT", message="no free port")


@pytest.mark.req("W5")
async def test_a_refusal_parks_the_order_and_a_retry_carries_it_to_its_end(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert (fallout["code"], fallout["type"], fallout["step"]) == ("NO_PORT", "Provisioning", "provision:1")

    assert await shop.decide(fallout, "retry") == "retry of provision:1"

    await handle.result()
    assert shop.state(fallout["order_id"]) == "completed"
    closed = shop.rows("SELECT state, decision, actor, reason FROM orderloom.fallouts")
    assert closed == [{"state": "closed", "decision": "retry", "actor": "ann", "reason": "test"}]


@pytest.mark.req("W5", "B27")
async def test_an_order_whose_only_bundle_is_refused_is_held_with_all_lines_of_the_bundle(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.until(lambda: shop.state(fallout["order_id"]) == "held")
    assert set(shop.line_states(fallout["order_id"]).values()) == {"held"}
    found = await shop.shown(handle, state="held")
    assert found.get(search_attributes.ATTENTION) is True
    assert found.get(search_attributes.STEP) == "provision:1"
    assert found.get(search_attributes.ERROR) == "NO_PORT: no free port"

    await shop.decide(fallout, "retry")
    await handle.result()
    found = await shop.shown(handle, state="completed")
    assert found.get(search_attributes.ATTENTION) is False
    assert found.get(search_attributes.STEP) is None


class AMomentAgo(PostgresRecords):
    """Read before the second bundle fell out as well."""

    def states(self, order: str) -> Mapping[str, State]:
        return {**super().states(order), "2": State.IN_PROGRESS}


@pytest.mark.req("W5", "B27")
async def test_a_decision_about_one_bundle_does_not_touch_another_that_falls_out_meanwhile(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=2, code="NO_PORT"))
    order_id = (await shop.start(order(INTERNET, INTERNET))).id.removeprefix("order-")
    await shop.until(lambda: shop.line_states(order_id) == {"1": "held", "2": "held"})
    (id_,) = (x["id"] for x in shop.rows("SELECT id FROM orderloom.fallouts WHERE step = 'provision:1'"))

    decided = Resolution(fallout=id_, decision="retry", actor="ann", reason="test")
    closing = Closing(ref=OrderRef(order=order_id), resolution=decided, step="provision:1")
    RecordActivities(AMomentAgo(shop.engine), shop.clock).close_fallout(closing)

    assert shop.line_states(order_id) == {"1": "inProgress", "2": "held"}


async def test_the_details_of_the_run_say_what_to_send(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.shown(handle, state="held")
    text = await shop.details(handle)
    to_send = json.loads(text.split("```json")[1].split("```")[0])
    assert (to_send["fallout"], to_send["decision"]) == (fallout["id"], "retry")
    assert "NO_PORT: no free port" in text
    assert "(Provisioning, priority 3, due 2" in text
    assert "| ✗ | provision | 1 WIRELESS |" in text
    await shop.decide(fallout, "retry")
    await handle.result()


async def test_a_refused_nested_service_does_not_hold_up_the_billing_of_the_one_around_it(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, match='"SMS"', remaining=1, code="NO_SMSC"))
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert fallout["step"] == "provision:1.5"
    await shop.until(lambda: shop.steps(fallout["order_id"])["fulfill_billing:1"] == "done")
    assert shop.steps(fallout["order_id"])["fulfill_billing:1.5"] == "pending"
    await shop.decide(fallout, "retry")
    await handle.result()
    assert shop.one("SELECT count(*) FROM billing.service_instances WHERE status = 'active'") == 2


async def test_what_waits_for_a_refused_step_is_still_to_come(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert fallout["step"] == "provision:1"
    began = shop.rows("SELECT state, started_at FROM orderloom.plan_items WHERE id = 'provision:1.5'")
    assert began == [{"state": "pending", "started_at": None}]
    await shop.decide(fallout, "retry")
    await handle.result()
    assert shop.steps(fallout["order_id"])["provision:1.5"] == "done"


async def test_a_step_that_the_network_is_at_work_on_once_more_shows_as_under_way(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=1000, remaining=1))
    await shop.decide(fallout, "retry")
    await shop.until(lambda: shop.one("SELECT count(*) FROM provisioning.calls WHERE operation = 'activate'") == 2)
    assert shop.steps(fallout["order_id"])["provision:1"] == "inProgress"
    assert (await handle.result()).state == "completed"


async def test_giving_a_bundle_up_leaves_nothing_behind_in_any_ledger(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))

    await shop.decide(fallout, "abort")

    await handle.result()
    assert shop.state(fallout["order_id"]) == "failed"
    assert set(shop.line_states(fallout["order_id"]).values()) == {"failed"}
    assert {x["status"] for x in shop.rows("SELECT status FROM billing.service_instances")} == {"voided"}
    assert shop.one("SELECT count(*) FROM billing.charges") == 0
    assert {x["state"] for x in shop.rows("SELECT DISTINCT state FROM inventory.numbers")} == {"available"}
    assert shop.provisioning.list_active(as_of=shop.now()) == ()
    assert shop.one("SELECT count(*) FROM orderloom.assets") == 0


async def test_what_nobody_has_to_decide_any_more_is_cancelled(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    shop.inventory.switches.set("deliver", Switch(mode=Mode.REFUSE, remaining=1, code="NO_DRIVER"))
    handle = await shop.start(order(line("WIRELESS", line("RATE"), line("PHONE"))))
    await shop.until(lambda: shop.one("SELECT count(*) FROM orderloom.fallouts WHERE state = 'open'") == 2)
    (fallout,) = shop.rows("SELECT * FROM orderloom.fallouts WHERE code = 'NO_PORT'")
    await shop.decide(fallout, "abort")
    await handle.result()
    ended = {x["code"]: (x["state"], x["actor"]) for x in shop.rows("SELECT * FROM orderloom.fallouts")}
    assert ended == {"NO_PORT": ("closed", "ann"), "NO_DRIVER": ("cancelled", "system")}


async def test_one_bundle_given_up_leaves_the_other_and_the_order_is_partial(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, match='"WIRELESS"', remaining=1))
    handle = await shop.start(order(WIRELESS, INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.decide(fallout, "abort")
    await handle.result()
    assert shop.state(fallout["order_id"]) == "partial"
    assert shop.line_states(fallout["order_id"])["2"] == "completed"


@pytest.mark.req("B27", "F11")
async def test_a_shortage_holds_the_line_that_wants_what_is_short_and_is_corrected_there(shop: Shop) -> None:
    handle = await shop.start(order(line("WIRELESS", line("RATE"), line("PHONE", location="MOON"))))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert (fallout["step"], fallout["line"], fallout["code"]) == ("reserve:1", "1.2", "UNKNOWN_ITEM")
    states = shop.line_states(fallout["order_id"])
    assert states == {"1": "inProgress", "1.1": "inProgress", "1.2": "held"}
    await shop.decide(fallout, "retry_with", location="MAIN")
    await handle.result()
    assert set(shop.line_states(fallout["order_id"]).values()) == {"completed"}


async def test_corrected_input_reaches_the_network_and_the_asset(shop: Shop) -> None:
    shop.inventory.switches.set("reserve", Switch(mode=Mode.REFUSE, remaining=1, code="NUMBER_TAKEN"))
    handle = await shop.start(order(line("WIRELESS", line("RATE"), service_id="+1-555-0999")))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert fallout["type"] == "Inventory Allocation"
    await shop.decide(fallout, "retry_with", service_id="+1-555-0105")
    await handle.result()
    assert shop.one("SELECT service_id FROM orderloom.assets WHERE product = 'WIRELESS'") == "+1-555-0105"
    assert shop.one("SELECT service_id FROM billing.service_instances") == "+1-555-0105"


async def test_a_step_done_by_hand_is_skipped_and_billed_from_then(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE))
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.decide(fallout, "skip")
    await handle.result()
    assert shop.steps(fallout["order_id"])["provision:1"] == "skipped"
    assert shop.one("SELECT status FROM billing.service_instances") == "active"


@pytest.mark.req("W3")
@pytest.mark.parametrize("mode", [Mode.FAIL_BEFORE, Mode.FAIL_AFTER, Mode.LOSE_ANSWER])
@pytest.mark.parametrize(
    ("system", "operation"),
    [
        ("inventory", "reserve"),
        ("inventory", "commit"),
        ("provisioning", "activate"),
        ("billing", "sync_customer"),
        ("billing", "initiate"),
        ("billing", "fulfill"),
    ],
)
async def test_a_passing_fault_of_a_neighbour_heals_by_itself(
    shop: Shop, system: str, operation: str, mode: Mode
) -> None:
    getattr(shop, system).switches.set(operation, Switch(mode=mode, remaining=2))
    done = await shop.fulfil(order(WIRELESS))
    assert shop.state(done) == "completed"
    assert shop.one("SELECT count(*) FROM orderloom.fallouts") == 0
    assert shop.one("SELECT count(*) FROM billing.service_instances") == 2


async def test_a_fault_that_does_not_pass_falls_out_and_says_how_often_it_was_tried(shop: Shop) -> None:
    shop.billing.switches.set("initiate", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert (fallout["type"], fallout["code"]) == ("Billing", "Unavailable")
    assert fallout["attempts"] > 2
    shop.billing.switches.clear("initiate")
    await shop.decide(fallout, "retry")
    await handle.result()
    assert shop.one("SELECT count(*) FROM billing.service_instances") == 1


async def test_a_network_that_takes_its_time_is_asked_again_and_billed_from_its_proof(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=700))
    done = await shop.fulfil(order(INTERNET))
    proof = shop.one("SELECT actual_at FROM orderloom.plan_items WHERE function = 'provision'")
    assert shop.one("SELECT purchase_start FROM billing.purchases") == proof
    assert shop.state(done) == "completed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fallout": "0-0"}, "NOT_OPEN"),
        ({"decision": "explode"}, "NOT_ALLOWED"),
        ({"actor": " "}, "NO_REASON"),
        ({"reason": ""}, "NO_REASON"),
        ({"reason": "because " * 13_000}, "INPUT"),
        ({"reason": "because\0"}, "INPUT"),
        ({"decision": "retry_with", "input": {"attributes": {"apn": "\0"}}}, "INPUT"),
        ({"decision": "retry_with", "input": {"price": "0"}}, "INPUT"),
    ],
)
async def test_a_decision_that_makes_no_sense_is_refused_and_changes_nothing(
    shop: Shop, change: dict[str, str], code: str
) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    given = {"fallout": fallout["id"], "decision": "retry", "actor": "ann", "reason": "test"} | change
    with pytest.raises(Declined) as refused:
        await shop.resolve(str(fallout["order_id"]), Resolution(**given))
    assert refused.value.code == code
    await shop.decide(fallout, "retry")
    await handle.result()


@pytest.mark.req("W5")
@pytest.mark.parametrize(
    ("missing", "code"), [("fallout", "NOT_OPEN"), ("decision", "NOT_ALLOWED"), ("reason", "NO_REASON")]
)
async def test_who_types_a_decision_in_the_temporal_ui_is_told_what_is_missing(
    shop: Shop, missing: str, code: str
) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    given = {"fallout": fallout["id"], "decision": "retry", "actor": "ann", "reason": "test"}
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("resolve", {name: x for name, x in given.items() if name != missing})
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == code
    assert await handle.execute_update("resolve", given) == "retry of provision:1"
    await handle.result()


async def test_the_same_decision_sent_twice_counts_once(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    answers = await asyncio.gather(*(shop.decide(fallout, "retry") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(x, str) for x in answers) == 1
    await handle.result()
    assert shop.one("SELECT count(*) FROM provisioning.calls WHERE operation = 'activate'") == 2


def asked_times(shop: Shop, times: int) -> bool:
    """Whether a person has been asked so often."""
    return bool(shop.one("SELECT count(*) FROM orderloom.fallouts") == times)


@pytest.mark.req("W5")
async def test_a_signal_without_words_is_ignored_and_the_run_goes_on(shop: Shop) -> None:
    """In the Temporal UI the input may be left empty; a batch does that to every run at once."""
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    for signal in ("retry", "skip", "set_actual_date", "cancel", "approve", "reject", "asset_free"):
        await handle.signal(signal)
    await handle.signal("asset_free", {})
    assert "A wish to cancel was ignored" in await shop.details(handle)
    assert await shop.decide(fallout, "retry") == "retry of provision:1"
    await handle.result()
    assert shop.state(fallout["order_id"]) == "completed"


@pytest.mark.parametrize("is_told_again", [True, False])
async def test_after_a_reset_too_a_retry_is_a_new_attempt(shop: Shop, *, is_told_again: bool) -> None:
    """What was refused before, and how often, a run that was reset has forgotten: the rows have not."""
    shop.provisioning.switches.set("activate", replace(refuse_once(), remaining=3))
    handle = await shop.start(order(INTERNET))
    order_id = handle.id.removeprefix("order-")
    for n in (1, 2):
        await shop.decide(await shop.fallout(order_id), "retry")
        await shop.until(partial(asked_times, shop, n + 1))
    fallout = await shop.fallout(order_id)

    again = await shop.rewind(handle, is_told_again=is_told_again)

    await shop.shown(again, state="held", attention=True)
    await shop.decide(fallout, "retry")
    await again.result()
    assert shop.state(order_id) == "completed"
    assert asked_times(shop, 3)
    await shop.is_sound()


@pytest.mark.req("W5")
async def test_the_retry_signal_serves_batches(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await handle.signal("retry", Resolution(fallout=fallout["id"], decision="retry", actor="ann", reason="batch"))
    await handle.result()
    assert shop.state(fallout["order_id"]) == "completed"


async def test_what_nonsense_a_signal_carries_is_ignored(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await handle.signal("retry", Resolution(fallout="0-0", decision="retry", actor="ann", reason="batch"))
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("resolve", Resolution(fallout="0-0", decision="retry", actor="a", reason="b"))
    await shop.decide(fallout, "retry")
    await handle.result()


async def test_a_bundle_is_not_given_up_while_billing_may_have_charged_for_it(shop: Shop) -> None:
    shop.billing.switches.set("purchase", Switch(mode=Mode.LOSE_ANSWER))
    shop.billing.switches.set("query", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(line("WIRELESS", line("PHONE"))))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    found = views.fallout(shop.engine, fallout["id"])
    assert found is not None
    assert (found["step"], found["decisions"]) == ("purchase:1.1", ["retry"])
    shop.billing.switches.clear("purchase")
    shop.billing.switches.clear("query")
    await shop.decide(fallout, "retry")
    await handle.result()
    assert shop.one("SELECT count(*) FROM billing.purchases") == 1


async def test_an_order_resumes_before_it_ends(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE))
    handle = await shop.start(order(WIRELESS, INTERNET))
    identity = handle.id.removeprefix("order-")
    await shop.until(lambda: shop.state(identity) == "held")
    for fallout in shop.rows("SELECT * FROM orderloom.fallouts"):
        await shop.decide(fallout, "abort")
    await handle.result()
    events = shop.rows("SELECT type FROM orderloom.order_events WHERE order_id = :o ORDER BY seq", o=identity)
    states = [x["type"] for x in events if x["type"] in ("held", "inProgress", "failed")]
    assert states[:3] == ["inProgress", "held", "inProgress"]
    assert states[-2:] == ["inProgress", "failed"]


async def test_a_bundle_is_not_given_up_while_its_goods_are_on_their_way(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    shop.inventory.switches.set("deliver", Switch(mode=Mode.DELAY, ms=1_500))
    handle = await shop.start(order(line("WIRELESS", line("RATE"), line("PHONE"))))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    with pytest.raises(Declined) as refused:
        await shop.decide(fallout, "abort")
    assert refused.value.code == "NOT_ALLOWED"
    await shop.decide(fallout, "retry")
    await handle.result()
    assert shop.state(str(fallout["order_id"])) == "completed"


@pytest.mark.req("W5")
async def test_a_network_that_is_down_is_seen_before_anybody_is_asked(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(INTERNET), patience=hasty(give_up_s=30.0))
    await shop.until(lambda: shop.one("SELECT COALESCE(max(attempts), 0) FROM orderloom.plan_items") > 2)
    found = await shop.shown(handle, state="inProgress")
    assert found.get(search_attributes.STEP) == "provision:1"
    assert "Waiting at `provision:1`" in await shop.details(handle)
    shop.provisioning.switches.clear("activate")
    await handle.result()
    assert (await shop.shown(handle, state="completed")).get(search_attributes.STEP) is None


async def test_giving_up_an_account_that_billing_refuses_gives_up_every_bundle_that_needs_it(shop: Shop) -> None:
    shop.billing.switches.set("sync_customer", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_CLOSED"))
    handle = await shop.start(order(WIRELESS, INTERNET))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert fallout["step"] == "sync_customer:ACME-BA"
    await shop.decide(fallout, "abort")
    await handle.result()
    assert shop.state(str(fallout["order_id"])) == "failed"
    assert set(shop.line_states(str(fallout["order_id"])).values()) == {"failed"}
    assert shop.provisioning.list_active(as_of=shop.now()) == ()


@pytest.mark.req("W5")
async def test_an_undo_that_does_not_succeed_calls_a_person_and_goes_on_by_itself(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    shop.billing.switches.set("void_initiated", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.decide(fallout, "abort")
    await shop.until(lambda: "undo" in str(shop.rows("SELECT last_error FROM orderloom.plan_items")))
    await asyncio.sleep(0.3)
    found = (await handle.describe()).typed_search_attributes
    assert found.get(search_attributes.ATTENTION) is True
    assert found.get(search_attributes.STEP) == "initiate_billing:1"
    shop.billing.switches.clear("void_initiated")
    await handle.result()
    assert (await shop.shown(handle, state="failed")).get(search_attributes.ATTENTION) is False


async def test_what_went_wrong_and_what_was_decided_is_on_record_before_it_is_written_down(shop: Shop) -> None:
    shop.inventory.switches.set("reserve", refuse_once())
    handle = await shop.start(order(WIRELESS))
    await shop.decide(await shop.fallout(handle.id.removeprefix("order-")), "retry")
    await handle.result()
    assert {"open_fallout", "close_fallout"} <= set(await durable_activity_names(handle))


async def test_an_order_is_not_held_before_somebody_is_asked(shop: Shop) -> None:
    shop.inventory.switches.set("reserve", refuse_once())
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.until(lambda: shop.state(fallout["order_id"]) == "held")
    events = shop.rows(
        "SELECT type FROM orderloom.order_events WHERE order_id = :o ORDER BY seq", o=fallout["order_id"]
    )
    assert [x["type"] for x in events][-2:] == ["fallout_opened", "held"]
    await shop.decide(fallout, "retry")
    await handle.result()


@pytest.mark.req("W3")
@pytest.mark.parametrize(("system", "operation"), [("inventory", "reserve"), ("provisioning", "activate")])
async def test_a_neighbour_that_asks_for_a_pause_is_left_alone_for_so_long(
    shop: Shop, system: str, operation: str
) -> None:
    getattr(shop, system).switches.set(operation, Switch(mode=Mode.FAIL_BEFORE, remaining=1, ms=600))
    await shop.fulfil(order(WIRELESS))
    journal = f"SELECT outcome, at FROM {system}.journal WHERE operation = :o ORDER BY at LIMIT 2"  # noqa: S608
    failed, applied = shop.rows(journal, o=operation)
    assert (failed["outcome"], applied["outcome"]) == ("failed", "applied")
    assert applied["at"] - failed["at"] >= timedelta(seconds=0.6)


async def test_an_undo_leaves_a_neighbour_alone_that_asks_for_a_pause(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", refuse_once())
    shop.inventory.switches.set("release", Switch(mode=Mode.FAIL_BEFORE, remaining=2, ms=600))
    handle = await shop.start(order(WIRELESS))
    await shop.decide(await shop.fallout(handle.id.removeprefix("order-")), "abort")
    await handle.result()
    journal = "SELECT at FROM inventory.journal WHERE operation = 'release' ORDER BY at"
    first, second, third = (x["at"] for x in shop.rows(journal))
    assert min(second - first, third - second) >= timedelta(seconds=0.6)
