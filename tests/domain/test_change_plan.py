"""By which steps what is installed is changed, and in which order of effects (5.6)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from domain.asset import AssetStatus
from domain.catalog import Catalog, ChargeTrigger, ServiceCharge
from domain.change import completed
from domain.decomposition import decompose
from domain.facts import Facts
from domain.money import Money
from domain.order import Action, Order
from domain.plan import Function, PlanItem
from domain.validation import validate
from tests.builders import WIRELESS, Line, asset, catalog, facts, item, line, raw, simple_bundle
from tests.installed import (
    INSTALLED,
    INTERNET,
    NOW,
    PLAN,
    VOICEMAIL,
    WIRELESS_ASSET,
    about,
    moved_to,
    wireless_assets,
)


def steps(*lines: Line, known: Facts = INSTALLED, products: Catalog = WIRELESS) -> Mapping[str, PlanItem]:
    """The plan of a change that can be taken, by step."""
    given = completed(raw(*lines), products, known)
    assert validate(given, products, known) == ()
    plan = decompose(given, products, versions=known.catalogs)
    assert_in_order(given, plan.items)
    return {x.id: x for x in plan.items}


def assert_in_order(given: Order, items: tuple[PlanItem, ...]) -> None:
    """Each step stands after those it depends on, and only lines of its bundle are in it."""
    seen: set[str] = set()
    for x in items:
        assert {*x.depends_on} <= seen
        assert {given.by_id[y].root for y in x.lines} <= {x.root}
        seen.add(x.id)
    assert len(seen) == len(items)


def order_of(plan: Mapping[str, PlanItem]) -> list[str]:
    return list(plan)


def before(plan: Mapping[str, PlanItem], step: str) -> set[str]:
    """All that is over before a step."""
    return {*plan[step].depends_on}.union(*(before(plan, x) for x in plan[step].depends_on))


@pytest.mark.req("B50", "W2")
def test_a_simple_bundle_is_suspended_on_the_network_then_in_billing_then_here():
    assert order_of(steps(about(INTERNET, Action.SUSPEND))) == [
        "claim:1", "suspend:1", "suspend_billing:1", "asset:1",
    ]  # fmt: skip
    plan = steps(about(INTERNET, Action.SUSPEND))
    assert before(plan, "suspend_billing:1") == {"claim:1", "suspend:1"}
    assert before(plan, "asset:1") == {"claim:1", "suspend:1", "suspend_billing:1"}


@pytest.mark.req("B50")
def test_nested_services_rest_first_and_wake_up_last():
    suspended = steps(about(WIRELESS_ASSET, Action.SUSPEND))
    assert "suspend:1.tttttttt" in before(suspended, "suspend:1")
    assert {"suspend_billing:1", "suspend_billing:1.tttttttt"} <= {*suspended}
    off = replace(INSTALLED, assets={x.id: x for x in wireless_assets(status="suspended")})
    off = replace(
        off, assets={k: replace(x, status=off.assets[WIRELESS_ASSET.id].status) for k, x in off.assets.items()}
    )
    resumed = steps(about(WIRELESS_ASSET, Action.RESUME), known=off)
    assert "resume:1" in before(resumed, "resume:1.tttttttt")
    assert {"resume:1", "resume:1.tttttttt"} <= before(resumed, "resume_billing:1")


@pytest.mark.req("B42", "B51")
def test_a_disconnection_takes_the_network_off_before_billing_ends_and_what_was_charged_once_is_over():
    plan = steps(about(WIRELESS_ASSET, Action.DELETE))
    assert {x.function for x in plan.values()} == {
        Function.CLAIM, Function.DISCONNECT, Function.CLOSE_BILLING, Function.ASSET,
    }  # fmt: skip
    assert "disconnect:1.tttttttt" in before(plan, "disconnect:1")
    assert {"disconnect:1", "disconnect:1.tttttttt"} <= before(plan, "close_billing:1")
    assert {x.subject for x in plan.values() if x.function is Function.CLOSE_BILLING} == {"1", "1.tttttttt"}
    assert plan["close_billing:1"].lines == ("1", "1.pppppppp", "1.vvvvvvvv")


@pytest.mark.req("B50", "B51")
@pytest.mark.parametrize("action", [Action.SUSPEND, Action.RESUME, Action.DELETE])
def test_each_service_is_billed_from_what_happened_to_itself(action: Action):
    """Though billing waits for all of them: the network may be done with one today and with another tomorrow."""
    status = AssetStatus.SUSPENDED if action is Action.RESUME else AssetStatus.ACTIVE
    plan = steps(
        about(WIRELESS_ASSET, action), known=facts(*(replace(x, status=status) for x in wireless_assets()), arrived=NOW)
    )
    function = {Action.SUSPEND: "suspend", Action.RESUME: "resume", Action.DELETE: "disconnect"}[action]
    bills = [x for x in plan.values() if x.function.endswith("_billing")]
    assert {x.dated_by for x in bills} == {(f"{function}:{x.subject}",) for x in bills}
    assert len(bills) == 2
    alone = steps(about(INTERNET, action), known=facts(replace(INTERNET, status=status), arrived=NOW))
    assert not any(x.own_proofs for x in alone.values())


def test_numbers_are_given_back_when_all_is_over():
    products = catalog(
        simple_bundle("INTERNET", "INTERNET-ACTIVATION", pool="IP"), *(x for x in WIRELESS if x.code != "INTERNET")
    )
    known = facts(INTERNET, products=products)
    plan = steps(about(INTERNET, Action.DELETE), known=known, products=products)
    assert order_of(plan) == ["claim:1", "disconnect:1", "close_billing:1", "retire:1", "asset:1"]
    renumbered = steps(about(INTERNET, Action.UPDATE, service_id="10.0.0.9"), known=known, products=products)
    assert order_of(renumbered) == [
        "claim:1", "reserve:1", "modify:1", "update_billing:1", "retire:1", "commit:1", "asset:1",
    ]  # fmt: skip


@pytest.mark.req("B52")
def test_a_component_is_cancelled_alone_and_the_network_told_of_its_service():
    plan = steps(about(WIRELESS_ASSET, Action.NONE, about(VOICEMAIL, Action.DELETE)))
    assert order_of(plan) == ["claim:1", "modify:1", "close_billing:1.1", "asset:1"]
    assert plan["modify:1"].lines == ("1.1",)
    alone = steps(about(VOICEMAIL, Action.DELETE))
    assert order_of(alone) == ["claim:1", "modify:1", "close_billing:1", "asset:1"]


def test_a_component_that_came_later_runs_by_itself_and_goes_by_itself():
    later = replace(VOICEMAIL, created_by="a later order")
    known = replace(INSTALLED, assets={**INSTALLED.assets, later.id: later})
    assert order_of(steps(about(later, Action.DELETE), known=known)) == [
        "claim:1", "disconnect:1", "close_billing:1", "asset:1",
    ]  # fmt: skip
    whole = steps(about(WIRELESS_ASSET, Action.DELETE), known=known)
    assert {x.subject for x in whole.values() if x.function is Function.DISCONNECT} == {"1", "1.tttttttt", "1.vvvvvvvv"}


@pytest.mark.req("B54", "B56")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"service_id": "555-0199"}, ["modify:1", "update_billing:1"]),
        ({"price": Money(1200, "USD")}, ["update_billing:1"]),
        ({"promotion_ref": "GOLD"}, ["update_billing:1"]),
        ({"quantity": 3}, ["modify:1", "update_billing:1"]),
        ({"attributes": {"speed": 100}}, ["modify:1"]),
        ({"service_point": "SP-2"}, ["modify:1"]),
        ({"service_id": "555-0199", "price": Money(1200, "USD")}, ["modify:1", "update_billing:1"]),
    ],
)
def test_an_update_reaches_whom_it_concerns_in_one_call_each(changes: Mapping[str, Any], expected: list[str]):
    assert order_of(steps(about(INTERNET, Action.UPDATE, **changes))) == ["claim:1", *expected, "asset:1"]


@pytest.mark.req("B54", "B22", "F34")
def test_new_accounts_reach_each_service_once_after_billing_has_heard_of_them():
    other = {"billing_account": "OTHER-BA", "billing_profile": "OTHER-BP"}
    given = completed(raw(about(WIRELESS_ASSET, Action.UPDATE, **other)), WIRELESS, INSTALLED)
    plan = decompose(given, WIRELESS, versions=INSTALLED.catalogs, unsynced_accounts=frozenset({"OTHER-BA"}))
    found = {x.id: x for x in plan.items}
    assert [*found] == ["sync_customer:OTHER-BA", "claim:1", "update_billing:1", "update_billing:1.tttttttt", "asset:1"]
    assert "sync_customer:OTHER-BA" in found["update_billing:1"].depends_on


@pytest.mark.req("B56")
def test_changes_of_several_components_are_one_update_of_their_service():
    priced = {"price": Money(500, "USD")}
    plan = steps(
        about(
            WIRELESS_ASSET, Action.NONE, about(PLAN, Action.UPDATE, **priced), about(VOICEMAIL, Action.UPDATE, **priced)
        )
    )
    assert plan["update_billing:1.1"].lines == ("1.1", "1.2")


@pytest.mark.req("B53")
def test_a_move_starts_at_the_new_place_before_it_ends_at_the_old_and_bills_nothing():
    plan = steps(moved_to(service_point="SP-2"), about(WIRELESS_ASSET, Action.MOVE_DELETE))
    assert {x.root for x in plan.values()} == {"1"}
    assert "relocate:1" in before(plan, "relocate:1.tttttttt")
    assert {"relocate:1", "relocate:1.tttttttt"} <= before(plan, "disconnect:2")
    assert "disconnect:2.tttttttt" in before(plan, "disconnect:2")
    assert {"disconnect:2", "disconnect:2.tttttttt"} <= before(plan, "repoint:1")
    assert {x.function for x in plan.values() if x.function.system == "billing"} == {Function.REPOINT}
    assert not plan["relocate:1"].no_return
    assert plan["disconnect:2"].no_return


@pytest.mark.req("B69")
def test_what_takes_the_place_of_something_is_there_before_that_goes():
    accounts = {"billing_account": "ACME-BA", "service_account": "ACME-BA", "billing_profile": "ACME-BP"}
    plan = steps(line("WIRELESS", line("PLAN"), replaces=INTERNET.id, **accounts), about(INTERNET, Action.DELETE))
    assert {x.root for x in plan.values()} == {"1"}
    assert {"provision:1", "fulfill_billing:1"} <= before(plan, "disconnect:2")
    assert "disconnect:2" in before(plan, "close_billing:2")
    assert plan["asset:1"].lines == ("1", "1.1", "2", "2.eeeeeeee")


@pytest.mark.req("B24", "B26", "B58")
@pytest.mark.parametrize(
    ("action", "before_it", "after_it"),
    [
        (Action.SUSPEND, "suspend:1", "suspend_billing:1"),
        (Action.DELETE, "disconnect:1", "close_billing:1"),
        (Action.UPDATE, "modify:1", "update_billing:1"),
    ],
)
def test_a_charge_is_posted_once_it_is_done_and_before_billing_ends(action: Action, before_it: str, after_it: str):
    products = priced(ChargeTrigger(action))
    given = about(INTERNET, action, **({"service_id": "a"} if action is Action.UPDATE else {}))
    plan = steps(given, products=products)
    assert before_it in before(plan, f"charge:1.{action}")
    assert f"charge:1.{action}" in before(plan, after_it)


@pytest.mark.req("B58", "B53")
def test_the_charge_of_a_move_is_posted_when_billing_knows_the_new_asset():
    plan = steps(
        moved_to(service_point="SP-2"), about(INTERNET, Action.MOVE_DELETE), products=priced(ChargeTrigger.MOVE)
    )
    assert "repoint:1" in before(plan, "charge:1.move")


def priced(trigger: ChargeTrigger) -> Catalog:
    charge = ServiceCharge(trigger=trigger, product="FEE")
    return catalog(
        *(replace(x, service_charges=(charge,)) if x.code == "INTERNET" else x for x in WIRELESS), item("FEE")
    )


def test_what_joins_a_service_waits_until_nobody_else_changes_it():
    plan = steps(about(WIRELESS_ASSET, Action.NONE, line("HALF-OFF"), about(VOICEMAIL, Action.DELETE)))
    assert order_of(plan) == ["claim:1", "purchase:1.1", "modify:1", "close_billing:1.2", "asset:1"]
    assert "purchase:1.1" in before(plan, "close_billing:1.2")


def test_what_is_neither_run_nor_billed_is_only_written_down():
    case = asset("cccccccc", "CASE")
    known = facts(case)
    assert order_of(steps(about(case, Action.SUSPEND), known=known)) == ["claim:1", "asset:1"]


def test_context_alone_does_nothing():
    assert steps(about(WIRELESS_ASSET, Action.NONE)) == {}


@pytest.mark.req("C35")
def test_changes_due_at_different_times_are_bundles_of_their_own():
    plan = steps(about(INTERNET, Action.SUSPEND), about(INTERNET, Action.RESUME, due_date=None))
    assert {x.root for x in plan.values()} == {"1", "2"}


@pytest.mark.req("B71")
def test_a_discount_ends_by_itself():
    products = catalog(*WIRELESS)
    half = asset("hhhhhhhh", "HALF-OFF", parent=WIRELESS_ASSET)
    known = replace(INSTALLED, assets={**INSTALLED.assets, half.id: half})
    plan = steps(about(half, Action.DELETE), known=known, products=products)
    assert order_of(plan) == ["claim:1", "close_billing:1", "asset:1"]
