"""Changes of an order under way that meet one another, or something else that happens to it."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from adapters.switches import Mode, Switch
from domain.approval import Approval
from domain.money import Money
from domain.order import Action, Order
from domain.progress import Resolution
from tests.boundaries import Boundaries, Boundary
from tests.builders import ACCOUNTS, bundle, changed, line, order, raw, without
from tests.conftest import Database
from tests.shop import Shop, hasty, open_shop
from tests.workflows.catalog import INTERNET, PRODUCTS, WIRELESS, furnish
from workflows import start
from workflows.messages import OrderEnd, Patience, RevisionWish
from workflows.start import Declined

NO_PORT = Switch(mode=Mode.REFUSE, code="NO_PORT")
AWAY = Switch(mode=Mode.FAIL_BEFORE)
ANOTHER_ACCOUNT = {"billing_account": "ACME-ZA", "billing_profile": "ACME-ZP"}
STUBBORN = hasty(give_up_s=1000, pause_s=100, longest_pause_s=100)
"""A step that fails is tried again only after the test."""


@pytest.fixture
async def sound(shop: Shop) -> AsyncIterator[Shop]:
    """A house in which everything adds up at the end of the test."""
    yield shop
    await shop.is_sound()


async def started(
    shop: Shop, wanted: Order, *, patience: Patience | None = None, approvals: tuple[str, ...] = ()
) -> tuple[str, WorkflowHandle[Any, Any]]:
    handle = await shop.start(wanted, patience=patience, approvals=approvals)
    return handle.id.removeprefix("order-"), handle


async def in_force(shop: Shop, order_id: str, revision: int) -> None:
    await shop.until(lambda: shop.one("SELECT revision FROM orderloom.orders WHERE id = :o", o=order_id) == revision)


async def open_fallout(shop: Shop, order_id: str, step: str) -> dict[str, Any]:
    asked = "SELECT * FROM orderloom.fallouts WHERE order_id = :o AND step = :s AND state = 'open'"
    await shop.until(lambda: shop.rows(asked, o=order_id, s=step) != [])
    return shop.rows(asked, o=order_id, s=step)[0]


async def end(handle: WorkflowHandle[Any, Any]) -> str:
    return str((await asyncio.wait_for(handle.result(), timeout=20)).state)


async def test_an_account_that_billing_refuses_is_not_asked_about_once_a_revision_names_another(sound: Shop) -> None:
    sound.account("ACME-ZA")
    sound.billing.switches.set("sync_customer", Switch(mode=Mode.REFUSE, match='"ACME-ZA"', code="UNWANTED"))
    wanted = order(line("WIRELESS", line("RATE"), **ANOTHER_ACCOUNT), INTERNET)
    order_id, handle = await started(sound, wanted)
    await open_fallout(sound, order_id, "sync_customer:ACME-ZA")
    ours = {"billing_account": "ACME-BA", "billing_profile": "ACME-BP"}

    assert await sound.revise(order_id, changed(changed(wanted, "1", **ours), "1.1", **ours)) == "accepted"

    assert await end(handle) == "completed"


async def test_an_account_that_billing_refuses_is_not_asked_about_once_its_only_bundle_is_dropped(sound: Shop) -> None:
    sound.account("ACME-ZA")
    sound.billing.switches.set("sync_customer", Switch(mode=Mode.REFUSE, match='"ACME-ZA"', code="UNWANTED"))
    wanted = order(line("WIRELESS", line("RATE"), **ANOTHER_ACCOUNT), INTERNET)
    order_id, handle = await started(sound, wanted)
    await open_fallout(sound, order_id, "sync_customer:ACME-ZA")

    assert await sound.revise(order_id, without(wanted, "1")) == "accepted"

    assert await end(handle) == "completed"
    assert set(sound.line_states(order_id).values()) == {"cancelled", "completed"}


BOTH = order(*2 * (line("WIRELESS", line("RATE"), **ANOTHER_ACCOUNT),))


async def both_wait_for_their_account(shop: Shop) -> tuple[str, WorkflowHandle[Any, Any], dict[str, Any]]:
    """An order of two bundles under an account that billing refuses, its run, and the question about that."""
    shop.account("ACME-ZA")
    shop.billing.switches.set("sync_customer", Switch(mode=Mode.REFUSE, match='"ACME-ZA"', code="UNWANTED"))
    order_id, handle = await started(shop, BOTH)
    return order_id, handle, await open_fallout(shop, order_id, "sync_customer:ACME-ZA")


async def test_what_two_bundles_wait_for_is_given_up_with_the_one_that_is_left(sound: Shop) -> None:
    order_id, handle, _ = await both_wait_for_their_account(sound)
    await sound.revise(order_id, without(BOTH, "1"))
    await in_force(sound, order_id, 1)

    await sound.cancel(order_id)

    assert await end(handle) == "cancelled"


async def test_bundles_that_are_cancelled_end_after_the_question_about_what_they_share(sound: Shop) -> None:
    order_id, handle, _ = await both_wait_for_their_account(sound)

    with sound.engine.begin() as in_the_way:
        in_the_way.execute(text("SELECT FROM orderloom.fallouts FOR UPDATE"))
        await sound.cancel(order_id)
        await asyncio.sleep(1)
        assert "cancelled" not in {sound.state(order_id), *sound.line_states(order_id).values()}

    assert await end(handle) == "cancelled"


async def test_what_two_bundles_wait_for_goes_on_when_one_of_them_is_given_up(sound: Shop) -> None:
    sound.inventory.switches.set("reserve", Switch(mode=Mode.REFUSE, match='"1"', code="NO_STOCK"))
    order_id, handle, shared = await both_wait_for_their_account(sound)

    await sound.decide(await open_fallout(sound, order_id, "reserve:1"), "abort")
    await sound.until(lambda: sound.line_states(order_id)["1"] == "failed")
    sound.billing.switches.clear()
    await sound.decide(shared, "retry")

    assert await end(handle) == "partial"


async def test_a_step_that_comes_back_with_a_later_revision_is_something_new(sound: Shop) -> None:
    sound.publish(*PRODUCTS, bundle("KIOSK", "PHONE", "RATE"))
    sound.billing.switches.set("initiate", Switch(mode=Mode.REFUSE, code="LATER"))
    wanted = order(line("KIOSK", line("RATE"), line("PHONE", quantity=2)))
    order_id, handle = await started(sound, wanted)
    fallout = await open_fallout(sound, order_id, "initiate_billing:1")
    without_phone = without(wanted, "1.2")
    await sound.revise(order_id, without_phone)
    await in_force(sound, order_id, 1)
    assert sound.one("SELECT reserved FROM inventory.stock") == 0

    with_others = replace(
        without_phone, lines=(*without_phone.lines, replace(wanted.by_id["1.2"], id="1.9", quantity=3))
    )
    await sound.revise(order_id, with_others)

    await sound.until(lambda: sound.one("SELECT reserved FROM inventory.stock") == 3)
    sound.billing.switches.clear()
    await sound.decide(fallout, "retry")
    assert await end(handle) == "completed"
    assert sound.one("SELECT on_hand FROM inventory.stock") == 7


async def test_a_bundle_that_was_given_up_can_only_be_left_out(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", NO_PORT)
    wanted = order(line("WIRELESS", line("RATE")), INTERNET)
    order_id, handle = await started(sound, wanted)
    await sound.decide(await open_fallout(sound, order_id, "provision:1"), "abort")
    await sound.until(lambda: sound.line_states(order_id)["1"] == "failed")

    with pytest.raises(Declined) as refused:
        await sound.revise(order_id, order(line("WIRELESS", line("RATE"), line("GIFT")), INTERNET))
    assert (refused.value.code, refused.value.details) == ("GIVEN_UP", ("1",))
    assert await sound.revise(order_id, without(wanted, "1")) == "accepted"

    sound.provisioning.switches.clear()
    await sound.decide(await open_fallout(sound, order_id, "provision:2"), "retry")
    assert await end(handle) == "partial", "what had failed has failed"


async def test_a_cancellation_does_not_wait_for_a_neighbour_that_a_revision_waits_for(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", NO_PORT)
    order_id, handle = await started(sound, order(WIRELESS))
    await open_fallout(sound, order_id, "provision:1")
    sound.billing.switches.set("void_initiated", AWAY)
    assert await sound.revise(order_id, without(order(WIRELESS, INTERNET), "1")) == "accepted"
    await sound.until(lambda: sound.rows("SELECT FROM billing.attempts WHERE operation = 'void_initiated'") != [])

    assert await asyncio.wait_for(sound.cancel(order_id), timeout=8) == "pendingCancellation"

    sound.billing.switches.clear()
    assert await end(handle) == "cancelled"
    assert "2" not in sound.line_states(order_id), "the revision never came into force"
    (revision,) = sound.rows("SELECT state, code FROM orderloom.order_revisions")
    assert revision == {"state": "superseded", "code": "CANCELLED"}


async def test_only_the_newest_of_the_revisions_that_wait_for_a_neighbour_waits_on(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", NO_PORT)
    wanted = order(INTERNET, WIRELESS)
    order_id, handle = await started(sound, wanted)
    await open_fallout(sound, order_id, "provision:1")
    await open_fallout(sound, order_id, "provision:2")
    sound.billing.switches.set("void_initiated", AWAY)
    rest = without(wanted, "1")
    assert await sound.revise(order_id, rest) == "accepted"
    cheap = asyncio.create_task(sound.revise(order_id, changed(rest, "2.1", price=Money(200, "USD"))))
    await sound.until(lambda: sound.one("SELECT count(*) FROM orderloom.order_revisions") == 2)
    cheaper = asyncio.create_task(sound.revise(order_id, changed(rest, "2.1", price=Money(100, "USD"))))

    with pytest.raises(Declined) as refused:
        await asyncio.wait_for(cheap, timeout=8)
    assert refused.value.code == "SUPERSEDED"

    sound.billing.switches.clear()
    assert await cheaper == "accepted"
    sound.provisioning.switches.clear()
    await in_force(sound, order_id, 3)
    await sound.decide(await open_fallout(sound, order_id, "provision:2"), "retry")
    assert await end(handle) == "completed"
    assert sound.one("SELECT price_minor FROM billing.purchases WHERE line = '2.1' AND status = 'active'") == 100


async def test_a_bundle_is_given_up_while_a_revision_adds_to_it(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", NO_PORT)
    wanted = order(WIRELESS)
    order_id, handle = await started(sound, wanted)
    fallout = await open_fallout(sound, order_id, "provision:1")
    sound.billing.switches.set("void_initiated", AWAY)
    shorter = without(wanted, "1.5")
    more = replace(shorter, lines=(*shorter.lines, replace(wanted.by_id["1.4"], id="1.9")))
    assert await sound.revise(order_id, more) == "accepted"

    deciding = asyncio.create_task(sound.decide(fallout, "abort"))
    await sound.until(lambda: sound.rows("SELECT FROM orderloom.fallouts WHERE decision = 'abort'") != [])
    sound.billing.switches.clear()

    await deciding
    assert await end(handle) == "failed"
    states = sound.line_states(order_id)
    assert (states["1"], states["1.5"], states["1.9"]) == ("failed", "cancelled", "failed")


@pytest.mark.parametrize("step", ["reserve", "initiate"])
async def test_a_revision_does_not_wait_for_a_step_that_it_changes_and_that_does_not_succeed(
    sound: Shop, step: str
) -> None:
    neighbour = sound.inventory if step == "reserve" else sound.billing
    neighbour.switches.set(step, AWAY)
    wanted = order(line("WIRELESS", line("RATE"), line("PHONE", quantity=2)))
    order_id, handle = await started(sound, wanted, patience=STUBBORN)
    await sound.until(
        lambda: sound.rows("SELECT FROM orderloom.plan_items WHERE attempts > 1 AND order_id = :o", o=order_id) != []
    )
    dearer = changed(changed(wanted, "1.1", price=Money(7, "USD")), "1.2", quantity=3)

    assert await sound.revise(order_id, dearer) == "accepted"
    await in_force(sound, order_id, 1)

    neighbour.switches.clear()
    assert await end(handle) == "completed"
    assert sound.one("SELECT price_minor FROM billing.purchases WHERE line = '1.1'") == 7
    assert sound.one("SELECT on_hand FROM inventory.stock") == 7


async def test_a_lost_answer_is_replaced_whether_it_was_yes_or_no(sound: Shop) -> None:
    sound.inventory.switches.set("reserve", Switch(mode=Mode.LOSE_ANSWER))
    sound.inventory.switches.set("query", AWAY)
    wanted = order(line("WIRELESS", line("RATE"), line("PHONE", quantity=2)))
    order_id, handle = await started(sound, wanted)
    await open_fallout(sound, order_id, "reserve:1")
    number = sound.one("SELECT value FROM inventory.numbers WHERE state = 'reserved'")
    sound.inventory.switches.clear()

    assert await sound.revise(order_id, changed(wanted, "1.2", quantity=3)) == "accepted"

    assert await end(handle) == "completed"
    assert sound.one("SELECT value FROM inventory.numbers WHERE state = 'assigned'") == number
    assert sound.one("SELECT count(*) FROM inventory.reservations WHERE state <> 'released'") == 1


async def test_by_force_what_was_done_by_hand_is_taken_down_too(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", replace(NO_PORT, remaining=1))
    sound.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="LATER"))
    order_id, handle = await started(sound, order(INTERNET))
    await sound.decide(await open_fallout(sound, order_id, "provision:1"), "skip")
    await open_fallout(sound, order_id, "fulfill_billing:1")

    assert await sound.cancel(order_id, force=True) == "pendingCancellation"

    assert await end(handle) == "cancelled"
    assert sound.rows("SELECT operation FROM provisioning.calls WHERE outcome = 'applied'") == [
        {"operation": "deactivate"}
    ]


async def test_an_order_that_waits_for_approval_is_cancelled_and_nobody_can_approve_it_any_more(sound: Shop) -> None:
    order_id, handle = await started(sound, order(INTERNET), approvals=("line 1: somebody says so",))
    await sound.until(lambda: sound.state(order_id) == "pending")

    assert await sound.cancel(order_id) == "pendingCancellation"

    assert await end(handle) == "cancelled"
    assert sound.steps(order_id) == {}


async def test_an_order_that_waits_for_approval_is_approved_as_it_was_revised(sound: Shop) -> None:
    wanted = order(INTERNET)
    sound.publish(*(replace(x, needs_approval=x.code == "INTERNET") for x in PRODUCTS))
    order_id, handle = await started(sound, wanted, approvals=("line 1: somebody says so",))
    await sound.until(lambda: sound.state(order_id) == "pending")

    assert await sound.revise(order_id, changed(wanted, "1", quantity=4)) == "accepted"
    await in_force(sound, order_id, 1)

    assert sound.state(order_id) == "pending"
    assert await handle.execute_update("approval", Approval(actor="ann", reason="yes"), result_type=str) == "pending"
    assert await end(handle) == "completed"
    assert sound.one("SELECT quantity FROM orderloom.assets") == 4


async def test_a_run_that_was_reset_does_not_forget_what_has_to_be_taken_back(
    database: Database, temporal_client: Client
) -> None:
    boundaries = Boundaries()
    async with open_shop(database.app_url, temporal_client, around=boundaries.around) as shop:
        furnish(shop)
        shop.provisioning.switches.set("activate", NO_PORT)
        order_id, handle = await started(shop, order(WIRELESS))
        await open_fallout(shop, order_id, "provision:1")
        loop = asyncio.get_running_loop()
        answers: list[Future[str]] = []

        def cancel_and_stumble() -> None:
            answers.append(asyncio.run_coroutine_threadsafe(shop.cancel(order_id), loop))
            raise ApplicationError("stumbled")  # so that it comes before there is a plan again

        boundaries.at(order_id, Boundary("validate", 1, "before"), cancel_and_stumble)
        await shop.rewind(handle)

        assert await end(handle) == "cancelled"
        assert await asyncio.wrap_future(answers[0]) == "pendingCancellation"
        assert shop.one("SELECT count(*) FROM inventory.numbers WHERE state <> 'available'") == 0
        await shop.is_sound()


@pytest.mark.req("C35")
@pytest.mark.parametrize("wish", ["cancelled", "completed"])
async def test_what_was_claimed_before_a_worker_died_is_given_back_or_carried_on_with(
    database: Database, temporal_client: Client, wish: str
) -> None:
    boundaries = Boundaries()
    async with open_shop(database.app_url, temporal_client, around=boundaries.around) as shop:
        furnish(shop)
        service = shop.asset(await shop.fulfil(order(WIRELESS)))
        stored = shop.change(raw(line("", asset=service["id"], action=Action.SUSPEND)))
        loop = asyncio.get_running_loop()
        claims, answers = [], list[Future[str]]()

        def die() -> None:
            claims.extend(shop.rows("SELECT asset FROM orderloom.asset_claims"))
            if wish == "cancelled":
                answers.append(asyncio.run_coroutine_threadsafe(shop.cancel(stored.id), loop))
            raise ApplicationError("died")

        boundaries.at(stored.id, Boundary("validate", 0, "after"), die)

        assert await end(await shop.run(stored)) == wish
        assert [str(x["asset"]) for x in claims] == [str(service["id"])]
        for answer in answers:
            assert await asyncio.wrap_future(answer) == "pendingCancellation"
        assert shop.rows("SELECT FROM orderloom.asset_claims") == []
        status = {"cancelled": "active", "completed": "suspended"}
        assert shop.one("SELECT status FROM orderloom.assets WHERE id = :a", a=service["id"]) == status[wish]
        await shop.is_sound()


async def test_a_run_that_was_reset_does_not_promise_what_its_rows_do_not_allow(
    database: Database, temporal_client: Client
) -> None:
    boundaries = Boundaries()
    async with open_shop(database.app_url, temporal_client, around=boundaries.around) as shop:
        furnish(shop)
        shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="LATER"))
        wanted = order(INTERNET)
        order_id, handle = await started(shop, wanted)
        await open_fallout(shop, order_id, "fulfill_billing:1")
        loop = asyncio.get_running_loop()
        answers: list[Future[str]] = []
        number = shop.store_revision(order_id, changed(wanted, "1", quantity=2))

        def change_and_stumble() -> None:
            wish = RevisionWish(revision=number)
            asked = (shop.cancel(order_id), start.revise(shop.client, order_id, wish))
            answers.extend(asyncio.run_coroutine_threadsafe(x, loop) for x in asked)
            raise ApplicationError("stumbled")

        boundaries.at(order_id, Boundary("validate", 1, "before"), change_and_stumble)
        await shop.rewind(handle)
        await shop.until(lambda: len(answers) == len(("cancel", "revise")))

        for answer in answers:
            with pytest.raises(Declined) as refused:
                await asyncio.wrap_future(answer)
            assert refused.value.details == ("1", "provision:1")
        await shop.shown(handle, state="held")
        await shop.decide(await open_fallout(shop, order_id, "fulfill_billing:1"), "retry")
        assert await end(handle) == "completed"
        await shop.is_sound()


async def test_a_definite_no_after_long_silence_gives_back_what_was_past_no_return(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", AWAY)
    order_id, handle = await started(sound, order(WIRELESS), patience=hasty(give_up_s=1.0))
    silent = await open_fallout(sound, order_id, "provision:1")
    sound.provisioning.switches.set("activate", NO_PORT)
    await sound.decide(silent, "retry")
    asked = "SELECT FROM orderloom.fallouts WHERE order_id = :o AND state = 'open' AND code = 'NO_PORT'"
    await sound.until(lambda: sound.rows(asked, o=order_id) != [])

    assert await sound.cancel(order_id) == "pendingCancellation"

    assert await end(handle) == "cancelled"


async def test_what_was_to_follow_a_step_that_failed_was_never_sent_and_is_in_nobodys_way(sound: Shop) -> None:
    old = sound.asset(await sound.fulfil(order(INTERNET)))
    sound.provisioning.switches.set("activate", AWAY)
    new = line("WIRELESS", line("RATE"), replaces=old["id"], **ACCOUNTS)
    stored = sound.change(raw(new, line("", asset=old["id"], action=Action.DELETE)))
    handle = await sound.run(stored)
    tried = "SELECT FROM orderloom.plan_items WHERE order_id = :o AND function = 'provision' AND attempts > 0"
    await sound.until(lambda: sound.rows(tried, o=stored.id) != [])
    sound.provisioning.switches.set("activate", NO_PORT)
    await open_fallout(sound, stored.id, "provision:1")

    assert await sound.cancel(stored.id) == "pendingCancellation"

    assert await end(handle) == "cancelled"


@pytest.mark.req("W1")
@pytest.mark.parametrize(("patience", "state"), [(STUBBORN, "inProgress"), (hasty(give_up_s=1.0), "held")])
async def test_a_run_that_was_reset_does_not_cancel_what_may_have_happened(
    database: Database, temporal_client: Client, patience: Patience, state: str
) -> None:
    boundaries = Boundaries()
    async with open_shop(database.app_url, temporal_client, around=boundaries.around) as shop:
        furnish(shop)
        shop.provisioning.switches.set("activate", AWAY)
        order_id, handle = await started(shop, order(INTERNET), patience=patience)
        tried = "SELECT FROM orderloom.plan_items WHERE id = 'provision:1' AND attempts > 0 AND state = :s"
        await shop.until(lambda: shop.rows(tried, s=state) != [])
        loop = asyncio.get_running_loop()
        answers: list[Future[str]] = []

        def cancel_and_stumble() -> None:
            answers.append(asyncio.run_coroutine_threadsafe(shop.cancel(order_id), loop))
            raise ApplicationError("stumbled")

        boundaries.at(order_id, Boundary("validate", 1, "before"), cancel_and_stumble)
        await shop.rewind(handle)
        await shop.until(lambda: answers != [])

        with pytest.raises(Declined) as refused:
            await asyncio.wrap_future(answers[0])
        assert refused.value.details == ("1", "provision:1")
        shop.provisioning.switches.clear()
        assert await end(handle) == "completed"
        await shop.is_sound()


@pytest.mark.req("W1")
@pytest.mark.parametrize("ending", ["cancelled", "failed"])
async def test_a_run_that_was_reset_to_before_all_was_taken_back_begins_nothing_anew(sound: Shop, ending: str) -> None:
    sound.provisioning.switches.set("activate", NO_PORT)
    order_id, handle = await started(sound, order(WIRELESS))
    fallout = await open_fallout(sound, order_id, "provision:1")
    await sound.shown(handle, state="held")
    asked = await sound.last_task(handle)
    await (sound.cancel(order_id) if ending == "cancelled" else sound.decide(fallout, "abort"))
    assert await end(handle) == ending
    sound.provisioning.switches.clear()

    run = await sound.rewind(handle, to=asked, is_told_again=False)
    retry = Resolution(fallout=fallout["id"], decision="retry", actor="bob", reason="does not know that it is over")
    await sound.resolve(order_id, retry)

    assert await end(run) == ending
    assert sound.rows("SELECT FROM provisioning.calls WHERE operation = 'activate' AND outcome = 'applied'") == []


async def test_a_run_that_was_reset_and_waits_for_ever_learns_that_its_order_is_over_when_it_is_cancelled(
    sound: Shop,
) -> None:
    sound.provisioning.switches.set("activate", NO_PORT)
    order_id, handle = await started(sound, order(WIRELESS))
    await open_fallout(sound, order_id, "provision:1")
    await sound.shown(handle, state="held")
    asked = await sound.last_task(handle)
    await sound.cancel(order_id)
    await end(handle)

    run = await sound.rewind(handle, to=asked, is_told_again=False)

    assert await sound.cancel(order_id) == "cancelled"
    assert await end(run) == "cancelled"


async def test_a_run_that_was_reset_carries_on_what_was_revised(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", NO_PORT)
    wanted = order(WIRELESS)
    order_id, handle = await started(sound, wanted)
    await open_fallout(sound, order_id, "provision:1")
    await sound.revise(order_id, changed(without(wanted, "1.5"), "1", service_id="+1-555-0107"))
    await in_force(sound, order_id, 1)
    await sound.until(lambda: sound.steps(order_id)["initiate_billing:1"] == "done")
    await open_fallout(sound, order_id, "provision:1")
    before = sound.rows("SELECT id, service_id FROM billing.service_instances WHERE status = 'initiated'")

    await sound.rewind(handle)

    sound.provisioning.switches.clear()
    run = sound.client.get_workflow_handle(handle.id, result_type=OrderEnd)
    ended = asyncio.create_task(end(run))
    while not ended.done():  # the network's refusals are remembered: each is asked about once more
        for fallout in sound.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'"):
            with suppress(Declined):
                await sound.decide(fallout, "retry")
        await asyncio.sleep(0.1)
    assert await ended == "completed"
    after = sound.rows("SELECT id, service_id FROM billing.service_instances WHERE status = 'active'")
    assert after == before == [{"id": before[0]["id"], "service_id": "+1-555-0107"}]
