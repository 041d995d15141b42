"""An order under way becomes another one, as far as what was done for it allows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from adapters.switches import Mode, Switch
from domain.approval import Approval
from domain.money import Money
from domain.order import Order, State
from models import revisions
from tests.boundaries import Boundary, Watched
from tests.builders import changed, line, order, without
from tests.replay.paths import PATHS
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, PRODUCTS, WIRELESS
from workflows.start import Declined


@pytest.fixture
async def sound(shop: Shop) -> AsyncIterator[Shop]:
    """A house in which everything adds up at the end of the test."""
    yield shop
    await shop.is_sound()


async def held(shop: Shop, wanted: Order) -> tuple[str, Any, dict[str, Any]]:
    """The order once the network has refused its first service: everything before that is done."""
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(wanted)
    order_id = handle.id.removeprefix("order-")
    return order_id, handle, await shop.fallout(order_id)


async def in_force(shop: Shop, order_id: str, revision: int) -> None:
    await shop.until(lambda: shop.one("SELECT revision FROM orderloom.orders WHERE id = :o", o=order_id) == revision)


def purchases(shop: Shop) -> list[dict[str, Any]]:
    return shop.rows("""
        SELECT id, line, product, quantity, price_minor, status FROM billing.purchases ORDER BY line, status
    """)


REVISIONS: dict[str, tuple[Order, Order]] = {
    "another price": (order(WIRELESS), changed(order(WIRELESS), "1.1", price=Money(1_900, "USD"))),
    "another attribute": (order(INTERNET), changed(order(INTERNET), "1", attributes={"mbit": 100})),
    "a nested service less": (order(WIRELESS), without(order(WIRELESS), "1.5")),
    "more goods and a component more": (
        order(line("WIRELESS", line("RATE"), line("PHONE"))),
        order(line("WIRELESS", line("RATE"), line("PHONE", quantity=2), line("GIFT"))),
    ),
    "a bundle less and another one": (
        order(WIRELESS, INTERNET),
        replace(order(INTERNET, INTERNET, INTERNET), lines=order(INTERNET, INTERNET, INTERNET).lines[1:]),
    ),
    "a bundle more": (order(INTERNET), order(INTERNET, INTERNET)),
    "nothing else": (order(INTERNET), order(INTERNET)),
}
"""Orders, and what becomes of them."""


@pytest.mark.timeout(300)  # dozens of orders: 15 seconds by itself
@pytest.mark.parametrize("kind", REVISIONS)
async def test_a_revision_at_any_boundary_is_answered_truly(watched: Watched, kind: str) -> None:
    shop, (wanted, desired) = watched.shop, REVISIONS[kind]
    points = await watched.golden(wanted)

    answers = await watched.asked_at_each(points, wanted, lambda order_id: shop.revise(order_id, desired))

    asked = "SELECT revision FROM orderloom.orders WHERE id = :o"
    for point, (order_id, answer) in zip(points, answers, strict=True):
        assert shop.state(order_id) == "completed", (str(point), answer)
        if answer == "accepted":
            assert shop.one(asked, o=order_id) == 1, str(point)
            lines = {x for x, state in shop.line_states(order_id).items() if state == "completed"}
            assert lines == desired.by_id.keys(), str(point)
        else:
            assert answer.split()[0] in ("NO_RETURN", "NOT_OPEN"), (str(point), answer)
            assert shop.one(asked, o=order_id) == 0, str(point)
            assert shop.line_states(order_id).keys() == wanted.by_id.keys()
    said = {answer.split()[0] for _, answer in answers}
    assert not watched.boundaries.stumbling or {"accepted"} < said, "both yes and no must have happened"
    await shop.is_sound()


@pytest.mark.req("B57")
async def test_another_price_changes_what_is_initiated_and_redoes_no_technical_step(sound: Shop) -> None:
    wanted = order(WIRELESS)
    order_id, handle, fallout = await held(sound, wanted)
    before = {x["line"]: x["id"] for x in purchases(sound)}

    assert await sound.revise(order_id, changed(wanted, "1.1", price=Money(1_900, "USD"))) == "accepted"
    await sound.until(lambda: sound.steps(order_id)["initiate_billing:1"] == "done")

    after = {x["line"]: x for x in purchases(sound)}
    assert {x: after[x]["id"] for x in before} == before, "the same purchases"
    assert (after["1.1"]["price_minor"], after["1.1"]["status"]) == (1_900, "initiated")
    assert sound.one("SELECT count(*) FROM inventory.calls WHERE operation LIKE '%reserv%'") == 1
    await sound.decide(fallout, "retry")
    await handle.result()
    assert (sound.state(order_id), sound.one("SELECT revision FROM orderloom.orders")) == ("completed", 1)
    assert sound.one("SELECT count(*) FROM billing.service_instances") == 2


@pytest.mark.req("B57")
async def test_another_due_date_moves_what_is_initiated_and_makes_no_second_instance(sound: Shop) -> None:
    wanted = order(INTERNET)
    order_id, handle, fallout = await held(sound, wanted)
    starts = "SELECT id, purchase_start, cycle_start, usage_start FROM billing.purchases"
    (before,) = sound.rows(starts)
    day = (sound.now() + timedelta(days=400)).date()

    await sound.revise(order_id, changed(wanted, "1", due_date=day))

    await sound.until(lambda: sound.rows(starts)[0]["purchase_start"] != before["purchase_start"])
    (after,) = sound.rows(starts)
    assert after["id"] == before["id"]
    assert after["purchase_start"] == after["cycle_start"] == after["usage_start"] > before["purchase_start"]
    await sound.revise(order_id, wanted)
    await in_force(sound, order_id, 2)
    await sound.decide(fallout, "retry")
    await handle.result()
    assert sound.one("SELECT count(*) FROM billing.service_instances") == 1


async def test_another_quantity_is_the_same_instance_and_product(sound: Shop) -> None:
    wanted = order(INTERNET)
    order_id, handle, fallout = await held(sound, wanted)
    (before,) = purchases(sound)

    await sound.revise(order_id, changed(wanted, "1", quantity=5))

    await sound.until(lambda: purchases(sound)[0]["quantity"] == 5)
    assert purchases(sound)[0]["id"] == before["id"]
    await sound.decide(fallout, "retry")
    await handle.result()
    assert sound.one("SELECT quantity FROM orderloom.assets") == 5


async def test_a_nested_service_that_is_dropped_is_undone_and_the_rest_goes_on(sound: Shop) -> None:
    wanted = order(WIRELESS)
    order_id, handle, fallout = await held(sound, wanted)

    await sound.revise(order_id, without(wanted, "1.5"))

    await sound.until(lambda: sound.line_states(order_id)["1.5"] == "cancelled")
    (voided,) = sound.rows("SELECT status FROM billing.service_instances WHERE line = '1.5'")
    assert voided == {"status": "voided"}
    await sound.decide(fallout, "retry")
    await handle.result()
    assert sound.state(order_id) == "completed"
    assert {x["line"] for x in sound.rows("SELECT created_by_line AS line FROM orderloom.assets")} == {
        "1", "1.1", "1.2", "1.3", "1.4",
    }  # fmt: skip


async def test_a_component_that_is_added_is_initiated_activated_and_billed(sound: Shop) -> None:
    wanted = order(line("WIRELESS", line("RATE")))
    order_id, handle, _ = await held(sound, wanted)
    more = order(line("WIRELESS", line("RATE"), line("HALF-PRICE"), line("SMS", line("SMS-BASIC"))))

    await sound.revise(order_id, more)

    await sound.until(lambda: sound.steps(order_id).get("initiate_billing:1") == "done")
    fallout = await sound.fallout(order_id)
    await sound.decide(fallout, "retry")
    await handle.result()
    assert sound.state(order_id) == "completed"
    assert {x["status"] for x in purchases(sound)} == {"active"}
    assert len(purchases(sound)) == 3


@pytest.mark.req("F11")
async def test_what_is_reserved_is_exchanged_in_one_go(sound: Shop) -> None:
    sound.billing.switches.set("initiate", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    wanted = order(line("WIRELESS", line("RATE"), line("PHONE", quantity=10)))
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.fallout(order_id)
    number = sound.one("SELECT value FROM inventory.numbers WHERE state = 'reserved'")
    assert sound.one("SELECT reserved FROM inventory.stock") == 10

    await sound.revise(order_id, changed(wanted, "1.2", quantity=9))
    await sound.until(lambda: sound.one("SELECT reserved FROM inventory.stock") == 9)
    assert sound.one("SELECT value FROM inventory.numbers WHERE state = 'reserved'") == number

    await sound.revise(order_id, changed(changed(wanted, "1.2", quantity=9), "1", service_id="+1-555-0107"))
    await handle.result()
    assert sound.state(order_id) == "completed", "billing was asked anew, for the number is told to it too"
    assert sound.one("SELECT value FROM inventory.numbers WHERE state = 'assigned'") == "+1-555-0107"
    assert sound.one("SELECT count(*) FROM inventory.numbers WHERE state = 'reserved'") == 0
    assert sound.one("SELECT on_hand FROM inventory.stock") == 1


async def test_nothing_is_delivered_or_activated_while_what_is_reserved_is_exchanged(sound: Shop) -> None:
    def asked() -> dict[str, dict[str, Any]]:
        return {x["code"]: x for x in sound.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'")}

    wanted = order(line("WIRELESS", line("RATE"), line("PHONE", quantity=2)))
    sound.inventory.switches.set("deliver", Switch(mode=Mode.REFUSE, remaining=1, code="NO_COURIER"))
    order_id, handle, _ = await held(sound, wanted)
    await sound.until(lambda: len(asked()) == 2)
    port = asked()["NO_PORT"]

    await sound.revise(order_id, changed(wanted, "1.2", quantity=11))

    await sound.until(lambda: "NO_STOCK" in asked(), within_s=20)
    await sound.decide(port, "retry")
    assert {x: state for x, state in sound.steps(order_id).items() if state != "pending"} == {
        "sync_customer:ACME-BA": "done",
        "reserve:1": "held",
        "initiate_billing:1": "done",  # it is left alone: the goods are billed by themselves
    }
    await sound.is_sound()
    sound.receive("PHONE", 5)
    await sound.decide(asked()["NO_STOCK"], "retry")
    await handle.result()
    assert sound.state(order_id) == "completed"


async def test_more_than_there_is_waits_for_a_person_with_the_former_reservation_still_held(sound: Shop) -> None:
    sound.billing.switches.set("initiate", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    wanted = order(line("WIRELESS", line("RATE"), line("PHONE", quantity=2)))
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    first = await sound.fallout(order_id)

    await sound.revise(order_id, changed(wanted, "1.2", quantity=11))

    await sound.until(
        lambda: any(x["code"] == "NO_STOCK" for x in sound.rows("SELECT code FROM orderloom.fallouts")), within_s=20
    )
    assert sound.one("SELECT reserved FROM inventory.stock") == 2
    sound.receive("PHONE", 5)
    (shortage,) = sound.rows("SELECT * FROM orderloom.fallouts WHERE code = 'NO_STOCK'")
    await sound.decide(shortage, "retry")
    await sound.until(lambda: sound.one("SELECT reserved FROM inventory.stock") == 11)
    if open_ := sound.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'"):
        assert open_[0]["id"] == first["id"]
        await sound.decide(open_[0], "retry")
    await handle.result()
    assert sound.one("SELECT on_hand FROM inventory.stock") == 4


async def test_a_short_revision_that_is_cancelled_releases_what_the_first_had_reserved(sound: Shop) -> None:
    sound.billing.switches.set("initiate", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    wanted = order(line("WIRELESS", line("RATE"), line("PHONE", quantity=2)))
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.fallout(order_id)
    await sound.revise(order_id, changed(wanted, "1.2", quantity=11))
    await sound.until(lambda: any(x["code"] == "NO_STOCK" for x in sound.rows("SELECT code FROM orderloom.fallouts")))

    await sound.cancel(order_id)

    await handle.result()
    assert sound.one("SELECT reserved FROM inventory.stock") == 0
    assert sound.one("SELECT count(*) FROM inventory.numbers WHERE state <> 'available'") == 0


async def test_past_the_point_of_no_return_only_what_billing_is_told_may_change_until_it_has_closed(
    sound: Shop,
) -> None:
    sound.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=1500, remaining=1))
    wanted = order(INTERNET)
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.until(lambda: sound.rows("SELECT FROM provisioning.calls WHERE key LIKE :o || '%'", o=order_id) != [])

    with pytest.raises(Declined) as technical:
        await sound.revise(order_id, changed(wanted, "1", quantity=2))
    assert (technical.value.code, technical.value.details) == ("NO_RETURN", ("1", "provision:1"))
    with pytest.raises(Declined, match="provision:1"):
        await sound.cancel(order_id)
    assert await sound.revise(order_id, changed(wanted, "1", price=Money(777, "USD"))) == "accepted"

    await handle.result()
    assert [x["price_minor"] for x in purchases(sound)] == [777]
    (refused,) = sound.rows("SELECT state, code, step FROM orderloom.order_revisions WHERE revision = 1")
    assert refused == {"state": "refused", "code": "NO_RETURN", "step": "provision:1"}


async def test_a_revision_waits_for_a_late_attempt_and_not_in_a_circle_with_it(sound: Shop) -> None:
    order_id, handle, fallout = await held(sound, order(INTERNET))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with sound.engine.begin() as late:
        late.execute(text("SELECT FROM orderloom.plan_items FOR UPDATE"))
        await sound.revise(order_id, changed(order(INTERNET), "1", price=Money(777, "USD")))
        await sound.until(lambda: sound.one(waiting) == 1)
        late.execute(text("SELECT FROM orderloom.orders FOR UPDATE NOWAIT"))
    await in_force(sound, order_id, 1)
    await sound.decide(fallout, "retry")
    await handle.result()


async def test_what_is_billed_does_not_change_any_more(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, match='"SMS"', remaining=1, code="NO_SMSC"))
    wanted = order(WIRELESS)
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    fallout = await sound.fallout(order_id)
    await sound.until(lambda: sound.steps(order_id)["fulfill_billing:1"] == "done")

    with pytest.raises(Declined) as refused:
        await sound.revise(order_id, changed(wanted, "1.1", price=Money(1, "USD")))
    assert refused.value.details == ("1", "fulfill_billing:1")
    assert await sound.revise(order_id, changed(wanted, "1.5.1", price=Money(1, "USD"))) == "accepted"

    await sound.until(lambda: sound.one("SELECT revision FROM orderloom.orders") == 2)
    await sound.decide(fallout, "retry")
    await handle.result()
    assert {x["line"]: x["price_minor"] for x in purchases(sound)}["1.5.1"] == 1


async def test_other_bundles_stay_changeable_and_the_order_ends_when_the_last_is_dropped(sound: Shop) -> None:
    sound.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, match='"WIRELESS"', code="NO_PORT"))
    wanted = order(INTERNET, WIRELESS)
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.fallout(order_id)
    await sound.until(lambda: sound.line_states(order_id)["1"] == "completed")

    await sound.revise(order_id, without(wanted, "2"))

    await asyncio.wait_for(handle.result(), timeout=15)
    assert sound.state(order_id) == "completed"
    assert {sound.line_states(order_id)[x] for x in ("2", "2.1", "2.5")} == {"cancelled"}
    assert sound.one("SELECT count(*) FROM orderloom.fallouts WHERE state = 'open'") == 0


async def test_of_several_revisions_only_the_newest_is_looked_at(sound: Shop) -> None:
    sound.inventory.switches.set("release", Switch(mode=Mode.FAIL_BEFORE, remaining=6))
    wanted = order(WIRELESS, INTERNET)
    sound.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT"))
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.until(lambda: len(sound.rows("SELECT FROM orderloom.fallouts")) == 2)

    one = await sound.revise(order_id, without(wanted, "1"))
    assert one == "accepted"
    rest = without(wanted, "1")
    prices = [changed(rest, "2", price=Money(x, "USD")) for x in (200, 300)]
    answers = await asyncio.gather(*(sound.revise(order_id, x) for x in prices), return_exceptions=True)

    assert [str(getattr(x, "code", x)) for x in answers] == ["SUPERSEDED", "accepted"]
    sound.provisioning.switches.clear()
    (left,) = sound.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'")
    await sound.until(lambda: sound.one("SELECT revision FROM orderloom.orders") == 3)
    await sound.decide(left, "retry")
    await handle.result()
    assert [x["price_minor"] for x in purchases(sound) if x["status"] == "active"] == [300]


@pytest.mark.parametrize("verdict", ["approve", "reject"])
async def test_what_is_dropped_before_the_order_begins_stays_cancelled(sound: Shop, verdict: str) -> None:
    sound.publish(*(replace(x, needs_approval=x.code == "WIRELESS") for x in PRODUCTS))
    handle = await sound.start(order(WIRELESS), approvals=("line 1: WIRELESS is approved before it is carried out.",))
    order_id = handle.id.removeprefix("order-")
    await sound.until(lambda: sound.state(order_id) == "pending")
    await sound.revise(order_id, without(order(WIRELESS), "1.5"))
    await in_force(sound, order_id, 1)

    await handle.execute_update("approval", Approval(decision=verdict, actor="ann", reason="test"))
    await handle.result()

    end = State.COMPLETED if verdict == "approve" else State.REJECTED
    kept = without(order(WIRELESS), "1.5").by_id
    assert sound.state(order_id) == end
    assert sound.line_states(order_id) == {x: end if x in kept else State.CANCELLED for x in order(WIRELESS).by_id}


async def test_an_order_that_waits_for_its_start_is_planned_as_revised_and_starts_as_revised(sound: Shop) -> None:
    wanted = order(INTERNET, requested_start=sound.now() + timedelta(days=30))
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.until(lambda: sound.state(order_id) == "pending")

    soon = sound.now() + timedelta(seconds=1)
    await sound.revise(order_id, replace(order(line("INTERNET", quantity=4)), requested_start=soon))

    await asyncio.wait_for(handle.result(), timeout=15)
    assert sound.state(order_id) == "completed"
    assert sound.one("SELECT quantity FROM orderloom.assets") == 4


async def test_an_operators_correction_outlives_a_revision_that_does_not_speak_of_it(sound: Shop) -> None:
    sound.inventory.switches.set("reserve", Switch(mode=Mode.REFUSE, remaining=1, code="NUMBER_TAKEN"))
    wanted = order(line("WIRELESS", line("RATE"), service_id="+1-555-0999"))
    sound.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.decide(await sound.fallout(order_id), "retry_with", service_id="+1-555-0105")
    await sound.until(lambda: any(x["code"] == "NO_PORT" for x in sound.rows("SELECT code FROM orderloom.fallouts")))

    await sound.revise(order_id, changed(wanted, "1.1", price=Money(5, "USD")))

    await sound.until(lambda: sound.one("SELECT revision FROM orderloom.orders") == 1)
    await sound.decide(await sound.fallout(order_id), "retry")
    await handle.result()
    assert sound.one("SELECT service_id FROM orderloom.assets WHERE product = 'WIRELESS'") == "+1-555-0105"


async def test_force_does_anew_what_runs_and_is_not_billed_yet(sound: Shop) -> None:
    sound.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    wanted = order(INTERNET)
    handle = await sound.start(wanted)
    order_id = handle.id.removeprefix("order-")
    await sound.fallout(order_id)
    faster = changed(wanted, "1", attributes={"mbit": 100})
    with pytest.raises(Declined):
        await sound.revise(order_id, faster)

    assert await sound.revise(order_id, faster, force=True) == "accepted"

    await sound.until(
        lambda: sound.one("SELECT attributes FROM provisioning.services WHERE until IS NULL") == {"mbit": 100}
    )
    await sound.decide(await sound.fallout(order_id), "retry")
    await handle.result()
    assert sound.one("SELECT count(*) FROM provisioning.services") == 1
    (first, forced) = sound.rows("SELECT decision, body FROM orderloom.audit WHERE action = 'order.revise' ORDER BY id")
    assert (first["decision"], forced["decision"], forced["body"]["force"]) == ("refused", "accepted", True)


@pytest.mark.req("A18")
async def test_what_billing_is_being_told_of_a_change_is_not_told_otherwise_meanwhile(sound: Shop) -> None:
    sound.billing.switches.set("suspend", Switch(mode=Mode.DELAY, ms=1_500, remaining=1))
    handle = await PATHS["suspended"](sound)
    order_id = handle.id.removeprefix("order-")
    await sound.until(lambda: sound.rows("SELECT FROM provisioning.calls WHERE operation = 'suspend'") != [])
    base = revisions.base(sound.engine, order_id)
    assert base is not None

    with pytest.raises(Declined) as refusal:
        await sound.revise(order_id, changed(base.order, "1", due_date=sound.now().date()))

    assert (refusal.value.code, refusal.value.details) == ("NO_RETURN", ("1", "suspend_billing:1"))
    await handle.result()
    assert sound.state(order_id) == "completed"


@pytest.mark.parametrize("watched", [True], indirect=True)
async def test_a_step_that_goes_wrong_while_an_accepted_revision_changes_it_asks_nobody(watched: Watched) -> None:
    shop, wanted = watched.shop, order(INTERNET)
    desired = changed(wanted, "1", price=Money(1_900, "USD"))
    shop.billing.switches.set("initiate", Switch(mode=Mode.FAIL_BEFORE, remaining=1))
    second_attempt = Boundary("initiate_billing", 1, "before")

    found = await watched.asked_at_each([second_attempt], wanted, lambda id_: shop.revise(id_, desired))

    ((order_id, answer),) = found
    assert (answer, shop.state(order_id)) == ("accepted", "completed")
    assert shop.rows("SELECT id FROM orderloom.fallouts") == []
    await shop.is_sound()
