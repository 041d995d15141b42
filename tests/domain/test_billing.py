"""What the calls to billing carry."""

import pytest
from hypothesis import given

from domain.billing import INSTANCE_NEXT, PURCHASE_OF, InstanceState, PurchaseState, ServiceOrder, service_order
from domain.catalog import ACCOUNT_LEVEL, BillingType, Catalog
from domain.decomposed import Decomposed
from domain.decomposition import decompose
from domain.money import Money
from domain.order import Action, Order, asset_id
from domain.plan import Function
from tests.builders import (
    GSM,
    SMS,
    WIRELESS,
    WIRELESS_ORDER,
    bundle,
    catalog,
    goods,
    item,
    line,
    order,
    simple_bundle,
    subscription,
)
from tests.domain.strategies import Sold, sold

ORDER_ID = "5f0c7f3e-96f5-4f43-9d0b-2a9f8b1f6c11"


def call(given_order: Order, products: Catalog, line_id: str) -> ServiceOrder:
    """The closing call of a service or of a line billed alone."""
    read = Decomposed(given_order, products)
    head = given_order.by_id[line_id]
    lines = read.billed_with(head) if read.product(head).is_service else (head,)
    return service_order(read, ORDER_ID, lines, items_too=True)


def asset(given_order: Order, line_id: str) -> str:
    return asset_id(ORDER_ID, given_order.by_id[line_id])


@pytest.mark.req("B02", "B10", "B11")
def test_a_bundle_is_one_instance_and_a_nested_bundle_another_with_its_own_type():
    outer, nested = call(WIRELESS_ORDER, WIRELESS, "1"), call(WIRELESS_ORDER, WIRELESS, "1.2")
    assert (outer.asset, outer.billing_service_type) == (asset(WIRELESS_ORDER, "1"), GSM)
    assert [x.product for x in outer.purchases] == ["PLAN", "MINUTES"]
    assert (nested.asset, nested.billing_service_type) == (asset(WIRELESS_ORDER, "1.2"), SMS)
    assert [x.product for x in nested.purchases] == ["TEXT-BASIC"]
    assert outer.holder is nested.holder is None


@pytest.mark.req("B35", "B37", "B45", "B47")
def test_a_simple_bundle_is_an_instance_and_one_purchase_of_its_quantity_and_its_events_are_none():
    internet = order(line("INTERNET", line("INTERNET-ACTIVATION"), quantity=5, service_id="wire-7"))
    found = call(internet, WIRELESS, "1")
    assert (found.billing_service_type, found.service_id) == ("/service/ip", "wire-7")
    assert [(x.asset, x.product, x.quantity) for x in found.purchases] == [(found.asset, "INTERNET", 5)]


@pytest.mark.req("B46")
def test_a_promotion_is_known_to_the_purchase_it_applies_to():
    found = call(order(line("INTERNET", promotion_ref="P7")), WIRELESS, "1")
    assert found.billing_service_type is not None
    assert [x.promotion_ref for x in found.purchases] == ["P7"]


@pytest.mark.req("B14")
def test_what_is_not_billed_is_in_no_call():
    carried = {x.line for y in ("1", "1.2", "1.4") for x in call(WIRELESS_ORDER, WIRELESS, y).purchases}
    assert "1.3" not in carried


@pytest.mark.req("F25")
def test_goods_of_a_service_are_bought_alone_and_belong_to_it():
    found = call(WIRELESS_ORDER, WIRELESS, "1.4")
    assert found.billing_service_type is None
    assert found.holder == asset(WIRELESS_ORDER, "1")
    assert [(x.product, x.billing_type) for x in found.purchases] == [("PHONE", BillingType.ITEM)]


@pytest.mark.req("B19")
def test_what_is_billed_to_the_account_belongs_to_no_service():
    products = catalog(
        bundle("HOME", "ACCESS", "PAPER"), subscription("ACCESS"), item("PAPER", billing_service_type=ACCOUNT_LEVEL)
    )
    found = call(order(line("HOME", line("ACCESS"), line("PAPER"))), products, "1.2")
    assert (found.billing_service_type, found.holder) == (None, None)


def test_what_joins_an_existing_service_is_bought_for_it():
    joined = order(line("WIRELESS", line("VOICEMAIL"), action=Action.NONE, asset="a"))
    assert call(joined, WIRELESS, "1.1").holder == "a"


@pytest.mark.req("B49")
def test_what_is_charged_once_is_not_initiated():
    activated = order(line("WIRELESS", line("PLAN"), line("ACTIVATION")))
    read = Decomposed(activated, WIRELESS)
    root = activated.by_id["1"]
    first = service_order(read, ORDER_ID, read.initiated_with(root), items_too=False)
    last = service_order(read, ORDER_ID, read.billed_with(root), items_too=True)
    assert [x.product for x in first.purchases] == ["PLAN"]
    assert [x.product for x in last.purchases] == ["PLAN", "ACTIVATION"]


def test_a_price_agreed_on_the_line_comes_before_the_catalog_s():
    listed, agreed = Money(1000, "USD"), Money(800, "USD")
    products = catalog(simple_bundle("INTERNET", price=listed))
    assert call(order(line("INTERNET")), products, "1").purchases[0].price == listed
    assert call(order(line("INTERNET", price=agreed)), products, "1").purchases[0].price == agreed


@pytest.mark.req("B71")
def test_a_discount_ends_when_its_product_says():
    found = call(order(line("WIRELESS", line("PLAN"), line("HALF-OFF"))), WIRELESS, "1")
    assert [(x.product, x.duration_months) for x in found.purchases] == [("PLAN", None), ("HALF-OFF", 3)]


def test_a_rented_thing_that_is_a_service_is_its_own_instance():
    products = catalog(simple_bundle("BOX-RENTAL", delivery_kind=goods("BOX").delivery_kind, sku="BOX"))
    found = call(order(line("BOX-RENTAL")), products, "1")
    assert (found.billing_service_type, found.holder, len(found.purchases)) == (GSM, None, 1)


@pytest.mark.req("B02", "B14", "B35", "B45", "B47")
@given(sold())
def test_all_calls_together_buy_each_billed_line_once_in_its_quantity(example: Sold):
    read = Decomposed(example.order, example.catalog)
    bought: dict[str, int] = {}
    instances: list[str] = []
    for step in decompose(example.order, example.catalog).items:
        if step.function not in (Function.FULFILL_BILLING, Function.PURCHASE):
            continue
        found = service_order(read, ORDER_ID, tuple(example.order.by_id[x] for x in step.lines), items_too=True)
        instances += [found.line] if found.billing_service_type and found.holder is None else []
        assert not bought.keys() & {x.line for x in found.purchases}
        bought |= {x.line: x.quantity for x in found.purchases}
    billed = (x for x in example.order.lines if read.is_billed(x))
    expected = {x.id: x.quantity for x in billed if read.product(x).billing_type is not BillingType.SERVICE_BUNDLE}
    assert bought == expected
    assert sorted(instances) == sorted(x.id for x in read.services)


def test_every_state_in_billing_says_what_may_follow_it():
    assert set(INSTANCE_NEXT) == set(InstanceState)
    ends = {state for state, following in INSTANCE_NEXT.items() if not following}
    assert ends == {InstanceState.CLOSED, InstanceState.VOIDED}


def test_a_purchase_s_state_follows_from_its_instance_s():
    assert set(PURCHASE_OF) == set(InstanceState)
    assert set(PURCHASE_OF.values()) == set(PurchaseState)
