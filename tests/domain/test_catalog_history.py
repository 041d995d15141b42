"""What a catalog owes to the versions before it, what may be edited by hand, and what synchronization does."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.catalog import BillingType, Catalog, Component, Kind, Lifecycle, Origin, Product
from domain.catalog_document import ReadDocument
from domain.catalog_edit import Edit, NotAllowed, Standing, decide
from domain.catalog_sync import BillingProduct, flagged, merge
from domain.money import Money
from domain.publishing import Proposal, Source, Usage, check, known_kinds, with_synchronization
from tests.builders import GSM, bundle, catalog, event, item, simple_bundle, some, subscription, unbilled

IP = "/service/ip"
MONDAY, TUESDAY = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)
AN_ORDER = Usage(system="orderloom", kind="order", id="1001")


def published(*products: Product, after: Catalog | None = None) -> Catalog:
    """A catalog as if published on Monday."""
    dated = with_synchronization(products, after, now=MONDAY)
    return Catalog((after.version if after else 0) + 1, catalog(*dated).products, known_kinds(dated, after))


def next_codes(previous: Catalog, *products: Product, **proposed: Any) -> list[tuple[str, str, str | None]]:  # noqa: ANN401
    proposal = Proposal(document=ReadDocument(products), previous=previous, **proposed)
    return [(x.code, x.rule, x.field) for x in check(proposal).violations]


NET = simple_bundle("NET", "USED", billing_service_type=IP)
USED = event("USED", billing_service_type=IP)
MCF = simple_bundle("MCF", billing_service_type=IP, service_instance=False)
"""A synchronized subscription that could become a simple service bundle."""
HOME = bundle("HOME", "MCF", billing_service_type=IP)


@pytest.mark.req("B66")
@pytest.mark.parametrize(("was", "now"), [(bundle("X"), simple_bundle("X")), (simple_bundle("X"), bundle("X"))])
def test_a_bundle_and_a_simple_bundle_never_turn_into_each_other(was: Product, now: Product):
    assert ("KIND_FROZEN", "B66", "billing_type") in next_codes(published(was), now)


@pytest.mark.req("B66", "B67")
def test_not_even_when_the_product_was_absent_or_something_else_for_a_while():
    first = published(bundle("X"))
    absent = published(unbilled("Y"), after=first)
    something = published(unbilled("X"), after=absent)
    assert next_codes(absent, simple_bundle("X")) == [("KIND_FROZEN", "B66", "billing_type")]
    assert next_codes(something, simple_bundle("X")) == [("KIND_FROZEN", "B66", "billing_type")]


@pytest.mark.req("B67")
def test_another_kind_is_another_product_that_supersedes_the_old_one():
    first = published(bundle("OLD"))
    successor = simple_bundle("NEW", supersedes="OLD")
    assert next_codes(first, replace(first["OLD"], lifecycle=Lifecycle.RETIRED), successor) == []
    assert next_codes(first, successor) == []


@pytest.mark.req("B20")
def test_what_was_synchronized_is_not_changed_by_a_document():
    was = published(NET, USED)
    moved = next_codes(was, replace(was["NET"], billing_service_type="/service/dsl"), replace(USED, origin=Origin.CRM))
    assert ("SYNCED_FIELD", "B20", "billing_service_type") in moved
    assert ("SYNCED_FIELD", "B20", "origin") in moved
    retyped = next_codes(was, replace(was["NET"], billing_type=BillingType.ITEM, service_instance=False), USED)
    assert ("SYNCED_FIELD", "B20", "billing_type") in retyped


@pytest.mark.req("B20")
def test_synchronization_itself_may_change_it():
    was = published(NET)
    moved = replace(was["NET"], billing_service_type="/service/dsl", components=())
    assert next_codes(was, moved, source=Source.SYNC) == []


@pytest.mark.req("B40", "B61")
@pytest.mark.parametrize(("was", "rule"), [(MCF, "B40"), (replace(MCF, service_instance=True), "B61")])
def test_a_document_does_not_convert_what_something_depends_on(was: Product, rule: str):
    converted = replace(was, service_instance=not was.service_instance)
    before = published(replace(HOME, components=(*HOME.components, Component(product="LINE"))), was, LINE)
    products = (before["HOME"], converted, LINE)
    assert next_codes(before, *products, usages={"MCF": [AN_ORDER]}) == [("REFERENCED", rule, "service_instance")]
    assert next_codes(before, *products) == []
    assert next_codes(before, before["HOME"], was, LINE, usages={"MCF": [AN_ORDER]}) == []


LINE = subscription("LINE", billing_service_type=IP)


@pytest.mark.req("B20")
def test_a_synchronized_product_is_dated_once():
    first = published(NET, USED)
    assert {x.synced_at for x in first} == {MONDAY}
    later = with_synchronization((NET, USED, event("NEW"), item("FEE")), first, now=TUESDAY)
    assert [x.synced_at for x in later] == [MONDAY, MONDAY, TUESDAY, None]


# By hand


HOUSE = published(HOME, MCF, simple_bundle("MAIL", "READ", billing_service_type="/service/email"),
                  event("READ", billing_service_type="/service/email"), unbilled("CASE"))  # fmt: skip


def edited(code: str, change: Mapping[str, Any], **known: Any) -> Product | NotAllowed:  # noqa: ANN401
    return decide(Edit(product=HOUSE[code], change=change, **known), HOUSE)


def refused(code: str, change: Mapping[str, Any], **known: Any) -> tuple[Standing, list[tuple[str, str]]]:  # noqa: ANN401
    decided = edited(code, change, **known)
    assert isinstance(decided, NotAllowed)
    return decided.standing, [(x.code, x.rule) for x in decided.violations]


@pytest.mark.req("B41", "B66")
def test_name_description_price_and_lifecycle_are_edited_by_hand():
    change = {"name": "E-mail", "description": "Ten boxes", "price": {"amount": "5.00", "currency": "USD"}}
    assert edited("MAIL", {**change, "lifecycle": "retired"}) == replace(
        HOUSE["MAIL"],
        name="E-mail",
        description="Ten boxes",
        price=Money(500, "USD"),
        lifecycle=Lifecycle.RETIRED,
    )
    cleared = decide(Edit(product=replace(HOUSE["MAIL"], description="x"), change={"description": None}), HOUSE)
    assert cleared == HOUSE["MAIL"]


@pytest.mark.req("B18")
@pytest.mark.parametrize("code", ["HOME", "MCF", "CASE"])
def test_the_billing_service_type_is_never_typed_by_a_user(code: str):
    change = {"billing_service_type": HOUSE[code].billing_service_type}
    assert refused(code, change) == (Standing.FORBIDDEN, [("SYNCED_FIELD", "B18")])


@pytest.mark.req("B20")
def test_the_billing_type_of_a_synchronized_product_is_not_changed_by_hand():
    assert refused("MCF", {"billing_type": "item"}) == (Standing.FORBIDDEN, [("SYNCED_FIELD", "B20")])
    assert edited("MCF", {"billing_type": "subscription"}) == HOUSE["MCF"]


@pytest.mark.req("B55", "B60", "B40")
def test_a_synchronized_subscription_that_nothing_depends_on_becomes_a_simple_bundle():
    converted = edited("MCF", {"service_instance": True})
    assert isinstance(converted, Product)
    assert converted.kind is Kind.SIMPLE_SERVICE_BUNDLE
    assert Edit(product=HOUSE["MCF"], change={"service_instance": True}).converts
    assert not Edit(product=HOUSE["MCF"], change={"service_instance": False}).converts


@pytest.mark.req("B40", "B61")
@pytest.mark.parametrize(("code", "flag", "rule"), [("MCF", True, "B40"), ("MAIL", False, "B61")])
def test_no_conversion_while_something_depends_on_it_and_all_of_it_is_named(code: str, flag: bool, rule: str):  # noqa: FBT001
    purchase = Usage(system="billing", kind="purchase", id="PP-7")
    usages = (AN_ORDER, Usage(system="orderloom", kind="asset", id="a-1"), purchase)
    decided = edited(code, {"service_instance": flag}, usages=usages)
    assert isinstance(decided, NotAllowed)
    assert decided.standing is Standing.CONFLICT
    assert [(x.code, x.rule) for x in decided.violations] == [("REFERENCED", rule)] * 3
    assert [x.message for x in decided.violations] == [
        "Order 1001 of orderloom depends on the product.",
        "Asset a-1 of orderloom depends on the product.",
        "Purchase PP-7 of billing depends on the product.",
    ]


@pytest.mark.req("B55")
def test_a_subscription_that_billing_does_not_know_is_not_flagged():
    by_hand = decide(Edit(product=subscription("X"), change={"service_instance": True}), HOUSE)
    assert isinstance(by_hand, NotAllowed)
    assert (by_hand.standing, [x.rule for x in by_hand.violations]) == (Standing.CONFLICT, ["B55"])
    assert refused("MCF", {"service_instance": True}, cross_referenced=False) == (
        Standing.CONFLICT,
        [("SERVICE_INSTANCE", "B55")],
    )


@pytest.mark.req("B60")
@pytest.mark.parametrize("code", ["CASE", "READ"])
def test_only_subscriptions_are_flagged(code: str):
    assert refused(code, {"service_instance": True}) == (Standing.CONFLICT, [("SERVICE_INSTANCE", "B60")])


@pytest.mark.req("B66")
def test_no_attempt_by_hand_turns_one_bundle_into_the_other():
    as_simple = {"billing_type": "subscription", "service_instance": True}
    assert refused("HOME", as_simple)[0] is Standing.CONFLICT
    assert ("KIND_FROZEN", "B66") in refused("HOME", as_simple)[1]
    assert ("KIND_FROZEN", "B66") in refused("HOME", {"service_instance": True})[1]
    standing, found = refused("MAIL", {"billing_type": "service_bundle", "service_instance": False})
    assert standing is Standing.CONFLICT
    assert ("KIND_FROZEN", "B66") in found
    assert edited("HOME", {"description": "New words"}) == replace(HOUSE["HOME"], description="New words")


@pytest.mark.req("B41", "B63")
@pytest.mark.parametrize(
    "components", [[], [{"product": "READ"}, {"product": "CASE"}], [{"product": "READ", "max": 2}]]
)
def test_the_components_of_a_simple_bundle_are_not_edited_not_even_events(components: list[dict[str, Any]]):
    assert refused("MAIL", {"components": components}) == (Standing.CONFLICT, [("SSB_CHILD", "B63")])
    assert isinstance(edited("HOME", {"components": components}), Product)


# Synchronization


def as_billed(product: Product, **fields: Any) -> BillingProduct:  # noqa: ANN401
    """What billing says of a product that has not changed there."""
    assert product.billing_type
    assert product.billing_service_type
    said = {"name": product.name, "billing_type": product.billing_type,
            "billing_service_type": product.billing_service_type,
            "events": tuple(x.product for x in product.components)}  # fmt: skip
    return BillingProduct(code=product.code, **(said | fields))


@pytest.mark.req("B62")
def test_when_billing_says_nothing_new_nothing_changes():
    before = published(NET, USED, HOME, MCF)
    assert flagged(before) == ("NET",)
    merged = merge(before, [as_billed(NET), as_billed(USED), as_billed(MCF)], now=TUESDAY)
    assert merged.products == tuple(before)
    assert (merged.added, merged.changed, merged.conflicts) == ((), (), ())
    assert merge(before, [], now=TUESDAY).products == tuple(before)


@pytest.mark.req("B62", "B32", "B63")
def test_events_come_and_go_under_a_simple_bundle():
    placed = replace(NET, components=(some("USED", at_most=3), some("GONE")))
    before = published(placed, USED, event("GONE", billing_service_type=IP))
    answer = [
        as_billed(NET, events=("STARTED", "USED")),
        as_billed(USED),
        as_billed(event("STARTED", billing_service_type=IP)),
    ]
    merged = merge(before, answer, now=TUESDAY)

    assert (merged.added, merged.changed) == (("STARTED",), ("NET",))
    after = catalog(*merged.products)
    assert after["NET"].components == (some("STARTED"), some("USED", at_most=3))
    assert (after["NET"].synced_at, after["USED"].synced_at) == (TUESDAY, MONDAY)
    assert (after["STARTED"].kind, after["STARTED"].origin) == (Kind.EVENT, Origin.BILLING_SYNC)
    assert before["NET"].components == placed.components
    assert next_codes(before, *merged.products, source=Source.SYNC) == []


@pytest.mark.req("B18", "B59")
def test_a_new_subscription_comes_as_a_draft_with_its_billing_service_type():
    price = Money(999, "USD")
    dsl = BillingProduct(
        code="DSL", name="DSL", billing_type=BillingType.SUBSCRIPTION, billing_service_type=IP, price=price
    )
    (new,) = merge(Catalog(0), [dsl], now=TUESDAY).products
    assert (new.billing_service_type, new.lifecycle, new.price, new.synced_at) == (IP, Lifecycle.DRAFT, price, TUESDAY)
    assert next_codes(Catalog(0), new, source=Source.SYNC) == []


@pytest.mark.req("B20")
def test_billing_type_and_service_type_follow_billing_and_all_else_stays_ours():
    ours = replace(NET, name="Our name", price=Money(100, "USD"), description="Ours")
    before = published(ours, USED)
    theirs = [as_billed(NET, billing_service_type="/service/dsl", name="Theirs", price=Money(1, "USD")),
              as_billed(USED, billing_service_type="/service/dsl")]  # fmt: skip
    after = catalog(*merge(before, theirs, now=TUESDAY).products)
    assert after["NET"] == replace(before["NET"], billing_service_type="/service/dsl", synced_at=TUESDAY)
    assert next_codes(before, *after, source=Source.SYNC) == []


@pytest.mark.req("B18")
def test_a_service_bundle_has_the_type_of_its_synchronized_components():
    before = published(
        bundle("HOME", "PLAN", "MAIL", billing_service_type=IP),
        subscription("PLAN", "MCF", billing_service_type=IP),
        MCF,
        simple_bundle("MAIL", billing_service_type="/service/email"),
    )
    merged = merge(before, [as_billed(MCF, billing_service_type="/service/dsl")], now=TUESDAY)
    after = catalog(*merged.products)
    assert merged.changed == ("HOME", "PLAN", "MCF")
    assert {after[x].billing_service_type for x in ("HOME", "PLAN", "MCF")} == {"/service/dsl"}
    assert after["MAIL"] == before["MAIL"]
    assert next_codes(before, *merged.products, source=Source.SYNC) == []


@pytest.mark.req("B20")
def test_when_only_one_of_two_components_moves_the_bundle_does_not_follow_and_publishing_refuses():
    before = published(bundle("HOME", "MCF", "TV", billing_service_type=IP), MCF, replace(MCF, code="TV", name="TV"))
    merged = merge(before, [as_billed(MCF, billing_service_type="/service/dsl")], now=TUESDAY)
    assert merged.changed == ("MCF",)
    assert next_codes(before, *merged.products, source=Source.SYNC) == [("BST_MISMATCH", "B06", "billing_service_type")]


def test_a_code_that_both_sides_use_stays_ours_and_is_said():
    before = published(unbilled("CASE"))
    theirs = BillingProduct(code="CASE", name="Case", billing_type=BillingType.ITEM, billing_service_type=GSM)
    merged = merge(before, [theirs], now=TUESDAY)
    assert merged.products == tuple(before)
    assert merged.conflicts == ("CASE",)
