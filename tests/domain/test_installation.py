"""What a completed bundle leaves behind as assets."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given

from domain import change
from domain.billing import Billed, InstanceState, Purchased, PurchaseState
from domain.catalog import Catalog
from domain.decomposed import Decomposed
from domain.in_flight import InFlight
from domain.installation import Completed, InstalledAsset, Reference, closing_steps, installed
from domain.inventory import Held, Reservation, ReservationState, demands
from domain.order import Action, Order
from domain.plan import Function
from tests.builders import (
    WIRELESS,
    WIRELESS_ORDER,
    asset,
    catalog,
    facts,
    goods,
    line,
    order,
    simple_bundle,
    subscription,
    unbilled,
)
from tests.domain.strategies import Sold, sold

ORDER_ID = "5f0c7f3e-96f5-4f43-9d0b-2a9f8b1f6c11"
NOW = datetime(2026, 3, 9, tzinfo=UTC)
NOTHING = Completed(reservation=None, delivered={}, billed={})


def in_flight(given_order: Order, products: Catalog = WIRELESS) -> InFlight:
    return InFlight(id=ORDER_ID, number=1001, decomposed=Decomposed(given_order, products))


def left_behind(
    given_order: Order, products: Catalog = WIRELESS, completed: Completed = NOTHING
) -> Mapping[str, InstalledAsset]:
    """The assets of all bundles, by line."""
    flight = in_flight(given_order, products)
    steps = [x for x in flight.items.values() if x.function is Function.ASSET]
    return {x.line: x for step in steps for x in installed(flight, step, completed, at=NOW)}


def billed(flight: InFlight, line_id: str, instance: str, purchases: Mapping[str, str]) -> Billed:
    """Billing's answer: the ids of what was bought, by line."""
    bought = tuple(
        Purchased(
            id=billing_id,
            asset=flight.asset(flight.order.by_id[x]),
            product=flight.order.by_id[x].product,
            quantity=1,
            state=PurchaseState.ACTIVE,
            service_instance=instance,
        )
        for x, billing_id in purchases.items()
    )
    return Billed(
        key=line_id, state=InstanceState.ACTIVE, service_instance=instance, balance_group=None, purchases=bought
    )


@pytest.mark.req("A01", "A02", "A17", "B13")
def test_a_bundle_leaves_its_tree_of_assets_unbilled_products_too():
    assets = left_behind(WIRELESS_ORDER)
    flight = in_flight(WIRELESS_ORDER)
    assert list(assets) == ["1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.4"]
    for line_id, found in assets.items():
        ordered = WIRELESS_ORDER.by_id[line_id]
        assert found.id == flight.asset(ordered)
        assert found.root == assets["1"].id
        assert found.parent == (assets[ordered.parent].id if ordered.parent else None)
    assert assets["1.3"].billing_type is None


@pytest.mark.req("A03")
def test_what_is_not_tracked_leaves_nothing_and_neither_does_what_is_in_it():
    products = catalog(
        unbilled("BOX", "GIFT", "LABEL"),
        unbilled("GIFT", "CARD", track_as_asset=False),
        unbilled("CARD"),
        unbilled("LABEL"),
    )
    boxed = order(line("BOX", line("GIFT", line("CARD")), line("LABEL")))
    assert list(left_behind(boxed, products)) == ["1", "1.2"]


@pytest.mark.req("B35", "B45", "B47")
def test_a_simple_bundle_leaves_one_asset_with_two_billing_ids_and_its_quantity():
    products = catalog(simple_bundle("INTERNET"))
    internet = order(line("INTERNET", quantity=5))
    answer = billed(in_flight(internet, products), "1", "SI-1", {"1": "PP-1"})
    completed = Completed(reservation=None, delivered={}, billed={"1": answer})
    found = left_behind(internet, products, completed)["1"]
    assert found.quantity == 5
    assert found.references == (
        Reference(kind="service_instance", billing_id="SI-1"),
        Reference(kind="purchased_product", billing_id="PP-1"),
    )


@pytest.mark.req("B02", "B14")
def test_a_bundle_has_its_instance_and_each_part_what_was_bought_for_it():
    wireless = order(line("WIRELESS", line("PLAN"), line("HALF-OFF"), line("CASE"), line("PHONE")))
    flight = in_flight(wireless)
    completed = Completed(
        reservation=None,
        delivered={},
        billed={
            "1": billed(flight, "1", "SI-1", {"1.1": "PP-1", "1.2": "D-1"}),
            "1.4": billed(flight, "1.4", "SI-1", {"1.4": "PP-2"}),
        },
    )
    assets = left_behind(wireless, completed=completed)
    assert {x: [(y.kind, y.billing_id) for y in found.references] for x, found in assets.items()} == {
        "1": [("service_instance", "SI-1")],
        "1.1": [("purchased_product", "PP-1")],
        "1.2": [("discount", "D-1")],
        "1.3": [],
        "1.4": [("purchased_product", "PP-2")],
    }


@pytest.mark.req("F25")
def test_a_service_starts_with_its_delivery_and_its_parts_with_it():
    running, delivered = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)
    completed = Completed(reservation=None, delivered={"1": running, "1.4": delivered}, billed={})
    starts = {x: found.service_start for x, found in left_behind(WIRELESS_ORDER, completed=completed).items()}
    assert starts == dict.fromkeys(("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3"), running) | {"1.4": delivered}
    assert {x.service_start for x in left_behind(WIRELESS_ORDER).values()} == {NOW}


@pytest.mark.req("F13")
def test_a_service_has_the_number_that_was_reserved_for_it_unless_it_brought_its_own():
    products = catalog(simple_bundle("PHONE", pool="NUMBERS"))
    two = order(line("PHONE"), line("PHONE", service_id="+1-555-0100"))
    held = tuple(Held(line=x, quantity=1, pool="NUMBERS", values=(f"+1-555-000{x}",)) for x in ("1", "2"))
    reserved = Reservation(key="k", state=ReservationState.COMMITTED, held=held)
    assets = left_behind(two, products, Completed(reservation=reserved, delivered={}, billed={}))
    assert [x.service_id for x in assets.values()] == ["+1-555-0001", "+1-555-0100"]


def test_what_joins_an_existing_bundle_stands_under_its_asset():
    existing = "0d6b9c3e-1111-4222-8333-444455556666"
    joined = order(line("WIRELESS", line("VOICEMAIL"), action=Action.NONE, asset=existing))
    found = left_behind(joined)
    assert {x: (y.parent, y.root) for x, y in found.items()} == {"1.1": (existing, existing)}


def test_what_joins_a_part_with_all_that_it_consists_of_stands_in_the_tree_of_that_part():
    """A nested service joins an installed one that is itself part of something."""
    products = catalog(unbilled("OFFICE", "WIRELESS"), *WIRELESS)
    office = asset("0d6b9c3e-1111-4222-8333-444455556666", "OFFICE")
    wireless = asset("1d6b9c3e-1111-4222-8333-444455556666", "WIRELESS", parent=office)
    joined = order(line("", line("TEXTING", line("TEXT-BASIC")), action=Action.NONE, asset=wireless.id))
    known = facts(office, wireless, products=products)
    whole = change.completed(joined, products, known)
    flight = InFlight(id=ORDER_ID, number=1001, decomposed=Decomposed(whole, products, known.catalogs))
    found = installed(flight, flight.item("asset:1"), NOTHING, at=NOW, tree=known.assets)
    texting, basic = found
    assert (texting.parent, basic.parent) == (wireless.id, texting.id)
    assert {x.root for x in found} == {office.id}


@pytest.mark.req("F08", "F13")
def test_a_line_asks_inventory_for_what_its_product_takes():
    products = catalog(
        unbilled("SET", "BOX", "PHONE"), goods("BOX"), simple_bundle("PHONE", pool="NUMBERS"), subscription("X")
    )
    wanted = order(line("SET", line("BOX", quantity=2, location="SHOP"), line("PHONE", service_id="+1-555-0100")))
    flight = in_flight(wanted, products)
    box, number = demands(flight.decomposed, flight.item("reserve:1"))
    assert (box.line, box.sku, box.quantity, box.location, box.pool) == ("1.1", "BOX", 2, "SHOP", None)
    assert (number.line, number.sku, number.pool, number.wanted) == ("1.2", None, "NUMBERS", "+1-555-0100")


@pytest.mark.req("A02", "A03")
@given(sold())
def test_every_tracked_line_whose_parents_are_tracked_leaves_one_asset(example: Sold):
    assets = left_behind(example.order, example.catalog)
    tracked = {x.id for x in example.order.lines if example.catalog[x.product].track_as_asset}
    expected = [x.id for x in example.order.lines if {x.id, *(y.id for y in example.order.ancestors(x))} <= tracked]
    assert sorted(assets) == sorted(expected)
    assert len({x.id for x in assets.values()}) == len(assets)


@given(sold())
def test_an_asset_is_made_of_the_answers_to_all_steps_that_close_something(example: Sold):
    flight = in_flight(example.order, example.catalog)
    for root in example.order.roots:
        closing = {x.id for x in closing_steps(flight, root.id)}
        others = {x.function for x in flight.items.values() if x.root == root.id and x.id not in closing}
        assert others <= {Function.INITIATE_BILLING, Function.COMMIT, Function.ASSET}
