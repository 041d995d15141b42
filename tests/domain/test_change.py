"""What an order that changes something installed says in full, and which such orders are taken (2.2)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from domain.asset import Asset, AssetStatus, changed
from domain.catalog import Catalog, ChargeTrigger, Lifecycle, ServiceCharge
from domain.change import completed, digest
from domain.facts import Facts, Pending
from domain.money import Money
from domain.order import Action, Order
from domain.validation import validate
from tests.builders import WIRELESS, Line, accounts_of, asset, catalog, facts, item, line, order, raw, unbilled
from tests.installed import (
    EVENT,
    INSTALLED,
    INTERNET,
    NOW,
    PHONE,
    PLAN,
    TEXT_BASIC,
    TEXTING,
    VOICEMAIL,
    WIRELESS_ASSET,
    about,
    moved_to,
    wireless_assets,
)

DOLLARS = {x: Money(x * 100, "USD") for x in (5, 10, 12)}


def with_status(known: Facts, *named: Asset, status: AssetStatus) -> Facts:
    return replace(known, assets={**known.assets, **{x.id: replace(known.assets[x.id], status=status) for x in named}})


def whole(given: Order, known: Facts = INSTALLED, products: Catalog = WIRELESS) -> Order:
    return completed(given, products, known)


def broken(
    given: Order, known: Facts = INSTALLED, products: Catalog = WIRELESS
) -> list[tuple[str, str | None, str | None]]:
    """The broken rules as (code, line, field)."""
    return [(x.code, x.line, x.field) for x in validate(whole(given, known, products), products, known)]


def said(given: Order) -> Mapping[str, tuple[Action, str, str | None]]:
    return {x.id: (x.action, x.product, x.asset) for x in given.lines}


# ── what a line says in full ──


@pytest.mark.req("A20")
@pytest.mark.parametrize("action", [Action.DELETE, Action.SUSPEND])
def test_what_happens_to_a_service_happens_to_all_its_parts(action: Action):
    given = whole(raw(about(WIRELESS_ASSET, action)))
    assert said(given) == {
        "1": (action, "WIRELESS", WIRELESS_ASSET.id),
        "1.pppppppp": (action, "PLAN", PLAN.id),
        "1.vvvvvvvv": (action, "VOICEMAIL", VOICEMAIL.id),
        "1.pppppppp-": (action, "PHONE", PHONE.id),
        "1.tttttttt": (action, "TEXTING", TEXTING.id),
        "1.tttttttt.bbbbbbbb": (action, "TEXT-BASIC", TEXT_BASIC.id),
    }
    assert given.by_id["1.tttttttt.bbbbbbbb"].parent == "1.tttttttt"
    assert {x.billing_account for x in given.lines} == {"ACME-BA"}
    assert broken(raw(about(WIRELESS_ASSET, action))) == []


def test_parts_that_cannot_have_it_any_more_are_left_out():
    known = with_status(INSTALLED, VOICEMAIL, status=AssetStatus.INACTIVE)
    known = with_status(known, TEXTING, TEXT_BASIC, status=AssetStatus.SUSPENDED)
    suspended, deleted = (whole(raw(about(WIRELESS_ASSET, x)), known) for x in (Action.SUSPEND, Action.DELETE))
    assert {x.product for x in suspended.lines} == {"WIRELESS", "PLAN", "PHONE"}
    assert {x.product for x in deleted.lines} == {"WIRELESS", "PLAN", "PHONE", "TEXTING", "TEXT-BASIC"}


def test_what_was_said_is_kept_and_completed_the_same_every_time():
    given = raw(about(WIRELESS_ASSET, Action.SUSPEND, about(TEXTING, Action.SUSPEND)), priority=2)
    once = whole(given)
    assert [x.id for x in once.lines if x.product.startswith("TEXT")] == ["1.1", "1.1.bbbbbbbb"]
    again = whole(replace(once, as_sent=None))
    assert [replace(x, changes=None) for x in again.lines] == list(once.lines)
    assert once.as_sent == digest(given)


@pytest.mark.req("B54", "B56")
def test_an_update_says_what_differs_and_what_stays():
    given = about(WIRELESS_ASSET, Action.UPDATE, service_id="555-0199", attributes={"apn": "fast"}, quantity=1)
    (updated,) = whole(raw(given)).lines
    assert updated.changes == ("service_id", "attributes")
    assert (updated.product, updated.quantity, updated.billing_account) == ("WIRELESS", 1, "ACME-BA")


def test_attributes_are_merged_and_what_may_be_blank_can_be_blanked():
    was = wireless_assets(attributes={"apn": "slow", "roaming": True}, promotion_ref="SPRING")
    known = facts(*was)
    given = about(WIRELESS_ASSET, Action.UPDATE, attributes={"apn": "fast"}, promotion_ref=None, billing_account=None)
    (updated,) = whole(raw(given), known).lines
    assert updated.changes == ("attributes", "promotion_ref")
    will_be = changed(was[0], updated)
    assert (will_be.attributes, will_be.promotion_ref) == ({"apn": "fast", "roaming": True}, None)
    assert updated.billing_account == "ACME-BA"


@pytest.mark.req("B22", "C23")
def test_all_of_a_service_gets_the_accounts_that_the_service_gets():
    other = {"billing_account": "OTHER-BA", "billing_profile": "OTHER-BP"}
    given = whole(raw(about(WIRELESS_ASSET, Action.UPDATE, **other)))
    assert {x.product for x in given.lines} == {"WIRELESS", "PLAN", "VOICEMAIL", "PHONE", "TEXTING", "TEXT-BASIC"}
    assert {x.changes for x in given.lines} == {("billing_account", "billing_profile")}
    assert {x.action for x in given.lines} == {Action.UPDATE}
    part = raw(about(PLAN, Action.UPDATE, **other))
    assert {x for x, *_ in broken(part)} == {"ACCT_MISMATCH"}


@pytest.mark.req("B25", "B56")
def test_what_has_a_promotion_with_its_service_gets_the_next_one_with_it():
    """Of a service bundle nothing is purchased: its promotion is billed with its parts."""
    parts = wireless_assets(promotion_ref="SPRING")
    spring = {x.id: replace(x, promotion_ref="SPRING") if x.product in ("PLAN", "TEXT-BASIC") else x for x in parts}
    spring[TEXTING.id] = replace(spring[TEXTING.id], promotion_ref="SPRING")
    known = facts(*spring.values(), arrived=NOW)
    gold = whole(raw(about(WIRELESS_ASSET, Action.UPDATE, promotion_ref="GOLD"), reason="promo_upgrade"), known)
    assert {x.product: x.changes for x in gold.lines} == dict.fromkeys(
        ("WIRELESS", "PLAN", "TEXTING", "TEXT-BASIC"), ("promotion_ref",)
    )
    assert {x.promotion_ref for x in gold.lines} == {"GOLD"}
    assert validate(gold, WIRELESS, known) == ()
    own = about(WIRELESS_ASSET, Action.UPDATE, about(PLAN, Action.UPDATE, promotion_ref="SILVER"), promotion_ref=None)
    assert {x.product: x.promotion_ref for x in whole(raw(own), known).lines}["PLAN"] == "SILVER"


def test_what_joins_a_service_has_its_accounts_and_its_lines_parents():
    given = raw(about(WIRELESS_ASSET, Action.NONE, line("HALF-OFF")))
    joined = whole(given).by_id["1.1"]
    assert accounts_of(joined) == {
        "billing_account": "ACME-BA", "service_account": "ACME-BA", "billing_profile": "ACME-BP"
    }  # fmt: skip
    assert broken(given) == []


def test_a_part_by_itself_knows_its_service_and_what_the_network_runs_it_as():
    later = replace(VOICEMAIL, created_by="a later order")
    known = replace(INSTALLED, assets={**INSTALLED.assets, later.id: later})
    came_with, came_later = (
        whole(raw(about(x, Action.DELETE)), y) for x, y in ((VOICEMAIL, INSTALLED), (later, known))
    )
    assert (came_with.lines[0].service, came_with.lines[0].network) == (WIRELESS_ASSET.id, WIRELESS_ASSET.id)
    assert (came_later.lines[0].service, came_later.lines[0].network) == (WIRELESS_ASSET.id, VOICEMAIL.id)


# ── moves and replacements ──


@pytest.mark.req("B53")
def test_a_move_mirrors_the_whole_service_in_one_bundle():
    given = raw(moved_to(service_point="SP-2"), about(WIRELESS_ASSET, Action.MOVE_DELETE))
    known = facts(*wireless_assets(service_point="SP-1"), arrived=NOW)
    moved = whole(given, known)
    assert {x.root for x in moved.lines} == {"1"}
    new = {x.product: x for x in moved.lines if x.action is Action.MOVE_ADD}
    old = {x.product: x for x in moved.lines if x.action is Action.MOVE_DELETE}
    assert new.keys() == old.keys() == {"WIRELESS", "PLAN", "VOICEMAIL", "PHONE", "TEXTING", "TEXT-BASIC"}
    for product, half in new.items():
        assert (half.related_line, old[product].related_line) == (old[product].id, half.id)
        assert half.asset is None
    assert new["WIRELESS"].service_point == "SP-2"
    assert new["WIRELESS"].service_id == "555-0100"
    assert new["TEXT-BASIC"].parent == new["TEXTING"].id
    assert broken(given, known) == []


def test_parts_in_the_same_place_move_along_and_others_stay_where_they_are():
    bundle = asset("aaaaaaaa-w", "WIRELESS", service_point="SP-1")
    here, elsewhere = (
        asset(f"{x}{x}{x}{x}{x}{x}{x}{x}", "PLAN", parent=bundle, service_point=y)
        for x, y in (("1", "SP-1"), ("2", "SP-9"))
    )
    moved = whole(
        raw(moved_to(service_point="SP-2"), about(bundle, Action.MOVE_DELETE)), facts(bundle, here, elsewhere)
    )
    assert {x.id: x.service_point for x in moved.lines if x.action is Action.MOVE_ADD} == {
        "1": "SP-2", "1.11111111": "SP-2", "1.22222222": "SP-9"
    }  # fmt: skip


@pytest.mark.req("B53")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((moved_to(service_point="SP-2"),), [("ASSET_STATE", "1", "related_line")]),
        ((about(WIRELESS_ASSET, Action.MOVE_DELETE),), [("ASSET_STATE", "1", "related_line")]),
        (
            (moved_to(attributes={"floor": 3}), about(WIRELESS_ASSET, Action.MOVE_DELETE)),
            [("ASSET_STATE", "1", "service_point")],
        ),
        (
            (moved_to(service_point="SP-2", quantity=2), about(INTERNET, Action.MOVE_DELETE)),
            [("ASSET_STATE", "1", "quantity")],
        ),
        (
            (moved_to(service_point="SP-2", service_id="555-0199"), about(INTERNET, Action.MOVE_DELETE)),
            [("ASSET_STATE", "1", "service_id")],
        ),
        (
            (moved_to(service_point="SP-2"), about(TEXTING, Action.MOVE_DELETE)),
            [("ASSET_STATE", "2", "action")],
        ),
    ],
)  # fmt: skip
def test_half_a_move_a_move_to_the_same_place_and_a_move_of_a_part_are_refused(
    lines: tuple[Line, ...], expected: object
):
    assert [x for x in broken(raw(*lines)) if x[0] == "ASSET_STATE"] == expected


def test_two_moves_in_one_order_say_which_halves_belong_together():
    other = asset("jjjjjjjj-j", "INTERNET")
    known = facts(INTERNET, other)
    gone = about(INTERNET, Action.MOVE_DELETE), about(other, Action.MOVE_DELETE)
    new = [line("INTERNET", action=Action.MOVE_ADD, changes=("service_point",), service_point=x) for x in ("A", "B")]
    assert {x[0::2] for x in broken(raw(*new, *gone), known)} >= {("ASSET_STATE", "related_line")}
    named = [replace(x, fields=x.fields | {"related_line": y}) for x, y in zip(new, ("4", "3"), strict=True)]
    moved = whole(raw(*named, *gone), known)
    assert {x.id: x.root for x in moved.lines} == {"1": "1", "2": "2", "3": "2", "4": "1"}
    assert broken(raw(*named, *gone), known) == []


@pytest.mark.req("B43", "B68", "B69")
def test_one_service_in_place_of_another_is_an_addition_and_a_deletion_carried_out_together():
    new = line(
        "WIRELESS",
        line("PLAN"),
        replaces=INTERNET.id,
        billing_account="ACME-BA",
        service_account="ACME-BA",
        billing_profile="ACME-BP",
    )
    given = raw(new, about(INTERNET, Action.DELETE))
    assert broken(given) == []
    assert {x.root for x in whole(given).lines} == {"1"}
    assert broken(raw(new)) == [("ASSET_STATE", "1", "replaces")]


@pytest.mark.req("B56", "F13")
@pytest.mark.parametrize(("held", "expected"), [(PHONE, [("QTY", "1", "quantity")]), (PLAN, [])])
def test_more_of_what_was_delivered_is_ordered_anew(held: Asset, expected: object):
    assert broken(raw(about(held, Action.UPDATE, quantity=2))) == expected


@pytest.mark.req("B56")
@pytest.mark.parametrize(
    ("named", "expected"), [(WIRELESS_ASSET, [("PRICE", "1", "price")]), (PLAN, []), (INTERNET, [])]
)
def test_only_what_billing_has_a_price_of_gets_another_one(named: Asset, expected: object):
    assert broken(raw(about(named, Action.UPDATE, price=DOLLARS[5]))) == expected


# ── what changes cost ──


def charged(*products: str, trigger: ChargeTrigger) -> Catalog:
    """The wireless catalog, where a change of these products costs something."""
    charge = ServiceCharge(trigger=trigger, product="FEE")
    priced = (replace(x, service_charges=(charge,)) if x.code in products else x for x in WIRELESS)
    return catalog(*priced, item("FEE"))


def charges(given: Order, products: Catalog, known: Facts = INSTALLED) -> list[tuple[str, str | None, str | None]]:
    """The charges as (line, the line they are for, the service where the order has no line of it)."""
    found = whole(given, known, products)
    assert validate(found, products, known) == ()
    return sorted((x.id, x.related_line, x.service) for x in found.lines if x.is_charge)


@pytest.mark.req("B24", "B26")
def test_a_suspension_costs_once_for_each_service_that_has_a_charge_for_it():
    products = charged("WIRELESS", "TEXTING", trigger=ChargeTrigger.SUSPEND)
    assert charges(raw(about(WIRELESS_ASSET, Action.SUSPEND)), products) == [
        ("1.suspend", "1", None),
        ("1.tttttttt.suspend", "1.tttttttt", None),
    ]
    assert charges(raw(about(TEXTING, Action.SUSPEND)), products) == [("1.suspend", "1", None)]
    assert charges(raw(about(WIRELESS_ASSET, Action.DELETE)), products) == []


@pytest.mark.req("B24")
def test_additions_and_context_cost_no_service_charge():
    products = catalog(
        *(
            replace(x, service_charges=tuple(ServiceCharge(trigger=y, product="FEE") for y in ChargeTrigger))
            for x in WIRELESS
        ),
        item("FEE"),
    )
    assert charges(raw(about(WIRELESS_ASSET, Action.NONE, line("HALF-OFF"))), products) == []


@pytest.mark.req("B24", "B26")
def test_a_change_of_a_part_costs_what_its_service_says():
    products = charged("WIRELESS", "TEXTING", trigger=ChargeTrigger.UPDATE)
    part = about(PLAN, Action.UPDATE, price=DOLLARS[5])
    assert charges(raw(part), products) == [("1.update", "1", WIRELESS_ASSET.id)]
    assert charges(raw(about(WIRELESS_ASSET, Action.NONE, part)), products) == [("1.update", "1", None)]


@pytest.mark.req("B26")
def test_an_update_costs_for_the_service_and_those_nested_in_it():
    products = charged("WIRELESS", "TEXTING", trigger=ChargeTrigger.UPDATE)
    given = raw(about(WIRELESS_ASSET, Action.UPDATE, service_id="555-0199"))
    assert charges(given, products) == [("1.update", "1", None), ("1.update-", "1", TEXTING.id)]


@pytest.mark.req("B25")
@pytest.mark.parametrize("way", ["promo_upgrade", "promo_downgrade"])
def test_a_better_or_worse_promotion_costs_what_that_costs_and_not_an_update(way: str):
    products = charged("WIRELESS", trigger=ChargeTrigger(way))
    given = about(WIRELESS_ASSET, Action.UPDATE, promotion_ref="GOLD")
    assert charges(raw(given, reason=way), products) == [(f"1.{way}", "1", None)]
    assert charges(raw(given), products) == []
    assert charges(raw(given, reason=way), charged("WIRELESS", trigger=ChargeTrigger.UPDATE)) == []


@pytest.mark.req("B25")
def test_a_part_that_gives_way_to_another_one_by_promotion_costs_that_and_not_a_disconnection():
    both = charged("WIRELESS", trigger=ChargeTrigger.PROMO_UPGRADE), charged("WIRELESS", trigger=ChargeTrigger.DELETE)
    swap = about(WIRELESS_ASSET, Action.NONE, about(VOICEMAIL, Action.DELETE), line("CASE"))
    upgraded, leaves = (
        raw(swap, reason="promo_upgrade"),
        raw(about(WIRELESS_ASSET, Action.DELETE), reason="promo_upgrade"),
    )
    assert [len(charges(upgraded, x)) for x in both] == [1, 0]
    assert [len(charges(raw(swap), x)) for x in both] == [0, 1]
    assert [len(charges(leaves, x)) for x in both] == [0, 1]


@pytest.mark.req("B24", "B58")
def test_a_move_costs_once_and_is_charged_to_the_new_half():
    products = charged("INTERNET", trigger=ChargeTrigger.MOVE)
    given = raw(moved_to(service_point="SP-2"), about(INTERNET, Action.MOVE_DELETE))
    assert charges(given, products) == [("1.move", "1", None)]


def test_charges_that_are_sent_along_are_made_anew():
    products = charged("WIRELESS", trigger=ChargeTrigger.SUSPEND)
    once = whole(raw(about(WIRELESS_ASSET, Action.SUSPEND)), INSTALLED, products)
    assert [x.id for x in whole(replace(once, as_sent=None), INSTALLED, products).lines] == [x.id for x in once.lines]


# ── which changes are taken ──


@pytest.mark.req("A18")
def test_a_new_product_names_no_asset():
    assert ("ASSET_STATE", "1", "asset") in broken(raw(line("INTERNET", asset=INTERNET.id)))


@pytest.mark.req("A19", "A20")
@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (Action.UPDATE, {AssetStatus.ACTIVE}),
        (Action.SUSPEND, {AssetStatus.ACTIVE}),
        (Action.RESUME, {AssetStatus.SUSPENDED}),
        (Action.DELETE, {AssetStatus.ACTIVE, AssetStatus.SUSPENDED}),
        (Action.MOVE_DELETE, {AssetStatus.ACTIVE}),
        (Action.NONE, set(AssetStatus)),
    ],
)
@pytest.mark.parametrize("status", list(AssetStatus))
def test_an_asset_allows_a_change_in_the_right_state_only(
    action: Action, status: AssetStatus, allowed: set[AssetStatus]
):
    known = with_status(INSTALLED, INTERNET, EVENT, status=status)
    given = about(INTERNET, action, **({"service_id": "a"} if action is Action.UPDATE else {}))
    lines = (moved_to(service_point="SP-2"), given) if action is Action.MOVE_DELETE else (given,)
    found = broken(raw(*lines), known)
    assert found == ([] if status in allowed else [("ASSET_STATE", str(len(lines)), "action")])


@pytest.mark.req("A19")
def test_a_change_names_an_asset_of_the_same_account():
    others = asset("oooooooo", "INTERNET", account="OTHER")
    known = replace(INSTALLED, assets={**INSTALLED.assets, others.id: others})
    for named in (others, replace(INTERNET, id="nobody")):
        assert ("ASSET_STATE", "1", "asset") in broken(raw(about(named, Action.SUSPEND)), known)
    assert ("ASSET_STATE", "1", "asset") in broken(raw(line("INTERNET", action=Action.SUSPEND)))


@pytest.mark.req("B43", "B68", "B69")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (INTERNET, "FASTER-INTERNET", "SSB_SWITCH"),
        (INTERNET, "WIRELESS", "SSB_TO_SB"),
        (WIRELESS_ASSET, "INTERNET", "ASSET_STATE"),
    ],
)
def test_an_asset_keeps_its_product(old: Asset, new: str, code: str):
    products = catalog(*WIRELESS, *(replace(x, code="FASTER-INTERNET") for x in WIRELESS if x.code == "INTERNET"))
    given = line(new, asset=old.id, action=Action.UPDATE, changes=("service_id",), service_id="555-0199")
    assert broken(raw(given), products=products) == [(code, "1", "product")]


@pytest.mark.req("B52")
def test_the_product_of_a_simple_bundle_is_not_cancelled_without_its_service():
    part = about(EVENT, Action.DELETE)
    assert broken(raw(part)) == [("SSB_PRODUCT_CANCEL", "1", "action")]
    assert broken(raw(about(INTERNET, Action.NONE, part))) == [("SSB_PRODUCT_CANCEL", "1.1", "action")]
    assert broken(raw(about(INTERNET, Action.DELETE, part))) == []


@pytest.mark.req("B52")
def test_a_part_of_an_ordinary_bundle_may_be_cancelled_by_itself():
    assert broken(raw(about(VOICEMAIL, Action.DELETE))) == []
    assert broken(raw(about(WIRELESS_ASSET, Action.NONE, about(VOICEMAIL, Action.DELETE)))) == []


@pytest.mark.req("B41")
def test_nothing_is_added_to_a_simple_bundle_that_runs():
    assert broken(raw(about(INTERNET, Action.NONE, line("VOICEMAIL")))) == [("SSB_CHILD", "1.1", "product")]


@pytest.mark.req("B01")
def test_a_service_keeps_the_components_it_needs_and_gets_no_more_than_it_takes():
    assert broken(raw(about(PLAN, Action.DELETE))) == [("STRUCTURE", "1", "action")]
    context = about(WIRELESS_ASSET, Action.NONE, about(PLAN, Action.DELETE))
    assert broken(raw(context)) == [("STRUCTURE", "1", "lines")]
    another = about(WIRELESS_ASSET, Action.NONE, line("PLAN"))
    assert broken(raw(another)) == [("STRUCTURE", "1", "lines")]
    instead = about(WIRELESS_ASSET, Action.NONE, about(PLAN, Action.DELETE), line("PLAN"))
    assert broken(raw(instead)) == []


@pytest.mark.req("A19")
def test_a_part_is_not_suspended_or_resumed_without_its_service_but_a_nested_service_is():
    assert broken(raw(about(VOICEMAIL, Action.SUSPEND))) == [("ASSET_STATE", "1", "action")]
    assert broken(raw(about(TEXTING, Action.SUSPEND))) == []
    off = with_status(INSTALLED, *wireless_assets(), status=AssetStatus.SUSPENDED)
    assert broken(raw(about(TEXTING, Action.RESUME)), off) == [("ASSET_STATE", "1", "action")]
    assert broken(raw(about(WIRELESS_ASSET, Action.RESUME)), off) == []


@pytest.mark.req("A19", "B22")
def test_what_goes_along_with_its_service_does_not_rest():
    """Left behind, it would stand in nothing, or have other accounts than its service: nobody could end it any more."""
    known = with_status(INSTALLED, TEXTING, TEXT_BASIC, status=AssetStatus.SUSPENDED)
    moved = raw(moved_to(service_point="SP-2"), about(WIRELESS_ASSET, Action.MOVE_DELETE))
    paid = raw(about(WIRELESS_ASSET, Action.UPDATE, billing_account="OTHER-BA", billing_profile="OTHER-BP"))
    assert broken(moved, known) == [("ASSET_STATE", "2", "action")]
    assert broken(paid, known) == [("ASSET_STATE", "1", "action")]
    assert broken(moved) == broken(paid) == []
    assert broken(raw(about(WIRELESS_ASSET, Action.UPDATE, service_id="555-0199")), known) == []


def test_the_new_half_of_a_move_does_not_stand_under_anything_else():
    nested = about(WIRELESS_ASSET, Action.NONE, moved_to(service_point="SP-2"))
    assert ("ASSET_STATE", "1.1", "action") in broken(raw(nested))


@pytest.mark.req("B01")
def test_no_line_gets_lost_because_another_one_has_its_id():
    part = about(WIRELESS_ASSET, Action.UPDATE, about(TEXTING, Action.DELETE), service_id="555-0199")
    twice = raw(about(WIRELESS_ASSET, Action.SUSPEND), about(INTERNET, Action.SUSPEND))
    for given, ids in ((raw(part), {"1.1": "1"}), (twice, {"2": "1"})):
        lines = (replace(x, id=ids.get(x.id, x.id), root=ids.get(x.root, x.root)) for x in given.lines)
        assert broken(replace(given, lines=tuple(lines))) == [("STRUCTURE", "1", "id")]


@pytest.mark.req("A20")
def test_below_what_reaches_everything_nothing_else_is_asked_for():
    mixed = about(WIRELESS_ASSET, Action.SUSPEND, about(TEXTING, Action.DELETE))
    assert broken(raw(mixed)) == [("STRUCTURE", "1.1", "action")]


def test_a_line_stands_under_the_line_of_its_assets_parent():
    misplaced = about(WIRELESS_ASSET, Action.NONE, about(TEXT_BASIC, Action.UPDATE, price=DOLLARS[5]))
    assert broken(raw(misplaced)) == [("STRUCTURE", "1.1", "asset")]
    foreign = about(WIRELESS_ASSET, Action.NONE, about(EVENT, Action.UPDATE, service_id="a"))
    assert ("STRUCTURE", "1.1", "asset") in broken(raw(foreign))
    part = about(VOICEMAIL, Action.UPDATE, price=DOLLARS[5])
    assert {x[:2] for x in broken(raw(about(WIRELESS_ASSET, Action.NONE, part, part)))} == {
        ("STRUCTURE", "1.1"), ("STRUCTURE", "1.2")
    }  # fmt: skip


@pytest.mark.req("A19")
def test_an_update_that_changes_nothing_is_refused():
    assert broken(raw(about(WIRELESS_ASSET, Action.UPDATE, service_id="555-0100"))) == [("ASSET_STATE", "1", "action")]
    assert broken(raw(about(WIRELESS_ASSET, Action.UPDATE, about(PLAN, Action.UPDATE, price=DOLLARS[5])))) == []


@pytest.mark.req("A19", "B54")
@pytest.mark.parametrize("action", [Action.SUSPEND, Action.RESUME, Action.DELETE, Action.NONE])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("price", DOLLARS[5]),
        ("quantity", 2),
        ("attributes", {"apn": "fast"}),
        ("billing_account", "OTHER-BA"),
        ("service_id", None),
        ("service_end", date(2026, 7, 1)),
        ("location", "NORTH"),
        ("related_line", "2"),
    ],
)
def test_a_value_that_nobody_would_look_at_is_refused(action: Action, name: str, value: object):
    resting = AssetStatus.SUSPENDED if action is Action.RESUME else AssetStatus.ACTIVE
    internet = replace(INTERNET, status=resting, service_id="555-0100")
    given = raw(about(internet, action, **{name: value}))
    assert broken(given, facts(internet, arrived=NOW)) == [("STRUCTURE", "1", name)]


@pytest.mark.req("A19")
def test_what_an_asset_is_already_may_be_said_of_it_and_a_location_means_nothing_to_an_update():
    as_it_is = about(WIRELESS_ASSET, Action.SUSPEND, quantity=1, billing_account="ACME-BA", attributes={})
    assert broken(raw(as_it_is)) == []
    assert {x.changes for x in whole(raw(as_it_is)).lines} == {None}
    update = about(INTERNET, Action.UPDATE, service_id="555-0199", location="NORTH")
    assert broken(raw(update)) == [("STRUCTURE", "1", "location")]
    left = about(INTERNET, Action.MOVE_DELETE, price=DOLLARS[5])
    assert broken(raw(moved_to(service_point="SP-2"), left)) == [("STRUCTURE", "2", "price")]


@pytest.mark.req("C35", "B53", "B69")
def test_both_halves_of_a_move_or_a_replacement_are_due_on_one_day():
    new = line("WIRELESS", line("PLAN"), replaces=INTERNET.id, **accounts_of(order(line("PLAN")).lines[0]))
    day = {"due_date": date(2026, 7, 1)}
    for other, action in ((moved_to(service_point="SP-2"), Action.MOVE_DELETE), (new, Action.DELETE)):
        on_a_day = replace(other, fields=other.fields | day)
        apart = raw(on_a_day, about(INTERNET, action, due_date=date(2026, 7, 2)))
        assert broken(apart) == [("STRUCTURE", "2", "due_date")]
        for halves in ((on_a_day, about(INTERNET, action)), (other, about(INTERNET, action, **day))):
            assert broken(raw(*halves)) == []
            assert [x.due_date for x in whole(raw(*halves)).roots] == [day["due_date"]] * 2


@pytest.mark.req("C35")
def test_a_part_is_changed_on_the_day_of_the_line_that_it_stands_under():
    part = about(TEXTING, Action.SUSPEND, due_date=date(2026, 7, 2))
    sooner = raw(about(WIRELESS_ASSET, Action.NONE, part, due_date=date(2026, 7, 1)))
    assert broken(sooner) == [("STRUCTURE", "1.1", "due_date")]
    assert broken(raw(about(WIRELESS_ASSET, Action.NONE, part, due_date=date(2026, 7, 2)))) == []


@pytest.mark.req("B44", "B54")
def test_the_accounts_of_a_simple_bundle_change_together_or_not_at_all():
    assert ("SSB_ACCT", "1", "billing_account") in broken(
        raw(about(INTERNET, Action.UPDATE, billing_account="OTHER-BA"))
    )
    everything = {"billing_account": "OTHER-BA", "service_account": "OTHER-BA", "billing_profile": "OTHER-BP"}
    assert broken(raw(about(INTERNET, Action.UPDATE, **everything))) == []


def test_what_is_not_sold_any_more_can_still_be_changed_and_disconnected():
    retired = catalog(*(replace(x, lifecycle=Lifecycle.RETIRED) for x in WIRELESS), version=2)
    dropped = catalog(unbilled("SOMETHING-ELSE"), version=2)
    for products in (retired, dropped):
        assert broken(raw(about(WIRELESS_ASSET, Action.DELETE)), products=products) == []
        assert broken(raw(about(WIRELESS_ASSET, Action.UPDATE, service_id="555-0199")), products=products) == []


# ── what is open on an asset ──


def pending(number: int, due: datetime, *lines: Line) -> Pending:
    known = replace(INSTALLED, arrived=due)
    return Pending(order=f"{number:032}", number=number, version=1, due=due, lines=whole(raw(*lines), known).lines)


def at(day: int, month: int = 6) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


SUSPENDED_LATER = pending(1001, at(10), about(WIRELESS_ASSET, Action.SUSPEND))


@pytest.mark.req("A19")
def test_a_change_is_judged_by_what_the_asset_will_be_when_it_is_due():
    known = replace(INSTALLED, pending=(SUSPENDED_LATER,))
    assert broken(raw(about(WIRELESS_ASSET, Action.RESUME, due_date=date(2026, 7, 1))), known) == []
    assert broken(raw(about(WIRELESS_ASSET, Action.RESUME)), known) == [("ASSET_STATE", "1", "action")]
    assert broken(raw(about(WIRELESS_ASSET, Action.SUSPEND)), known) == []
    assert broken(raw(about(WIRELESS_ASSET, Action.SUSPEND), requested_start=at(11)), known) == [
        ("ASSET_STATE", "1", "action")
    ]


@pytest.mark.req("A19")
def test_the_open_order_that_stands_in_the_way_is_named():
    known = replace(INSTALLED, pending=(SUSPENDED_LATER,))
    given = whole(raw(about(WIRELESS_ASSET, Action.SUSPEND, due_date=date(2026, 7, 1))), known)
    (violation,) = validate(given, WIRELESS, known)
    assert violation.message == "An asset that is suspended, by order 1001, does not allow this action."


@pytest.mark.req("A20")
@pytest.mark.parametrize("day", [1, 20])
def test_nothing_more_is_asked_of_what_somebody_has_asked_to_disconnect(day: int):
    known = replace(INSTALLED, pending=(pending(1002, at(10), about(WIRELESS_ASSET, Action.DELETE)),))
    for named, action in (
        (WIRELESS_ASSET, Action.DELETE),
        (WIRELESS_ASSET, Action.SUSPEND),
        (VOICEMAIL, Action.DELETE),
    ):
        given = whole(raw(about(named, action, due_date=date(2026, 6, day))), known)
        (violation,) = [x for x in validate(given, WIRELESS, known) if x.line == "1"]
        assert (violation.code, violation.rule) == ("OPEN_DELETE", "A20")
        assert violation.message == "A request has already been made to disconnect this service item: order 1002."


@pytest.mark.req("A19", "A20")
@pytest.mark.parametrize(
    ("action", "expected"),
    [(Action.SUSPEND, []), (Action.DELETE, [("OPEN_DELETE", "1.vvvvvvvv", "asset")])],
)
def test_what_is_to_be_disconnected_later_rests_with_its_service_until_then(action: Action, expected: object):
    """But it does not end with it: then the later order would find nothing to disconnect."""
    known = replace(INSTALLED, pending=(pending(1002, at(10), about(VOICEMAIL, Action.DELETE)),))
    assert broken(raw(about(WIRELESS_ASSET, action)), known) == expected
    after = raw(about(WIRELESS_ASSET, action, due_date=date(2026, 6, 20)))
    assert broken(after, known) == []
    assert "VOICEMAIL" not in {x.product for x in whole(after, known).lines}


@pytest.mark.req("A20")
def test_nothing_is_added_to_what_somebody_has_asked_to_disconnect_or_to_move():
    moved = (moved_to(service_point="SP-2"), about(WIRELESS_ASSET, Action.MOVE_DELETE, due_date=date(2026, 6, 10)))
    joins = raw(about(WIRELESS_ASSET, Action.NONE, line("HALF-OFF")))
    for lines in ((about(WIRELESS_ASSET, Action.DELETE),), moved):
        known = replace(INSTALLED, pending=(pending(1002, at(10), *lines),))
        assert broken(joins, known) == [("OPEN_DELETE", "1", "asset")]


@pytest.mark.req("A20", "C35")
def test_a_suspension_that_does_not_reach_what_has_joined_since_is_not_carried_out_so():
    """Otherwise that would run on, in a service that rests."""
    given = whole(raw(about(WIRELESS_ASSET, Action.SUSPEND, due_date=date(2026, 7, 1))))
    joined = asset("hhhhhhhh-h", "HALF-OFF", parent=WIRELESS_ASSET, created_by="a later order")
    known = replace(INSTALLED, assets={**INSTALLED.assets, joined.id: joined})
    (violation,) = validate(given, WIRELESS, known)
    assert (violation.code, violation.line, violation.field) == ("STRUCTURE", "1", "lines")
    assert validate(whole(replace(given, as_sent=None), known), WIRELESS, known) == ()


@pytest.mark.req("A20", "C35")
def test_what_was_ordered_before_the_disconnection_is_carried_out_before_it():
    asked = pending(1002, at(10), about(WIRELESS_ASSET, Action.DELETE))
    known = replace(INSTALLED, pending=(asked,), number=1001)
    given = whole(raw(about(WIRELESS_ASSET, Action.SUSPEND)), known)
    assert validate(given, WIRELESS, known) == ()


@pytest.mark.req("A19", "C35")
def test_several_changes_in_one_order_build_on_one_another():
    holiday = raw(
        about(WIRELESS_ASSET, Action.RESUME, due_date=date(2026, 8, 1)),
        about(WIRELESS_ASSET, Action.SUSPEND, due_date=date(2026, 7, 1)),
        about(WIRELESS_ASSET, Action.DELETE, due_date=date(2026, 12, 1)),
    )
    assert broken(holiday) == []
    assert ("ASSET_STATE", "2", "action") in broken(raw(*[about(WIRELESS_ASSET, Action.SUSPEND)] * 2))


def test_what_another_order_adds_is_deleted_with_the_service():
    joins = pending(1003, at(10), about(WIRELESS_ASSET, Action.NONE, line("HALF-OFF")))
    known = replace(INSTALLED, pending=(joins,))
    later, sooner = (
        whole(raw(about(WIRELESS_ASSET, Action.DELETE, due_date=date(2026, 6, x))), known) for x in (20, 5)
    )
    assert "HALF-OFF" in {x.product for x in later.lines}
    assert "HALF-OFF" not in {x.product for x in sooner.lines}


@pytest.mark.req("C23")
def test_an_asset_past_its_end_takes_no_change_and_one_that_is_to_end_does():
    ends = facts(replace(INTERNET, service_end=at(10)), arrived=NOW)
    suspended = about(INTERNET, Action.SUSPEND)
    assert broken(raw(suspended), ends) == []
    assert broken(raw(suspended, requested_start=at(11)), ends) == [("ASSET_STATE", "1", "action")]
    assert broken(raw(about(INTERNET, Action.DELETE, due_date=date(2026, 6, 10))), ends) == []


@pytest.mark.req("C23")
@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ({"service_end": date(2026, 6, 1)}, True),
        ({"service_end": date(2026, 5, 31)}, False),
        ({"service_end": date(2026, 7, 1), "service_start": date(2026, 7, 2)}, False),
    ],
)
def test_a_service_does_not_end_before_it_begins_or_before_that_is_due(asked: Mapping[str, date], *, taken: bool):
    expected = [] if taken else [("STRUCTURE", "1", "service_end")]
    assert broken(raw(about(INTERNET, Action.UPDATE, **asked))) == expected
    assert broken(order(line("INTERNET", due_date=date(2026, 6, 1), **asked))) == expected


@pytest.mark.req("A19", "A20")
@pytest.mark.parametrize("action", [Action.SUSPEND, Action.DELETE])
def test_a_part_that_ends_before_is_over_by_then(action: Action):
    """It takes no line, and stands in nobody's way."""
    ends = replace(INSTALLED, assets={**INSTALLED.assets, VOICEMAIL.id: replace(VOICEMAIL, service_end=at(10))})
    later, sooner = (raw(about(WIRELESS_ASSET, action, due_date=date(2026, 6, x))) for x in (20, 5))
    assert broken(later, ends) == broken(sooner, ends) == []
    assert "VOICEMAIL" not in {x.product for x in whole(later, ends).lines}
    assert "VOICEMAIL" in {x.product for x in whole(sooner, ends).lines}


@pytest.mark.req("A19", "A20")
@pytest.mark.parametrize("action", [Action.SUSPEND, Action.DELETE])
def test_a_part_that_is_over_and_runs_still_goes_along_with_its_service(action: Action):
    """Nobody has disconnected it yet: left out, it would run on in a service that rests, or is gone."""
    ends = replace(INSTALLED, assets={**INSTALLED.assets, TEXTING.id: replace(TEXTING, service_end=at(1))})
    given = raw(about(WIRELESS_ASSET, action))
    assert broken(given, ends) == []
    assert {"TEXTING", "TEXT-BASIC"} <= {x.product for x in whole(given, ends).lines}
    assert broken(raw(about(TEXTING, action)), ends) == [("ASSET_STATE", "1", "action")]


@pytest.mark.req("C23", "A19")
def test_a_part_takes_no_change_once_what_it_is_part_of_is_over():
    ends = replace(WIRELESS_ASSET, service_end=at(10))
    over = replace(INSTALLED, assets={**INSTALLED.assets, ends.id: ends})
    for given in (about(TEXTING, Action.SUSPEND), about(TEXT_BASIC, Action.UPDATE, attributes={"size": 3})):
        assert broken(raw(given), over) == []
        assert broken(raw(given, requested_start=at(11)), over) == [("ASSET_STATE", "1", "action")]


@pytest.mark.req("B26")
def test_a_line_that_is_no_charge_of_ours_is_none_whatever_it_names():
    """Neither lost nor free of charge; and with all that stands in it."""
    beside = line("WIRELESS", line("PLAN"), related_line="Pp")
    found = whole(raw(about(INTERNET, Action.SUSPEND), beside))
    assert {"2", "2.1"} <= found.by_id.keys()
    assert not any(x.is_charge for x in found.lines)


@pytest.mark.req("B26")
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (raw(line("WIRELESS", line("PLAN"), line("FEE"))), ("STRUCTURE", "1.suspend", "related_line")),
        (
            raw(about(WIRELESS_ASSET, Action.SUSPEND, line("FEE", line("FEE")))),
            ("STRUCTURE", "1.suspend", "related_line"),
        ),
    ],
)
def test_nobody_else_makes_a_charge_or_puts_anything_into_one(given: Order, problem: tuple[str, str, str]):
    """A line of the shape of ours: in an order of new products, or with a line in it."""
    (charge,) = (x for x in given.lines if x.product == "FEE" and x.parent == "1")
    named = {charge.id: "1.suspend"}
    lines = [replace(x, id=named.get(x.id, x.id), parent=named.get(x.parent or "", x.parent)) for x in given.lines]
    claimed = tuple(replace(x, related_line="1") if x.id == "1.suspend" else x for x in lines)

    products = charged("WIRELESS", trigger=ChargeTrigger.SUSPEND)
    assert problem in broken(replace(given, lines=claimed), products=products)
