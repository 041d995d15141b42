"""Driving a plan: what can be sent now, whatever has finished first."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decomposition import decompose
from domain.plan import NO_RETURN, SETTLED, Function, Plan, PlanItem, StepState, Undo
from tests.builders import WIRELESS, WIRELESS_ORDER
from tests.domain.strategies import Sold, sold

NEW_ACCOUNT = frozenset({"ACME-BA"})


def ids(batches: Iterable[tuple[PlanItem, ...]]) -> list[list[str]]:
    return [[x.id for x in batch] for batch in batches]


@pytest.mark.req("W2", "B49")
def test_a_wireless_bundle_goes_through_its_stages():
    """What can be taken back, then the rest: goods and network at the same time, and what follows each of them."""
    plan = decompose(WIRELESS_ORDER, WIRELESS)
    assert ids(plan.next_batches(settled=[], taken=[])) == [["reserve:1", "initiate_billing:1"]]
    settled = ["reserve:1", "initiate_billing:1"]
    network = ["provision:1", "provision:1.2", "fulfill_billing:1", "fulfill_billing:1.2"]
    assert ids(plan.next_batches(settled=settled, taken=[])) == [["deliver:1.4", "purchase:1.4"], network]
    settled += network
    assert ids(plan.next_batches(settled=settled, taken=["deliver:1.4", "purchase:1.4"])) == []
    settled += ["deliver:1.4", "purchase:1.4"]
    assert ids(plan.next_batches(settled=settled, taken=[])) == [["commit:1", "asset:1"]]
    assert plan.next_batches(settled=[*settled, "commit:1", "asset:1"], taken=[]) == []


def test_a_service_is_billed_while_the_other_is_still_being_activated():
    plan = decompose(WIRELESS_ORDER, WIRELESS)
    settled = ["reserve:1", "initiate_billing:1", "provision:1", "deliver:1.4"]
    assert ids(plan.next_batches(settled=settled, taken=["provision:1.2"])) == [["fulfill_billing:1"], ["purchase:1.4"]]


def test_an_order_that_began_before_sends_each_function_by_itself():
    plan = replace(decompose(WIRELESS_ORDER, WIRELESS), in_a_row=False)
    settled = ["reserve:1", "initiate_billing:1"]
    assert ids(plan.next_batches(settled=[], taken=[])) == [["reserve:1"]]
    assert ids(plan.next_batches(settled=settled[:1], taken=[])) == [["initiate_billing:1"]]
    assert ids(plan.next_batches(settled=settled, taken=[])) == [["deliver:1.4"], ["provision:1", "provision:1.2"]]
    settled += ["provision:1", "provision:1.2", "deliver:1.4"]
    assert ids(plan.next_batches(settled=settled, taken=["fulfill_billing:1"])) == [
        ["fulfill_billing:1.2"],
        ["purchase:1.4"],
    ]


def test_what_is_held_is_not_sent_again_and_holds_back_what_depends_on_it_only():
    plan = decompose(WIRELESS_ORDER, WIRELESS)
    settled = ["reserve:1", "initiate_billing:1"]
    goods = ["deliver:1.4", "purchase:1.4"]
    assert ids(plan.next_batches(settled=settled, taken=["provision:1"])) == [goods]
    assert ids(plan.next_batches(settled=[*settled, "deliver:1.4"], taken=["provision:1"])) == [goods[1:]]


@given(sold(), st.data())
def test_whatever_finishes_first_each_step_is_sent_once_and_after_what_it_waits_for(example: Sold, data: st.DataObject):
    plan = decompose(example.order, example.catalog, unsynced_accounts=NEW_ACCOUNT)
    settled: list[str] = []
    under_way: list[list[PlanItem]] = []
    while True:
        taken = [x.id for batch in under_way for x in batch]
        for batch in plan.next_batches(settled=settled, taken=taken):
            assert _goes_along(batch, settled)
            under_way.append(list(batch))
        if not under_way:
            break
        finishing = data.draw(st.sampled_from(under_way))
        settled.append(finishing.pop(0).id)
        if not finishing:
            under_way.remove(finishing)
    assert sorted(settled) == sorted(x.id for x in plan.items)


def _goes_along(batch: tuple[PlanItem, ...], settled: list[str]) -> bool:
    """Each item of a batch waits for nothing but what is settled or stands before it, on this side of no return."""
    sent = set(settled)
    for x in batch:
        if not set(x.depends_on) <= sent or x.root != batch[0].root or (x.no_return and not batch[0].no_return):
            return False
        sent.add(x.id)
    return True


@given(sold(), st.data())
def test_a_skipped_or_held_step_never_blocks_what_does_not_depend_on_it(example: Sold, data: st.DataObject):
    plan = decompose(example.order, example.catalog)
    held = data.draw(st.sampled_from(plan.items)).id
    settled: set[str] = set()
    while batches := plan.next_batches(settled=settled, taken={held}):
        settled |= {x.id for batch in batches for x in batch}
    assert {x.id for x in plan.items} - settled == _depends(plan, held)


def _depends(plan: Plan, item_id: str) -> set[str]:
    found = {item_id}
    for x in plan.items:
        if found & set(x.depends_on):
            found.add(x.id)
    return found


def test_what_can_be_undone_and_where_there_is_no_return():
    assert {x: x.undo for x in Function if x.undo} == {
        Function.RESERVE: Undo.RELEASE,
        Function.INITIATE_BILLING: Undo.VOID_INITIATED,
        Function.PROVISION: Undo.DEACTIVATE,
        Function.CLAIM: Undo.UNCLAIM,
        Function.RELOCATE: Undo.DEACTIVATE,
    }
    undone = {Function.SYNC_CUSTOMER, Function.RESERVE, Function.INITIATE_BILLING, Function.CLAIM, Function.RELOCATE}
    assert set(Function) - undone == NO_RETURN
    plan = decompose(WIRELESS_ORDER, WIRELESS)
    assert {x.function for x in plan.items if x.no_return} == {
        Function.DELIVER, Function.PROVISION, Function.FULFILL_BILLING, Function.PURCHASE, Function.COMMIT,
        Function.ASSET,
    }  # fmt: skip


def test_a_step_is_settled_when_done_or_skipped():
    assert {StepState.DONE, StepState.SKIPPED} == SETTLED
