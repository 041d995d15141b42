"""The plan that follows from an order: what is done, for which lines, and after what."""

import time
from collections import Counter
from copy import deepcopy

import pytest
from hypothesis import given

from domain.catalog import ACCOUNT_LEVEL, BillingPhase, BillingType, DeliveryKind, Kind
from domain.catalog_document import ReadDocument
from domain.decomposed import Decomposed
from domain.decomposition import decompose
from domain.order import Action, OrderLine
from domain.plan import Function, Plan, PlanItem
from domain.publishing import Proposal, check
from domain.validation import validate
from tests.builders import (
    WIRELESS,
    WIRELESS_ORDER,
    bundle,
    catalog,
    changed,
    facts,
    goods,
    item,
    line,
    order,
    simple_bundle,
    some,
    subscription,
    unbilled,
)
from tests.domain.strategies import Sold, sold

CALLS = (Function.INITIATE_BILLING, Function.FULFILL_BILLING, Function.PURCHASE)
CLOSING = (Function.FULFILL_BILLING, Function.PURCHASE)


def told(plan: Plan) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each step's lines and what it waits for."""
    return {x.id: (x.lines, x.depends_on) for x in plan.items}


def before(plan: Plan) -> dict[str, set[str]]:
    """All that must be over before each step."""
    found: dict[str, set[str]] = {}
    for x in plan.items:
        found[x.id] = set(x.depends_on).union(*(found[y] for y in x.depends_on))
    return found


def of(plan: Plan, *functions: Function) -> list[PlanItem]:
    return [x for x in plan.items if x.function in functions]


@pytest.mark.req("B01", "B02", "B14", "B49", "F02", "F25", "W2", "B10")
def test_the_plan_of_a_wireless_bundle():
    """The phone is delivered and billed alone; the case is not billed; texts are a service of their own."""
    guard = ("reserve:1", "initiate_billing:1")
    bills = ("fulfill_billing:1", "fulfill_billing:1.2", "purchase:1.4")
    assert told(decompose(WIRELESS_ORDER, WIRELESS)) == {
        "reserve:1": (("1.4",), ()),
        "initiate_billing:1": (("1", "1.1", "1.1.1", "1.2", "1.2.1"), ("reserve:1",)),
        "deliver:1.4": (("1.4",), guard),
        "provision:1": (("1",), guard),
        "provision:1.2": (("1.2",), (*guard, "provision:1")),
        "fulfill_billing:1": (("1", "1.1", "1.1.1"), (*guard, "provision:1")),
        "fulfill_billing:1.2": (("1.2", "1.2.1"), (*guard, "provision:1.2")),
        "purchase:1.4": (("1.4",), (*guard, "deliver:1.4")),
        "commit:1": (("1.4",), ("reserve:1", "deliver:1.4", "provision:1", "provision:1.2", *bills)),
        "asset:1": (
            ("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.4"),
            ("commit:1", *bills),
        ),
    }


@pytest.mark.req("B35", "B47", "B48")
def test_a_simple_bundle_billed_in_one_phase_is_one_call_whatever_its_quantity():
    products = catalog(simple_bundle("INTERNET", billing_phase=BillingPhase.SINGLE))
    assert told(decompose(order(line("INTERNET", quantity=5)), products)) == {
        "provision:1": (("1",), ()),
        "purchase:1": (("1",), ("provision:1",)),
        "asset:1": (("1",), ("provision:1", "purchase:1")),
    }


@pytest.mark.req("B14")
def test_an_order_of_non_billing_products_only_makes_no_billing_call():
    products = catalog(unbilled("GIFTS", "BAG", "CAP"), unbilled("BAG", delivery_kind=DeliveryKind.PHYSICAL, sku="BAG"))
    products = catalog(*products, unbilled("CAP"))
    plan = decompose(order(line("GIFTS", line("BAG"), line("CAP"))), products)
    assert [x.id for x in plan.items] == ["reserve:1", "deliver:1.1", "commit:1", "asset:1"]


@pytest.mark.req("F24", "F25")
def test_goods_are_billed_when_they_come_and_the_service_when_it_runs():
    """Neither waits for the other, nor the service for a gift in the same box."""
    products = catalog(
        bundle("HOME", "ACCESS", "ROUTER", "CABLE"),
        subscription("ACCESS"),
        goods("ROUTER"),
        unbilled("CABLE", delivery_kind=DeliveryKind.PHYSICAL, sku="CABLE"),
    )
    plan = decompose(order(line("HOME", line("ACCESS"), line("ROUTER"), line("CABLE"))), products)
    earlier = before(plan)
    assert "deliver:1.2" in earlier["purchase:1.2"]
    assert "provision:1" not in earlier["purchase:1.2"]
    assert not earlier["fulfill_billing:1"] & {"deliver:1.2", "deliver:1.3", "purchase:1.2"}


def test_a_service_that_the_network_does_not_know_is_billed_when_its_goods_have_come():
    products = catalog(
        bundle("RENTAL", "FEE", "BOX", delivery_kind=DeliveryKind.NONE), subscription("FEE"), goods("BOX")
    )
    plan = decompose(order(line("RENTAL", line("FEE"), line("BOX"))), products)
    assert "deliver:1.2" in before(plan)["fulfill_billing:1"]


@pytest.mark.req("B19")
def test_what_is_billed_to_the_account_is_a_billing_line_of_its_own():
    products = catalog(
        bundle("HOME", "ACCESS", "PAPER-BILL"),
        subscription("ACCESS"),
        item("PAPER-BILL", billing_service_type=ACCOUNT_LEVEL),
    )
    nested = told(decompose(order(line("HOME", line("ACCESS"), line("PAPER-BILL"))), products))
    assert nested["purchase:1.2"] == (("1.2",), ("initiate_billing:1", "provision:1"))
    assert "1.2" not in nested["fulfill_billing:1"][0]
    alone = told(decompose(order(line("PAPER-BILL")), products))
    assert alone == {"purchase:1": (("1",), ()), "asset:1": (("1",), ("purchase:1",))}


@pytest.mark.req("B34")
def test_a_simple_bundle_is_recognized_by_the_catalog_and_not_by_the_order():
    flagged = catalog(simple_bundle("INTERNET"))
    plain = catalog(subscription("INTERNET"))
    asked = order(line("INTERNET", attributes={"service_instance": True}))
    assert [x.id for x in Decomposed(asked, flagged).services] == ["1"]
    assert Decomposed(asked, plain).services == ()


@pytest.mark.req("B37")
def test_events_are_never_purchased():
    internet = order(line("INTERNET", line("INTERNET-ACTIVATION")))
    plan = decompose(internet, WIRELESS)
    assert {y for x in of(plan, *CALLS) for y in x.lines} == {"1"}


@pytest.mark.req("F34")
def test_billing_is_told_of_new_accounts_before_its_first_call():
    two = changed(order(line("INTERNET"), line("INTERNET")), "2", billing_account="OTHER-BA")
    plan = decompose(two, WIRELESS, unsynced_accounts=frozenset({"ACME-BA", "OTHER-BA", "UNUSED"}))
    steps = told(plan)
    assert steps["sync_customer:ACME-BA"] == (("1",), ())
    assert steps["initiate_billing:1"][1] == ("sync_customer:ACME-BA",)
    assert steps["initiate_billing:2"][1] == ("sync_customer:OTHER-BA",)
    assert "sync_customer:UNUSED" not in steps


@pytest.mark.req("B48", "F34")
def test_billing_is_told_of_a_new_account_before_the_one_call_of_single_phase_billing():
    products = catalog(simple_bundle("INTERNET", billing_phase=BillingPhase.SINGLE))
    steps = told(decompose(order(line("INTERNET")), products, unsynced_accounts=frozenset({"ACME-BA"})))
    assert steps["purchase:1"] == (("1",), ("sync_customer:ACME-BA", "provision:1"))


def test_a_service_is_activated_with_its_own_parts_on_the_network_at_once():
    plan = decompose(order(line("WIRELESS", line("PLAN"), line("VOICEMAIL"))), WIRELESS)
    assert [x.lines for x in of(plan, Function.PROVISION)] == [("1", "1.2")]


@pytest.mark.req("B14", "F34")
def test_billing_is_not_told_of_an_account_that_is_never_billed():
    gift = order(line("CASE"))
    assert not of(decompose(gift, WIRELESS, unsynced_accounts=frozenset({"ACME-BA"})), Function.SYNC_CUSTOMER)


def test_context_lines_do_nothing():
    context = order(line("INTERNET", action=Action.NONE, asset="a"))
    assert decompose(context, WIRELESS).items == ()


def test_what_joins_an_existing_service_is_activated_and_billed_by_itself():
    joined = order(line("WIRELESS", line("VOICEMAIL"), action=Action.NONE, asset="a"))
    assert told(decompose(joined, WIRELESS)) == {
        "claim:1": (("1",), ()),
        "provision:1.1": (("1.1",), ("claim:1",)),
        "purchase:1.1": (("1.1",), ("claim:1", "provision:1.1")),
        "asset:1": (("1.1",), ("provision:1.1", "purchase:1.1")),
    }


def test_every_bundle_of_an_order_has_steps_of_its_own():
    plan = decompose(order(line("INTERNET"), line("INTERNET")), WIRELESS)
    for x in plan.items:
        assert {y.split(":")[1].split(".")[0] for y in before(plan)[x.id]} <= {x.root}


@given(sold())
def test_what_is_sold_here_breaks_no_rule(example: Sold):
    assert check(Proposal(document=ReadDocument(tuple(example.catalog)))).violations == ()
    assert validate(example.order, example.catalog, facts()) == ()


@given(sold())
def test_the_same_order_has_the_same_plan(example: Sold):
    copied = deepcopy(example)
    assert decompose(copied.order, copied.catalog) == decompose(example.order, example.catalog)


@given(sold())
def test_every_step_stands_after_those_it_waits_for(example: Sold):
    seen: set[str] = set()
    for x in decompose(example.order, example.catalog, unsynced_accounts=frozenset({"ACME-BA"})).items:
        assert x.id not in seen
        assert set(x.depends_on) <= seen
        seen.add(x.id)


def ordered(example: Sold, *kinds: Kind) -> list[OrderLine]:
    return [x for x in example.order.lines if example.catalog[x.product].kind in kinds]


@pytest.mark.req("B02", "B10", "B47")
@given(sold())
def test_each_bundle_line_is_one_service_whatever_its_quantity(example: Sold):
    services = Decomposed(example.order, example.catalog).services
    assert list(services) == ordered(example, Kind.SERVICE_BUNDLE, Kind.SIMPLE_SERVICE_BUNDLE)


@pytest.mark.req("B48", "B49")
@given(sold())
def test_each_service_is_billed_in_one_call_or_initiated_once_and_fulfilled_once(example: Sold):
    plan = decompose(example.order, example.catalog)
    initiated = Counter(y for x in of(plan, Function.INITIATE_BILLING) for y in x.lines)
    closed = Counter((x.function, x.subject) for x in of(plan, *CLOSING))
    for service in Decomposed(example.order, example.catalog).services:
        two = example.catalog[service.product].billing_phase is BillingPhase.TWO
        assert initiated[service.id] == two
        assert closed[Function.FULFILL_BILLING, service.id] == two
        assert closed[Function.PURCHASE, service.id] == (not two)


@pytest.mark.req("B49")
@given(sold())
def test_a_service_is_initiated_before_it_is_activated_and_fulfilled_after(example: Sold):
    plan = decompose(example.order, example.catalog)
    earlier, steps = before(plan), {x.id for x in plan.items}
    for bill in of(plan, Function.FULFILL_BILLING):
        initiate, provision = f"initiate_billing:{bill.root}", f"provision:{bill.subject}"
        assert initiate in earlier[bill.id]
        if provision in steps:
            assert initiate in earlier[provision]
            assert provision in earlier[bill.id]


@pytest.mark.req("B14", "B37")
@given(sold())
def test_each_line_that_is_billed_is_closed_in_one_call_and_no_other_ever_reaches_billing(example: Sold):
    plan = decompose(example.order, example.catalog)
    unbilled_lines = {x.id for x in ordered(example, Kind.NON_BILLING, Kind.EVENT)}
    closed = Counter(y for x in of(plan, *CLOSING) for y in x.lines)
    assert closed == Counter(x.id for x in example.order.lines if x.id not in unbilled_lines)
    assert not unbilled_lines & {y for x in of(plan, Function.INITIATE_BILLING) for y in x.lines}


@pytest.mark.req("B49")
@given(sold())
def test_only_what_is_charged_once_is_left_out_of_the_first_phase(example: Sold):
    plan = decompose(example.order, example.catalog)
    initiated = {y for x in of(plan, Function.INITIATE_BILLING) for y in x.lines}
    for bill in of(plan, Function.FULFILL_BILLING):
        left_out = set(bill.lines) - initiated
        products = [example.catalog[example.order.by_id[x].product] for x in left_out]
        assert {x.billing_type for x in products} <= {BillingType.ITEM}


@pytest.mark.req("B06", "B10")
@given(sold())
def test_a_nested_service_is_activated_after_the_service_it_stands_in(example: Sold):
    plan = decompose(example.order, example.catalog)
    earlier = before(plan)
    activated = {x.subject: x.id for x in of(plan, Function.PROVISION)}
    for subject, step in activated.items():
        for above in example.order.ancestors(example.order.by_id[subject]):
            assert above.id not in activated or activated[above.id] in earlier[step]


@pytest.mark.req("F25")
@given(sold())
def test_physical_goods_are_billed_alone_and_after_their_own_delivery(example: Sold):
    plan = decompose(example.order, example.catalog)
    read = Decomposed(example.order, example.catalog)
    bills = {x.subject: x for x in of(plan, *CLOSING)}
    for x in example.order.lines:
        product = read.product(x)
        if product.delivery_kind is DeliveryKind.PHYSICAL and read.is_billed(x) and not product.is_service:
            assert bills[x.id].lines == (x.id,)
            assert f"deliver:{x.id}" in bills[x.id].depends_on


@pytest.mark.req("A02")
@given(sold())
def test_each_line_becomes_an_asset_in_one_step_after_all_else_of_its_bundle(example: Sold):
    plan = decompose(example.order, example.catalog)
    earlier = before(plan)
    installed = Counter(y for x in of(plan, Function.ASSET) for y in x.lines)
    assert installed == Counter(x.id for x in example.order.lines)
    for x in of(plan, Function.ASSET):
        assert earlier[x.id] == {y.id for y in plan.items if y.root == x.root} - {x.id}


@given(sold())
def test_each_line_is_delivered_as_its_product_says(example: Sold):
    plan = decompose(example.order, example.catalog)
    for kind, function in ((DeliveryKind.PHYSICAL, Function.DELIVER), (DeliveryKind.LOGICAL, Function.PROVISION)):
        expected = [x.id for x in example.order.lines if example.catalog[x.product].delivery_kind is kind]
        assert Counter(y for x in of(plan, function) for y in x.lines) == Counter(expected)


@pytest.mark.req("F11")
@given(sold())
def test_all_that_a_bundle_takes_from_stock_is_reserved_first_and_committed_once_delivered_and_billed(example: Sold):
    plan = decompose(example.order, example.catalog)
    earlier = before(plan)
    taken = {x.id for x in example.order.lines if example.catalog[x.product].sku or example.catalog[x.product].pool}
    assert {y for x in of(plan, Function.RESERVE) for y in x.lines} == taken
    for commit in of(plan, Function.COMMIT):
        reserve = f"reserve:{commit.root}"
        done_before = (Function.DELIVER, Function.PROVISION, Function.FULFILL_BILLING, Function.PURCHASE)
        deliveries = [x for x in of(plan, *done_before) if x.root == commit.root]
        assert {x.id for x in deliveries} < earlier[commit.id]
        assert all(reserve in earlier[x.id] for x in (*deliveries, commit))


def test_two_thousand_lines_have_a_plan_in_a_moment():
    wide = catalog(unbilled("ESTATE", some("WIRELESS", at_most=400)), *(x for x in WIRELESS if x.code != "INTERNET"))
    home = line("WIRELESS", line("PLAN", line("MINUTES")), line("CASE"), line("VOICEMAIL"))
    estate = order(line("ESTATE", *(home for _ in range(400))))
    started = time.process_time()
    plan = decompose(estate, wide)
    assert time.process_time() - started < 0.2  # 25 ms on a small machine; a quadratic step needs seconds
    assert len(of(plan, Function.FULFILL_BILLING)) == 400
