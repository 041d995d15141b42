"""Which line of a revision is which, and what becomes of each step."""

import pytest

from domain.decomposed import Decomposed
from domain.in_flight import Correction, InFlight
from domain.money import Money
from domain.order import Order, asset_id
from domain.revision import Comparison, compare, matched
from tests.builders import catalog, changed, line, order, without
from tests.workflows.catalog import INTERNET, PRODUCTS, WIRELESS

ORDER = "00000000-0000-4000-8000-000000000001"
CATALOG = catalog(*PRODUCTS)


def compared(before: Order, after: Order) -> Comparison:
    """Both orders, read with the same catalog."""
    return compare(*(InFlight(id=ORDER, number=1, decomposed=Decomposed(x, CATALOG, {})) for x in (before, after)))


def rules(before: Order, after: Order, *, gone: frozenset[str] = frozenset()) -> set[tuple[str | None, str | None]]:
    return {(x.line, x.field) for x in matched(ORDER, before, after, gone=gone).violations}


def test_a_line_is_known_by_its_asset_whatever_it_is_called_and_wherever_it_stands():
    base = order(line("WIRELESS", line("RATE")), INTERNET)
    assets = {x.id: asset_id(ORDER, x) for x in base.lines}
    called = order(
        line("INTERNET", asset=assets["2"]), line("WIRELESS", line("RATE", asset=assets["1.1"]), asset=assets["1"])
    )
    found = matched(ORDER, base, called)
    assert found.violations == ()
    assert [(x.id, x.product, x.parent, x.root) for x in found.order.lines] == [
        ("2", "INTERNET", None, "2"),
        ("1", "WIRELESS", None, "1"),
        ("1.1", "RATE", "1", "1"),
    ]
    assert {x.id: asset_id(ORDER, x) for x in found.order.lines} == assets


@pytest.mark.req("B43")
def test_account_and_external_id_of_an_order_and_product_and_place_of_a_line_do_not_change():
    base = order(line("WIRELESS", line("RATE")), INTERNET, external_id="crm-1")
    assert rules(base, order(line("WIRELESS", line("RATE")), INTERNET)) == set(), "what is not said stays"
    assert rules(base, changed(base, "2", product="WIRELESS")) == {("2", "product")}
    assert rules(base, changed(base, "1.1", parent="2", root="2")) == {("1.1", "parent")}
    other = order(line("WIRELESS", line("RATE")), INTERNET, account="ACME-SA", external_id="crm-2")
    assert rules(base, other) == {(None, "account"), (None, "external_id")}


def test_the_id_of_a_line_that_was_dropped_does_not_come_back():
    base = order(INTERNET)
    again = order(INTERNET, INTERNET)
    assert rules(base, again) == set()
    assert rules(base, again, gone=frozenset({"2"})) == {("2", "id")}


def test_what_was_corrected_stays_corrected_unless_the_revision_says_otherwise():
    base = order(line("WIRELESS", line("RATE"), service_id="+1-555-0999", attributes={"apn": "x", "sim": "y"}))
    correction = Correction(line="1", fields={"service_id": "+1-555-0105"}, attributes={"apn": "internet"})
    kept = matched(ORDER, base, base, corrections=[correction]).order.by_id["1"]
    assert (kept.service_id, kept.attributes) == ("+1-555-0105", {"apn": "internet", "sim": "y"})
    said = changed(base, "1", service_id="+1-555-0107")
    assert matched(ORDER, base, said, corrections=[correction]).order.by_id["1"].service_id == "+1-555-0107"


@pytest.mark.parametrize(
    "fields",
    [
        {"price": Money(1, "USD")},
        {"promotion_ref": "SPRING"},
        {"billing_profile": "ACME-BP2"},
        {"billing_account": "ACME-BA2"},
    ],
    ids=lambda x: next(iter(x)),
)
def test_another_price_promotion_account_or_profile_is_told_to_billing_alone(fields: dict[str, object]):
    before = order(WIRELESS)
    after = before
    for each in before.lines:
        after = changed(after, each.id, **fields)
    found = compared(before, after)
    assert (found.undo, found.technical) == ((), ())
    assert set(found.redo) == {"initiate_billing:1", "fulfill_billing:1", "fulfill_billing:1.5"}


def test_another_number_is_told_to_all_three():
    found = compared(order(WIRELESS), changed(order(WIRELESS), "1", service_id="+1-555-0107"))
    assert {x.split(":")[0] for x in found.redo} >= {"reserve", "initiate_billing", "provision", "fulfill_billing"}
    assert found.technical == ("1",)


def test_what_concerns_no_line_concerns_no_step():
    before = order(WIRELESS, INTERNET)
    after = order(WIRELESS, INTERNET, priority=0, reason="in a hurry")
    assert compared(before, after) == Comparison(undo=(), redo=(), roots=(), technical=(), dropped=(), added=())


def test_what_is_dropped_is_undone_and_other_bundles_are_left_alone():
    before = order(WIRELESS, INTERNET)
    found = compared(before, without(before, "1.5"))
    assert set(found.undo) == {"provision:1.5", "fulfill_billing:1.5"}
    assert (found.roots, found.technical, found.dropped) == (("1",), ("1",), ("1.5", "1.5.1"))
    assert not any(x.endswith(":2") for x in (*found.redo, *found.undo))


@pytest.mark.req("B43")
def test_another_simple_bundle_is_one_less_and_one_more_with_an_instance_of_its_own():
    before = order(INTERNET, INTERNET)
    after = without(order(INTERNET, INTERNET, INTERNET), "2")
    found = compared(before, after)
    assert {x.split(":")[1] for x in found.undo} == {"2"}
    assert (found.dropped, found.added, found.redo) == (("2",), ("3",), ())
