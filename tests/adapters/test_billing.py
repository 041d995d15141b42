"""Service instances and purchased products in two phases or one; nothing is charged before its time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product as every

import pytest

from domain.billing import (
    INSTANCE_NEXT,
    PLACEHOLDER_DAYS,
    PURCHASE_OF,
    Account,
    Billed,
    BilledService,
    InstanceState,
    PurchaseState,
    ServiceOrder,
)
from domain.catalog import BillingType
from domain.catalog_sync import BillingProduct
from domain.money import Money
from domain.neighbour import Refused, Unacceptable
from tests.adapters.conftest import ACCOUNT, Neighbours, at_once
from tests.adapters.orders import alone, answered, charges_of, code_of, order_of, purchase_of


def _dates(neighbours: Neighbours, asset: str) -> set[datetime]:
    rows = neighbours.rows(
        "SELECT purchase_start, cycle_start, usage_start FROM billing.purchases WHERE asset = :asset", asset=asset
    )
    return {date for row in rows for date in row}


Deed = Callable[[Neighbours, ServiceOrder, str], object]
DEEDS: dict[str, Deed] = {
    "initiate": lambda n, order, key: n.billing.initiate(key=key, orders=[order]),
    "fulfill": lambda n, order, key: n.billing.fulfill(key=key, order=order, actual=n.clock()),
    "purchase": lambda n, order, key: n.billing.purchase(key=key, order=order, actual=n.clock()),
    "void": lambda n, order, key: n.billing.void_initiated(key=key, asset=order.asset),
}


@pytest.mark.req("B49", "B57", "F21")
def test_what_is_initiated_begins_far_ahead_and_what_is_fulfilled_on_the_actual_date(neighbours: Neighbours, name: str):
    order = order_of(name, purchase_of(f"{name}.1", "VOICE"), purchase_of(f"{name}.2", "TEN-OFF", BillingType.DISCOUNT))
    first = answered(neighbours.billing.initiate(key=f"{name}-i", orders=[order]))
    placeholder = neighbours.clock() + timedelta(days=PLACEHOLDER_DAYS)
    assert first.state is InstanceState.INITIATED
    assert {x.state for x in first.purchases} == {PurchaseState.INITIATED}
    assert _dates(neighbours, f"{name}.1") == {placeholder} == {x.starts for x in first.purchases}
    neighbours.clock.forward(days=9)
    actual = neighbours.clock() - timedelta(days=1)
    second = answered(neighbours.billing.fulfill(key=f"{name}-f", order=order, actual=actual))
    assert second.state is InstanceState.ACTIVE
    assert second.service_instance == first.service_instance
    assert {x.id for x in second.purchases} == {x.id for x in first.purchases}
    assert _dates(neighbours, f"{name}.1") == {actual} == {x.starts for x in second.purchases}


@pytest.mark.req("B49", "B58")
def test_nothing_is_charged_until_fulfillment_and_items_on_the_balance_group_of_the_instance(
    neighbours: Neighbours, name: str
):
    subscription, item = (
        purchase_of(f"{name}.1", "VOICE"),
        purchase_of(f"{name}.2", "SIM", BillingType.ITEM, quantity=3),
    )
    initiated = answered(neighbours.billing.initiate(key=f"{name}-i", orders=[order_of(name, subscription)]))
    assert (initiated.charged, charges_of(neighbours, name)) == (None, [])
    order = order_of(name, subscription, item)
    billed = answered(neighbours.billing.fulfill(key=f"{name}-f", order=order, actual=neighbours.clock()))
    assert billed.charged == Money(3_000, "USD")
    assert charges_of(neighbours, name) == [(f"{name}.2", 3_000, billed.balance_group)]
    assert {x.product: x.service_instance for x in billed.purchases} == {
        "VOICE": billed.service_instance,
        "SIM": billed.service_instance,
    }
    with pytest.raises(Unacceptable):
        neighbours.billing.initiate(key=f"{name}-x", orders=[order_of(f"{name}-x", item)])


@pytest.mark.req("B48")
def test_single_phase_is_one_call_with_all_in_it(neighbours: Neighbours, name: str):
    order = order_of(name, purchase_of(f"{name}.1", "VOICE"), purchase_of(f"{name}.2", "SIM", BillingType.ITEM))
    actual = neighbours.clock() - timedelta(days=2)
    billed = answered(neighbours.billing.purchase(key=name, order=order, actual=actual))
    assert (billed.state, billed.charged) == (InstanceState.ACTIVE, Money(1_000, "USD"))
    assert _dates(neighbours, f"{name}.1") == _dates(neighbours, f"{name}.2") == {actual}
    assert charges_of(neighbours, name) == [(f"{name}.2", 1_000, billed.balance_group)]


@pytest.mark.req("B02", "B35", "B37", "B45", "B46", "B47")
@pytest.mark.parametrize("phases", [1, 2])
def test_five_of_a_simple_service_bundle_are_one_instance_and_one_purchase_of_five(
    neighbours: Neighbours, name: str, phases: int
):
    order = order_of(name, replace(purchase_of(name, "INTERNET", quantity=5), promotion_ref="P7"))
    if phases == 2:
        neighbours.billing.initiate(key=f"{name}-i", orders=[order])
        billed = answered(neighbours.billing.fulfill(key=name, order=order, actual=neighbours.clock()))
    else:
        billed = answered(neighbours.billing.purchase(key=name, order=order, actual=neighbours.clock()))
    (purchased,) = billed.purchases
    assert (purchased.quantity, purchased.service_instance) == (5, billed.service_instance)
    rows = neighbours.rows(
        "SELECT s.status, p.status AS purchase, p.quantity, p.promotion_ref FROM billing.service_instances s"
        " JOIN billing.purchases p ON p.service_instance = s.id WHERE s.asset = :name",
        name=name,
    )
    assert [tuple(row) for row in rows] == [("active", "active", 5, "P7")]


@pytest.mark.req("B02", "B49")
def test_the_services_of_a_bundle_are_initiated_all_or_none_each_with_an_instance_of_its_own(
    neighbours: Neighbours, name: str
):
    orders = [
        order_of(f"{name}-a", purchase_of(f"{name}-a1", "VOICE")),
        order_of(f"{name}-b", purchase_of(f"{name}-b1", "SMS")),
    ]
    foreign = replace(orders[1], account="nobody's")
    refused = neighbours.billing.initiate(key=f"{name}-1", orders=[orders[0], foreign])
    assert refused == Refused(code="ACCOUNT_UNKNOWN", message="no open account nobody's")
    count = "SELECT count(*) AS n FROM billing.service_instances WHERE asset LIKE :assets"
    assert neighbours.rows(count, assets=f"{name}%")[0].n == 0
    billed = answered(neighbours.billing.initiate(key=f"{name}-2", orders=orders))
    assert [x.product for x in billed.purchases] == ["VOICE", "SMS"]
    assert billed.service_instance == billed.purchases[0].service_instance != billed.purchases[1].service_instance
    assert neighbours.rows(count, assets=f"{name}%")[0].n == 2


@pytest.mark.req("B02")
def test_a_service_never_gets_a_second_open_instance(neighbours: Neighbours, name: str):
    order = order_of(name, purchase_of(name, "INTERNET"))
    keys = [f"{name}-{i}" for i in range(20)]
    answers = at_once(lambda i: neighbours.billing.initiate(key=keys[i], orders=[order]), len(keys))
    assert sorted(code_of(x) for x in answers) == ["", *["ALREADY_BILLED"] * 19]
    assert code_of(neighbours.billing.purchase(key=f"{name}-p", order=order, actual=neighbours.clock())) == (
        "ALREADY_BILLED"
    )


@pytest.mark.req("B49")
def test_a_voided_service_was_never_charged_and_leaves_room_for_a_new_instance(neighbours: Neighbours, name: str):
    order = order_of(name, purchase_of(name, "INTERNET"))
    first = answered(neighbours.billing.initiate(key=f"{name}-1", orders=[order]))
    voided = answered(neighbours.billing.void_initiated(key=f"{name}-2", asset=name))
    assert (voided.state, voided.service_instance) == (InstanceState.VOIDED, first.service_instance)
    assert [(x.id, x.state) for x in voided.purchases] == [(first.purchases[0].id, PurchaseState.VOIDED)]
    assert neighbours.billing.void_initiated(key=f"{name}-3", asset=name) is None
    assert (
        code_of(neighbours.billing.fulfill(key=f"{name}-4", order=order, actual=neighbours.clock())) == "NOT_INITIATED"
    )
    second = answered(neighbours.billing.initiate(key=f"{name}-5", orders=[order]))
    assert second.service_instance != first.service_instance
    assert charges_of(neighbours, name) == []


@pytest.mark.req("F25", "B58")
def test_what_stands_beside_a_service_belongs_to_its_instance_when_there_is_one(neighbours: Neighbours, name: str):
    router = purchase_of(f"{name}.9", "ROUTER", BillingType.ITEM)
    order = order_of(name, purchase_of(name, "INTERNET"))
    service = answered(neighbours.billing.initiate(key=f"{name}-i", orders=[order]))
    delivered, now = neighbours.clock() - timedelta(days=9), neighbours.clock()
    beside = neighbours.billing.purchase(
        key=f"{name}-r", order=alone(f"{name}.9", router, holder=name), actual=delivered
    )
    billed = answered(beside)
    assert (billed.service_instance, billed.charged) == (None, Money(1_000, "USD"))
    assert [x.service_instance for x in billed.purchases] == [service.service_instance]
    assert charges_of(neighbours, name) == [(f"{name}.9", 1_000, service.balance_group)]
    neighbours.billing.fulfill(key=f"{name}-f", order=order, actual=now)
    assert (_dates(neighbours, f"{name}.9"), _dates(neighbours, name)) == ({delivered}, {now})


@pytest.mark.req("B58", "B19")
@pytest.mark.parametrize("holder", [None, "never billed"])
def test_what_stands_alone_is_bought_on_the_account(neighbours: Neighbours, name: str, holder: str | None):
    order = alone(name, purchase_of(name, "FEE", BillingType.ITEM), holder=holder)
    billed = answered(neighbours.billing.purchase(key=name, order=order, actual=neighbours.clock()))
    assert (billed.service_instance, billed.purchases[0].service_instance) == (None, None)
    assert charges_of(neighbours, name) == [(name, 1_000, f"BG-{ACCOUNT}")]


@pytest.mark.req("B14", "B35", "B37")
@pytest.mark.parametrize("billing_type", [BillingType.EVENT, BillingType.SERVICE_BUNDLE])
def test_what_is_no_billing_product_never_becomes_a_purchase(
    neighbours: Neighbours, name: str, billing_type: BillingType
):
    order = order_of(name, purchase_of(f"{name}.1", "CALL", billing_type))
    before = neighbours.snapshot("billing")
    for deed in ("initiate", "purchase", "fulfill"):
        with pytest.raises(Unacceptable):
            DEEDS[deed](neighbours, order, f"{name}-{deed}")
    assert neighbours.snapshot("billing") == before


@pytest.mark.req("B47")
def test_none_of_a_product_cannot_be_purchased(neighbours: Neighbours, name: str):
    with pytest.raises(Unacceptable):
        neighbours.billing.purchase(
            key=name, order=order_of(name, purchase_of(name, "INTERNET", quantity=0)), actual=neighbours.clock()
        )


@pytest.mark.req("B49")
def test_only_a_service_has_two_phases(neighbours: Neighbours, name: str):
    with pytest.raises(Unacceptable):
        neighbours.billing.initiate(key=name, orders=[alone(name, purchase_of(name, "FEE"))])
    with pytest.raises(Unacceptable):
        neighbours.billing.initiate(key=name, orders=[])


@pytest.mark.req("F34")
def test_an_account_must_be_known_and_open(neighbours: Neighbours, name: str):
    order = replace(order_of(name, purchase_of(name, "INTERNET")), account=name)
    assert code_of(neighbours.billing.purchase(key=f"{name}-1", order=order, actual=neighbours.clock())) == (
        "ACCOUNT_UNKNOWN"
    )
    neighbours.billing.sync_customer(key=f"{name}-2", account=Account(id=name, name="Bolts"))
    neighbours.billing.sync_customer(key=f"{name}-3", account=Account(id=name, name="Bolts & Co"))
    assert [x.name for x in neighbours.rows("SELECT name FROM billing.accounts WHERE id = :id", id=name)] == [
        "Bolts & Co"
    ]
    assert isinstance(neighbours.billing.initiate(key=f"{name}-4", orders=[order]), Billed)
    neighbours.own_billing.close_account(account=name)
    for answer in (
        neighbours.billing.fulfill(key=f"{name}-5", order=order, actual=neighbours.clock()),
        neighbours.billing.initiate(key=f"{name}-6", orders=[replace(order, asset="x", purchases=())]),
    ):
        assert answer == Refused(code="ACCOUNT_UNKNOWN", message=f"no open account {name}")
    assert isinstance(neighbours.billing.void_initiated(key=f"{name}-7", asset=name), Billed)


def test_charges_of_one_call_are_in_one_currency(neighbours: Neighbours, name: str):
    dollars = purchase_of(f"{name}.1", "SIM", BillingType.ITEM)
    euros = replace(purchase_of(f"{name}.2", "CASE", BillingType.ITEM), price=Money(900, "EUR"))
    with pytest.raises(Unacceptable, match=r"EUR and USD|400"):
        neighbours.billing.purchase(key=name, order=order_of(name, dollars, euros), actual=neighbours.clock())
    assert charges_of(neighbours, name) == []


@pytest.mark.req("B71")
def test_a_discount_for_three_months_ends_three_months_after_the_actual_date(neighbours: Neighbours, name: str):
    discount = replace(purchase_of(f"{name}.1", "TEN-OFF", BillingType.DISCOUNT), duration_months=3)
    order = order_of(name, discount)
    neighbours.billing.initiate(key=f"{name}-i", orders=[order])
    actual = datetime.fromisoformat("2026-11-30T00:00:00Z")
    neighbours.billing.fulfill(key=f"{name}-f", order=order, actual=actual)
    rows = neighbours.rows("SELECT ends FROM billing.purchases WHERE asset = :asset", asset=f"{name}.1")
    assert [row.ends for row in rows] == [datetime.fromisoformat("2027-02-28T00:00:00Z")]


@pytest.mark.req("B40")
def test_open_purchases_of_a_product_are_its_references(neighbours: Neighbours, name: str):
    order = order_of(name, purchase_of(f"{name}.1", name))
    first = answered(neighbours.billing.initiate(key=f"{name}-1", orders=[order]))
    assert list(neighbours.billing.references(product=name)) == [first.purchases[0].id]
    neighbours.billing.void_initiated(key=f"{name}-2", asset=name)
    assert list(neighbours.billing.references(product=name)) == []


@pytest.mark.req("F06")
def test_a_service_is_listed_as_initiated_and_from_its_actual_date_on_as_active(neighbours: Neighbours, name: str):
    made, actual = neighbours.clock(), neighbours.clock() + timedelta(days=2)
    order = order_of(
        name, purchase_of(name, "INTERNET", quantity=5), purchase_of(f"{name}.1", "TEN-OFF", BillingType.DISCOUNT)
    )

    def listed(as_of: datetime) -> list[BilledService]:
        return [x for x in neighbours.billing.list_active(as_of=as_of) if x.service.startswith(name)]

    instance = answered(neighbours.billing.initiate(key=f"{name}-1", orders=[order])).service_instance
    initiated = BilledService(
        service=name,
        account=ACCOUNT,
        service_instance=instance,
        since=made,
        state=InstanceState.INITIATED,
        billing_service_type="/service/telco/gsm",
        quantity=5,
        price=Money(5_000, "USD"),
    )
    assert (listed(made - timedelta(seconds=1)), listed(actual)) == ([], [initiated])
    neighbours.clock.forward(days=3)
    neighbours.billing.fulfill(key=f"{name}-2", order=order, actual=actual)
    assert listed(actual) == [replace(initiated, state=InstanceState.ACTIVE, since=actual)]
    assert listed(actual - timedelta(seconds=1)) == [initiated]


@pytest.mark.req("F06")
def test_a_voided_service_was_initiated_until_then(neighbours: Neighbours, name: str):
    neighbours.billing.initiate(key=f"{name}-1", orders=[order_of(name)])
    neighbours.clock.forward(days=1)
    neighbours.billing.void_initiated(key=f"{name}-2", asset=name)
    voided, second = neighbours.clock(), timedelta(seconds=1)
    states = [
        [x.state for x in neighbours.billing.list_active(as_of=at) if x.service == name]
        for at in (voided - second, voided)
    ]
    assert states == [[InstanceState.INITIATED], []]


@pytest.mark.req("F06", "B19")
def test_a_subscription_that_stands_on_an_account_is_listed_without_an_instance(neighbours: Neighbours, name: str):
    neighbours.billing.purchase(
        key=name, order=alone(name, purchase_of(name, "CLUB", quantity=2)), actual=neighbours.clock()
    )
    found = [x for x in neighbours.billing.list_active(as_of=neighbours.clock()) if x.service == name]
    assert found == [
        BilledService(
            service=name,
            account=ACCOUNT,
            service_instance=None,
            since=neighbours.clock(),
            quantity=2,
            price=Money(2_000, "USD"),
        )
    ]


@pytest.mark.req("B18", "B32", "B62")
def test_billing_tells_its_products_and_the_events_of_those_that_are_service_instances(
    neighbours: Neighbours, name: str
):
    code = f"{name}-MCF"
    mcf = BillingProduct(
        code=code,
        name="Multi-call",
        billing_type=BillingType.SUBSCRIPTION,
        billing_service_type="/service/ip",
        price=Money(999, "USD"),
        events=(f"{name}-CALL",),
    )
    call = BillingProduct(
        code=f"{name}-CALL", name="Call", billing_type=BillingType.EVENT, billing_service_type="/service/ip"
    )

    def told(*service_instances: str) -> dict[str, BillingProduct]:
        return {x.code: x for x in neighbours.billing.products(service_instances=service_instances)}

    neighbours.own_billing.load_products([mcf, call])
    assert (told()[code], told()[call.code]) == (replace(mcf, events=()), call)
    assert told(code)[code] == mcf
    more = replace(mcf, events=(f"{name}-CALL", f"{name}-TEXT"))
    neighbours.own_billing.load_products([more])
    assert told("another", code)[code].events == more.events


@pytest.mark.req("B45", "B49")
@pytest.mark.parametrize("deeds", list(every(DEEDS, repeat=3)), ids="-".join)
def test_an_instance_passes_only_into_states_it_may_and_its_product_goes_along(
    neighbours: Neighbours, name: str, deeds: tuple[str, ...]
):
    order = order_of(name, purchase_of(name, "INTERNET"))
    states: dict[str, InstanceState] = {}
    for place, deed in enumerate(deeds):
        DEEDS[deed](neighbours, order, f"{name}-{place}")
        rows = neighbours.rows(
            "SELECT s.id, s.status, p.status AS purchase FROM billing.service_instances s"
            " JOIN billing.purchases p ON p.service_instance = s.id WHERE s.asset = :name",
            name=name,
        )
        for row in rows:
            state = InstanceState(row.status)
            assert row.purchase == PURCHASE_OF[state]
            was = states.get(row.id, state)
            assert state is was or state in INSTANCE_NEXT[was]
            states[row.id] = state
        assert len(rows) == len(states)
        assert sum(row.status not in ("voided", "closed") for row in rows) <= 1
