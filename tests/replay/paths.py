"""Every path a run can take, each played once on real components to record its golden history."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowHandle

from adapters.switches import Mode, Switch
from domain.approval import Approval
from domain.catalog import BillingType
from domain.catalog_sync import BillingProduct
from domain.money import Money
from domain.order import Action, Order
from domain.progress import Cancellation, Resolution
from tests.builders import ACCOUNTS, SMS, Line, changed, line, order, raw, without
from tests.shop import Shop, hasty
from tests.workflows.catalog import INTERNET, WIRELESS, office
from workflows.catalog_sync import start_sync
from workflows.reconciliation import start_reconciliation
from workflows.start import Declined

Handle = WorkflowHandle[Any, Any]
PAUSING = hasty(give_up_s=1000, pause_s=5, longest_pause_s=5)
"""A step that fails is tried again only when the story has gone on."""
REFUSED = Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT", message="no free port")


async def wireless_bundle(shop: Shop) -> Handle:
    """Two-phase billing, a nested service, a reserved number."""
    return await shop.start(order(WIRELESS))


async def simple_service_bundle(shop: Shop) -> Handle:
    """One line that is service and product at once."""
    return await shop.start(order(INTERNET))


async def physical_goods(shop: Shop) -> Handle:
    """A phone delivered and billed beside the service."""
    return await shop.start(order(line("WIRELESS", line("RATE"), line("PHONE"))))


async def two_bundles(shop: Shop) -> Handle:
    """Two root bundles side by side."""
    return await shop.start(order(WIRELESS, INTERNET))


async def large_bundle(shop: Shop) -> Handle:
    """A plan that comes in pages, with batches that are sent in parts."""
    return await shop.start(order(office(125)))


async def context_only(shop: Shop) -> Handle:
    """Nothing to do at all."""
    return await shop.start(order(line("GIFT", action=Action.NONE)))


async def rejected(shop: Shop) -> Handle:
    """An order whose account vanished between acknowledgement and its turn."""
    handle = await shop.start(order(INTERNET, billing_profile="GONE"))
    await handle.result()
    return handle


async def approved(shop: Shop) -> Handle:
    """An order that waits until somebody approves it."""
    return await _verdict(shop, "approve")


async def rejected_by_a_person(shop: Shop) -> Handle:
    """An order that waits for approval, and is rejected."""
    return await _verdict(shop, "reject")


async def revised_to_need_no_approval(shop: Shop) -> Handle:
    """Waits for approval, until a revision leaves nothing to approve."""
    handle = await shop.start(order(INTERNET), approvals=("line 1: INTERNET is dear.",))
    await shop.until(lambda: shop.state(_order(handle)) == "pending")
    await shop.revise(_order(handle), order(line("INTERNET", quantity=4)))
    return handle


async def future_start(shop: Shop) -> Handle:
    """A durable timer until the requested start."""
    return await shop.start(order(INTERNET, requested_start=shop.now() + timedelta(seconds=2)))


async def passing_fault(shop: Shop) -> Handle:
    """A quick attempt fails and a durable one succeeds."""
    shop.inventory.switches.set("reserve", Switch(mode=Mode.FAIL_BEFORE, remaining=2))
    return await shop.start(order(WIRELESS))


async def slow_network(shop: Shop) -> Handle:
    """The network asks for time."""
    shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=700, remaining=1))
    return await shop.start(order(INTERNET))


async def refused_and_retried(shop: Shop) -> Handle:
    """A refusal, and a person's retry."""
    return await _decided(shop, "retry")


async def refused_and_corrected(shop: Shop) -> Handle:
    """A refusal, and corrected input."""
    return await _decided(shop, "retry_with", service_id="+1-555-0107")


async def refused_and_skipped(shop: Shop) -> Handle:
    """A refusal, and a step done by hand."""
    return await _decided(shop, "skip")


async def refused_and_given_up(shop: Shop) -> Handle:
    """A refusal, and everything before it undone."""
    return await _decided(shop, "abort")


async def one_of_two_given_up(shop: Shop) -> Handle:
    """One bundle fails and is undone, the other completes."""
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, match='"WIRELESS"', remaining=1))
    handle = await shop.start(order(WIRELESS, INTERNET))
    await shop.decide(await shop.fallout(_order(handle)), "abort")
    return handle


async def nested_service_refused(shop: Shop) -> Handle:
    """The outer service is billed while the nested one waits for a person."""
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, match='"SMS"', remaining=1))
    handle = await shop.start(order(WIRELESS))
    await shop.decide(await shop.fallout(_order(handle)), "retry")
    return handle


async def exhausted_and_retried(shop: Shop) -> Handle:
    """Patience ends, a person retries, the neighbour is asked by key first."""
    shop.billing.switches.set("initiate", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(INTERNET), patience=hasty(first_s=3.0))
    fallout = await shop.fallout(_order(handle))
    shop.billing.switches.clear("initiate")
    await shop.decide(fallout, "retry")
    return handle


async def retried_by_signal(shop: Shop) -> Handle:
    """The batch way to retry."""
    shop.provisioning.switches.set("activate", REFUSED)
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(_order(handle))
    await handle.signal("retry", Resolution(fallout=fallout["id"], decision="retry", actor="ann", reason="batch"))
    return handle


async def skipped_by_signal(shop: Shop) -> Handle:
    """The date, and then the skip, as short words."""
    shop.provisioning.switches.set("activate", REFUSED)
    handle = await shop.start(order(INTERNET))
    await shop.fallout(_order(handle))
    word = {"actor": "ann", "reason": "by hand"}
    since = (shop.now() - timedelta(days=1)).isoformat()
    await handle.signal("set_actual_date", {**word, "at": since})
    await handle.signal("skip", word)
    return handle


async def still_at_work(shop: Shop) -> Handle:
    """The network has been at work for so long that a person decides."""
    shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=600_000))
    handle = await shop.start(order(INTERNET), patience=hasty(at_work_s=0.0))
    await shop.decide(await shop.fallout(_order(handle)), "skip")
    return handle


async def undo_in_trouble(shop: Shop) -> Handle:
    """An undo that does not succeed for long."""
    shop.provisioning.switches.set("activate", REFUSED)
    shop.billing.switches.set("void_initiated", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(WIRELESS))
    await shop.decide(await shop.fallout(_order(handle)), "abort")
    await shop.fallout(_order(handle))
    shop.billing.switches.clear("void_initiated")
    return handle


async def records_in_trouble(shop: Shop) -> Handle:
    """A row that must not be there keeps the run from writing its own."""
    shop.provisioning.switches.set("activate", REFUSED)
    stored = shop.submit(order(INTERNET))
    with shop.in_the_way(f"{stored.id}:provision:1"):
        handle = await shop.run(stored)
        await shop.fallout(stored.id)
    refused = "SELECT * FROM orderloom.fallouts WHERE step = 'provision:1' AND order_id = :o"
    await shop.until(lambda: len(shop.rows(refused, o=stored.id)) == 1)
    (fallout,) = shop.rows(refused, o=stored.id)
    await shop.decide(fallout, "retry")
    return handle


async def reconciliation(shop: Shop) -> Handle:
    """What runs is compared with what is billed."""
    await shop.fulfil(order(INTERNET))
    run, _ = await start_reconciliation(shop.client, request=str(uuid4()), task_queue=shop.task_queue)
    return shop.client.get_workflow_handle(run)


async def _verdict(shop: Shop, decision: str) -> Handle:
    handle = await shop.start(order(INTERNET), approvals=("line 1: INTERNET is approved before it is carried out.",))
    await shop.until(lambda: shop.state(_order(handle)) == "pending")
    await handle.execute_update("approval", Approval(decision=decision, actor="ann", reason="test"))
    return handle


async def catalog_synchronized(shop: Shop) -> Handle:
    """Billing has a product that the catalog has not."""
    new = BillingProduct(
        code=f"NEW-{uuid4()}", name="New", billing_type=BillingType.SUBSCRIPTION, billing_service_type=SMS
    )
    shop.billing.load_products([new])
    run, _ = await start_sync(shop.client, request=str(uuid4()), task_queue=shop.task_queue)
    return shop.client.get_workflow_handle(run)


async def watch(shop: Shop) -> Handle:
    """A look for what waits unseen."""
    return await shop.client.start_workflow("Watch", id=f"watch-{uuid4()}", task_queue=shop.task_queue)


async def cancelled(shop: Shop) -> Handle:
    """Held, and called off: everything is taken back."""
    handle = await _held(shop)
    await shop.cancel(_order(handle))
    return handle


async def cancelled_by_force(shop: Shop) -> Handle:
    """Active and not billed, and called off by force."""
    shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, code="ACCOUNT_UNKNOWN"))
    handle = await shop.start(order(INTERNET))
    await shop.fallout(_order(handle))
    await shop.cancel(_order(handle), force=True)
    return handle


async def cancelled_before_it_starts(shop: Shop) -> Handle:
    """Called off while it waits for its start."""
    handle = await shop.start(order(INTERNET, requested_start=shop.now() + timedelta(days=3)))
    await shop.until(lambda: shop.state(_order(handle)) == "pending")
    await shop.cancel(_order(handle))
    return handle


async def cancellation_refused(shop: Shop) -> Handle:
    """Too late to be called off: it goes on."""
    shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(_order(handle))
    with suppress(Declined):
        await shop.cancel(_order(handle))
    await shop.decide(fallout, "retry")
    return handle


async def cancelled_in_temporal(shop: Shop) -> Handle:
    """Temporal's own cancellation is a wish like any other."""
    handle = await _held(shop)
    await handle.cancel()
    return handle


async def cancelled_by_signal(shop: Shop) -> Handle:
    """The batch way to call off."""
    handle = await _held(shop)
    await handle.signal("cancel", Cancellation(actor="ann", reason="batch"))
    return handle


async def cancelled_while_a_neighbour_is_away(shop: Shop) -> Handle:
    """A step that is tried again is tried no more."""
    shop.billing.switches.set("initiate", Switch(mode=Mode.FAIL_BEFORE))
    handle = await shop.start(order(WIRELESS), patience=PAUSING)
    await shop.until(lambda: shop.rows("SELECT FROM billing.attempts") != [])
    await shop.cancel(_order(handle))
    return handle


async def revised_price(shop: Shop) -> Handle:
    """Another price: billing is told, nothing technical is done anew."""
    return await _revised(shop, changed(order(WIRELESS), "1.1", price=Money(1_900, "USD")))


async def revised_number(shop: Shop) -> Handle:
    """Another number: reserved and initiated in the place of the first."""
    return await _revised(shop, changed(order(WIRELESS), "1", service_id=_free_number(shop)))


async def revised_smaller(shop: Shop) -> Handle:
    """A nested service is dropped, and undone."""
    return await _revised(shop, without(order(WIRELESS), "1.5"))


async def revised_before_it_starts(shop: Shop) -> Handle:
    """Another start, and another quantity."""
    handle = await shop.start(order(INTERNET, requested_start=shop.now() + timedelta(days=3)))
    await shop.until(lambda: shop.state(_order(handle)) == "pending")
    soon = shop.now() + timedelta(seconds=1)
    await shop.revise(_order(handle), replace(order(line("INTERNET", quantity=4)), requested_start=soon))
    return handle


async def revision_refused(shop: Shop) -> Handle:
    """Too late to be otherwise: it goes on as it was."""
    shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, remaining=1, code="ACCOUNT_UNKNOWN"))
    handle = await shop.start(order(INTERNET))
    fallout = await shop.fallout(_order(handle))
    with suppress(Declined):
        await shop.revise(_order(handle), changed(order(INTERNET), "1", quantity=2))
    await shop.decide(fallout, "retry")
    return handle


def _free_number(shop: Shop) -> str:
    return str(shop.one("SELECT max(value) FROM inventory.numbers WHERE state = 'available'"))


async def _held(shop: Shop) -> Handle:
    shop.provisioning.switches.set("activate", REFUSED)
    handle = await shop.start(order(WIRELESS))
    await shop.fallout(_order(handle))
    return handle


async def _revised(shop: Shop, desired: Order) -> Handle:
    handle = await _held(shop)
    await shop.revise(_order(handle), desired)
    await shop.until(lambda: shop.one("SELECT revision FROM orderloom.orders WHERE id = :o", o=_order(handle)) == 1)
    for fallout in shop.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'"):
        await shop.decide(fallout, "retry")
    return handle


async def suspended(shop: Shop) -> Handle:
    """What runs rests: on the network, then in billing, then here."""
    return await _changes(shop, Action.SUSPEND)


async def suspended_for_a_fee(shop: Shop) -> Handle:
    """The catalog has a price for letting it rest."""
    television = shop.asset(await shop.fulfil(order(line("TV"))))
    return await shop.run(shop.change(raw(_about(television, Action.SUSPEND))))


async def resumed(shop: Shop) -> Handle:
    """What rests runs again."""
    return await _changes(shop, Action.RESUME, before=Action.SUSPEND)


async def disconnected(shop: Shop) -> Handle:
    """A service ends, and what it held is given back."""
    return await _changes(shop, Action.DELETE)


async def updated(shop: Shop) -> Handle:
    """Another number, another price of a part: on the network, and in billing with one call."""
    wireless = await _wireless(shop)
    rate = shop.asset(wireless["created_by_order"], "1.1")
    part = _about(rate, Action.UPDATE, changes=("price",), price=Money(1_200, "USD"))
    head = _about(wireless, Action.UPDATE, part, changes=("service_id",), service_id=_free_number(shop))
    return await shop.run(shop.change(raw(head)))


async def moved(shop: Shop) -> Handle:
    """A service goes to another place: there first, then away from here, and billing follows."""
    old = _about(await _wireless(shop), Action.MOVE_DELETE)
    new = line("", action=Action.MOVE_ADD, changes=("service_point",), service_point="SP-2")
    return await shop.run(shop.change(raw(new, old)))


async def replaced(shop: Shop) -> Handle:
    """Another service takes the place of one that ends."""
    old = shop.asset(await shop.fulfil(order(INTERNET)))
    new = replace(WIRELESS, fields={**WIRELESS.fields, **ACCOUNTS, "replaces": old["id"]})
    return await shop.run(shop.change(raw(new, _about(old, Action.DELETE))))


async def promoted(shop: Shop) -> Handle:
    """A part of a service gives way to another one, by promotion."""
    wireless = await _wireless(shop)
    old = shop.asset(wireless["created_by_order"], "1.1")
    new = line("RATE", price=Money(900, "USD"), promotion_ref="GOLD")
    head = _about(wireless, Action.NONE, _about(old, Action.DELETE), new)
    return await shop.run(shop.change(raw(head, reason="promo_upgrade")))


async def waits_for_its_turn(shop: Shop) -> Handle:
    """Two changes of one asset: the second one is told when it is its turn."""
    wireless = await _wireless(shop)
    first = shop.change(raw(_about(wireless, Action.SUSPEND)))
    second = shop.change(raw(_about(wireless, Action.RESUME)))
    handle = await shop.run(second)
    await shop.until(lambda: shop.state(second.id) == "pending")
    await (await shop.run(first)).result()
    return handle


async def waits_for_its_day(shop: Shop) -> Handle:
    """Two bundles of one order, each on its day."""
    one, other = await _wireless(shop), shop.asset(await shop.fulfil(order(INTERNET)))
    lines = (_about(one, Action.SUSPEND), _about(other, Action.DELETE))
    return await shop.run(shop.change(raw(*lines, requested_start=shop.now() + timedelta(seconds=2))))


async def change_refused_and_retried(shop: Shop) -> Handle:
    """The network refuses to suspend, and then does."""
    shop.provisioning.switches.set("suspend", REFUSED)
    handle = await _changes(shop, Action.SUSPEND)
    await shop.decide(await shop.fallout(_order(handle)), "retry")
    return handle


async def change_given_up(shop: Shop) -> Handle:
    """The network refuses to suspend, and a person lets it run."""
    shop.provisioning.switches.set("suspend", REFUSED)
    handle = await _changes(shop, Action.SUSPEND)
    await shop.decide(await shop.fallout(_order(handle)), "abort")
    return handle


async def service_ends(shop: Shop) -> Handle:
    """The look for what has reached its service end."""
    id_ = f"service-ends-{uuid4()}"
    return await shop.client.start_workflow("ServiceEnds", id=id_, task_queue=shop.task_queue)


async def _wireless(shop: Shop) -> dict[str, Any]:
    return shop.asset(await shop.fulfil(order(WIRELESS)))


def _about(asset: dict[str, Any], action: Action, *below: Line, **fields: Any) -> Line:  # noqa: ANN401
    return line("", *below, asset=asset["id"], action=action, **fields)


async def _changes(shop: Shop, action: Action, *, before: Action | None = None) -> Handle:
    wireless = await _wireless(shop)
    if before:
        await shop.changed(raw(_about(wireless, before)))
    return await shop.run(shop.change(raw(_about(wireless, action))))


async def _decided(shop: Shop, decision: str, **given: str) -> Handle:
    shop.provisioning.switches.set("activate", REFUSED)
    handle = await shop.start(order(WIRELESS))
    await shop.decide(await shop.fallout(_order(handle)), decision, **given)
    return handle


def _order(handle: Handle) -> str:
    return handle.id.removeprefix("order-")


PATHS: Mapping[str, Callable[[Shop], Awaitable[Handle]]] = {
    path.__name__: path
    for path in (
        wireless_bundle,
        simple_service_bundle,
        physical_goods,
        two_bundles,
        large_bundle,
        context_only,
        rejected,
        approved,
        rejected_by_a_person,
        revised_to_need_no_approval,
        future_start,
        passing_fault,
        slow_network,
        refused_and_retried,
        refused_and_corrected,
        refused_and_skipped,
        refused_and_given_up,
        one_of_two_given_up,
        nested_service_refused,
        exhausted_and_retried,
        retried_by_signal,
        skipped_by_signal,
        still_at_work,
        undo_in_trouble,
        records_in_trouble,
        cancelled,
        cancelled_by_force,
        cancelled_before_it_starts,
        cancellation_refused,
        cancelled_in_temporal,
        cancelled_by_signal,
        cancelled_while_a_neighbour_is_away,
        revised_price,
        revised_number,
        revised_smaller,
        revised_before_it_starts,
        revision_refused,
        suspended,
        suspended_for_a_fee,
        resumed,
        disconnected,
        updated,
        moved,
        replaced,
        promoted,
        waits_for_its_turn,
        waits_for_its_day,
        change_refused_and_retried,
        change_given_up,
        service_ends,
        reconciliation,
        catalog_synchronized,
        watch,
    )
}
