"""Which orders are taken, and what is said of those that are not."""

import time
from dataclasses import replace

import pytest

from domain.catalog import ACCOUNT_LEVEL, Catalog, Component, Lifecycle
from domain.facts import AccountFact, Facts, lookups
from domain.order import Order
from domain.validation import validate
from tests.builders import (
    WIRELESS,
    WIRELESS_ORDER,
    bundle,
    catalog,
    changed,
    event,
    facts,
    item,
    line,
    order,
    some,
    subscription,
    unbilled,
    without,
)


def broken(
    given: Order, known: Facts | None = None, *, products: Catalog = WIRELESS
) -> list[tuple[str, str | None, str | None]]:
    """The broken rules as (code, line, field)."""
    return [(x.code, x.line, x.field) for x in validate(given, products, known or facts())]


def wireless(**fields: object) -> Order:
    return changed(WIRELESS_ORDER, "1", **fields)


@pytest.mark.req("B01", "B10", "B22", "B23")
def test_a_bundle_with_its_components_is_taken():
    assert broken(WIRELESS_ORDER) == []


@pytest.mark.req("B36", "B44")
def test_a_simple_service_bundle_is_taken_alone_in_a_bundle_and_in_a_customizable_product():
    products = catalog(
        *(x for x in WIRELESS if x.code in ("INTERNET", "INTERNET-ACTIVATION")),
        bundle("HOME", "INTERNET"),
        unbilled("PACKAGE", "INTERNET"),
    )
    alone, nested, packaged = line("INTERNET"), line("HOME", line("INTERNET")), line("PACKAGE", line("INTERNET"))
    assert broken(order(alone, nested, packaged), products=products) == []


@pytest.mark.req("B22")
@pytest.mark.parametrize("name", ["billing_account", "service_account", "billing_profile"])
@pytest.mark.parametrize("line_id", ["1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.4"])
def test_every_line_of_a_bundle_has_the_accounts_of_its_root(line_id: str, name: str):
    """Deep lines, nested bundles and non-billing products too."""
    other = "OTHER-BP" if name == "billing_profile" else "OTHER-BA"
    assert broken(changed(WIRELESS_ORDER, line_id, **{name: other})) == [("ACCT_MISMATCH", line_id, name)]


@pytest.mark.req("B22", "B08")
def test_two_bundles_in_a_customizable_product_may_have_different_accounts():
    products = catalog(*WIRELESS, unbilled("FAMILY", some("WIRELESS", at_most=2)))
    other = {"billing_account": "OTHER-BA", "service_account": "OTHER-BA", "billing_profile": "OTHER-BP"}
    family = order(line("FAMILY", line("WIRELESS", line("PLAN")), line("WIRELESS", line("PLAN", **other), **other)))
    assert broken(family, products=products) == []
    half = changed(family, "1.2.1", billing_account="ACME-BA")
    assert broken(half, products=products) == [("ACCT_MISMATCH", "1.2.1", "billing_account")]


@pytest.mark.req("B44", "B22")
def test_a_simple_bundle_in_a_bundle_forces_the_whole_bundle_onto_one_account():
    products = catalog(*WIRELESS, bundle("HOME", "INTERNET", "CABLE"), subscription("CABLE"))
    home = order(line("HOME", line("INTERNET"), line("CABLE")), service_account="ACME-SA")
    assert broken(home, products=products) == [("SSB_ACCT", "1.1", "billing_account")]


@pytest.mark.req("B23")
@pytest.mark.parametrize("name", ["billing_account", "service_account", "billing_profile"])
def test_an_account_that_nobody_named_is_missing(name: str):
    assert broken(order(line("WIRELESS", line("PLAN")), **{name: None})) == [("ACCT_MISSING", "1", name)]


@pytest.mark.req("B23")
@pytest.mark.parametrize("name", ["billing_account", "service_account", "billing_profile"])
def test_an_account_that_nobody_knows_is_refused_where_it_was_named(name: str):
    assert broken(order(line("WIRELESS", line("PLAN")), **{name: "NOBODY"})) == [("ACCT_UNKNOWN", "1", name)]


@pytest.mark.req("B23")
def test_an_order_of_an_unknown_customer_is_refused():
    assert broken(replace(WIRELESS_ORDER, account="NOBODY")) == [("ACCT_UNKNOWN", None, "account")]


@pytest.mark.req("B44")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"service_account": "ACME-SA"}, "billing_account"),
        ({"billing_account": "OTHER-BA"}, "billing_account"),
        ({"billing_profile": "OTHER-BP"}, "billing_profile"),
    ],
)
def test_a_simple_bundle_has_one_account(fields: dict[str, str], field: str):
    assert broken(order(line("INTERNET", **fields))) == [("SSB_ACCT", "1", field)]


@pytest.mark.req("B41", "B31")
@pytest.mark.parametrize("added", ["HALF-OFF", "VOICEMAIL", "ACTIVATION", "CASE", "WIRELESS", "INTERNET"])
def test_nothing_is_added_to_a_simple_bundle_by_hand(added: str):
    extra = [line("PLAN")] if added == "WIRELESS" else []
    assert broken(order(line("INTERNET", line(added, *extra)))) == [("SSB_CHILD", "1.1", "product")]


@pytest.mark.req("B31", "B37")
def test_the_events_of_a_simple_bundle_may_be_ordered_or_left_out():
    products = catalog(
        *(replace(x, components=(some("INTERNET-ACTIVATION", at_least=1),)) for x in WIRELESS if x.code == "INTERNET"),
        event("INTERNET-ACTIVATION", billing_service_type="/service/ip"),
    )
    assert broken(order(line("INTERNET"), line("INTERNET", line("INTERNET-ACTIVATION"))), products=products) == []


@pytest.mark.req("B47")
@pytest.mark.parametrize("quantity", [0, -1])
@pytest.mark.parametrize("line_id", ["1", "1.1", "1.4"])
def test_a_quantity_is_positive(line_id: str, quantity: int):
    assert broken(changed(WIRELESS_ORDER, line_id, quantity=quantity)) == [("QTY", line_id, "quantity")]


@pytest.mark.req("B01")
def test_of_an_unknown_product_only_that_is_said_and_not_what_follows_from_it():
    assert broken(changed(WIRELESS_ORDER, "1", product="WIRELES")) == [("CATALOG_VERSION", "1", "product")]
    assert broken(changed(WIRELESS_ORDER, "1.1", product="PLANN")) == [("CATALOG_VERSION", "1.1", "product")]
    family = catalog(*WIRELESS, unbilled("FAMILY", some("WIRELESS", at_least=1)))
    misspelt = changed(order(line("FAMILY", line("WIRELESS", line("PLAN")))), "1.1", product="WIRELES")
    assert broken(misspelt, products=family) == [("CATALOG_VERSION", "1.1", "product")]


@pytest.mark.req("B01")
def test_before_any_catalog_is_published_that_is_said_once():
    (violation,) = validate(WIRELESS_ORDER, Catalog(0), facts())
    assert (violation.code, violation.line) == ("CATALOG_VERSION", None)
    assert violation.message.startswith("No catalog has been published yet")


@pytest.mark.req("B02", "B47")
def test_a_service_bundle_is_ordered_one_by_one_and_a_simple_one_in_any_quantity():
    assert broken(wireless(quantity=2)) == [("SB_QTY", "1", "quantity")]
    assert broken(changed(WIRELESS_ORDER, "1.2", quantity=3)) == [("SB_QTY", "1.2", "quantity")]
    assert broken(order(line("INTERNET", quantity=5))) == []


def test_an_unknown_product_is_refused():
    assert broken(changed(WIRELESS_ORDER, "1.4", product="NOTHING")) == [("CATALOG_VERSION", "1.4", "product")]


@pytest.mark.parametrize("lifecycle", [Lifecycle.DRAFT, Lifecycle.RETIRED])
def test_a_draft_or_retired_product_cannot_be_added(lifecycle: Lifecycle):
    products = catalog(*(replace(x, lifecycle=lifecycle) if x.code == "PHONE" else x for x in WIRELESS))
    assert broken(WIRELESS_ORDER, products=products) == [("CATALOG_VERSION", "1.4", "product")]


@pytest.mark.req("B08", "B01")
def test_a_line_stands_under_a_product_that_has_it_as_a_component():
    misplaced = order(line("WIRELESS", line("PLAN", line("VOICEMAIL"))))
    assert broken(misplaced) == [("STRUCTURE", "1.1.1", "product")]


@pytest.mark.req("B05", "B08")
def test_a_simple_product_has_nothing_below_it():
    crowded = order(line("WIRELESS", line("PLAN", line("MINUTES", line("CASE")))))
    assert broken(crowded) == [("STRUCTURE", "1.1.1.1", "product")]


@pytest.mark.req("B01")
def test_a_bundle_has_as_many_of_each_component_as_its_product_allows():
    assert broken(without(WIRELESS_ORDER, "1.1")) == [("STRUCTURE", "1", "lines")]
    assert broken(order(line("WIRELESS", line("PLAN"), line("PLAN")))) == [("STRUCTURE", "1", "lines")]


@pytest.mark.req("B01")
def test_the_number_of_components_is_counted_under_each_parent_line():
    assert broken(order(line("WIRELESS", line("PLAN")), line("WIRELESS", line("PLAN")))) == []


@pytest.mark.req("B01")
def test_a_bundle_without_any_component_cannot_be_ordered():
    assert broken(without(WIRELESS_ORDER, "1.2.1")) == [("STRUCTURE", "1.2", "lines")]
    assert broken(order(line("EMPTY")), products=catalog(bundle("EMPTY"))) == [("STRUCTURE", "1", "lines")]
    assert broken(order(line("WIRELESS"))) == [("STRUCTURE", "1", "lines")]


@pytest.mark.req("B02", "B19")
def test_what_is_billed_for_a_service_does_not_stand_alone():
    products = catalog(*WIRELESS, item("PAPER-BILL", billing_service_type=ACCOUNT_LEVEL))
    assert broken(order(line("VOICEMAIL")), products=products) == [("NO_SERVICE", "1", "product")]
    assert broken(order(line("PAPER-BILL"), line("CASE")), products=products) == []


def test_lines_that_form_no_tree_are_refused_whatever_else_they_are():
    twice = replace(WIRELESS_ORDER, lines=(*WIRELESS_ORDER.lines, WIRELESS_ORDER.lines[-1]))
    assert broken(twice) == [("STRUCTURE", "1.4", "id")]
    orphan = changed(WIRELESS_ORDER, "1.3", parent="9")
    assert broken(orphan) == [("STRUCTURE", "1.3", "parent")]
    circle = order(line("CASE"), line("CASE"))
    circle = changed(changed(circle, "1", parent="2"), "2", parent="1")
    assert ("STRUCTURE", "1", "parent") in broken(circle)


def test_all_violations_come_back_at_once_with_their_rule_and_a_sentence():
    bad = changed(changed(wireless(quantity=2), "1.4", billing_account="OTHER-BA"), "1.3", quantity=0)
    found = validate(without(bad, "1.1"), WIRELESS, facts())
    assert {(x.code, x.rule, x.line) for x in found} == {
        ("SB_QTY", "Q12", "1"),
        ("STRUCTURE", "B01", "1"),
        ("QTY", "B47", "1.3"),
        ("ACCT_MISMATCH", "B22", "1.4"),
    }
    assert all(x.message.endswith(".") and x.message[0].isupper() for x in found)


def test_no_message_repeats_what_was_sent():
    secret = "hunter2"
    sent = {"id": secret, "product": secret, "billing_account": secret, "billing_profile": secret, "asset": secret}
    given = changed(order(line("WIRELESS", line("PLAN"), billing_account=secret)), "1.1", **sent, parent=secret)
    found = validate(replace(given, account=secret), WIRELESS, facts())
    assert {"ACCT_UNKNOWN", "CATALOG_VERSION", "ASSET_STATE", "STRUCTURE"} <= {x.code for x in found}
    assert not [x.message for x in found if secret in x.message]


def test_an_order_mentions_the_ids_of_header_and_lines():
    given = changed(changed(WIRELESS_ORDER, "1.1", billing_account="B", billing_profile="P"), "1.2", asset="a")
    asked = lookups(given)
    assert asked.accounts == {"ACME", "ACME-BA", "B"}
    assert asked.profiles == {"ACME-BP", "P"}
    assert asked.assets == {"a"}


@pytest.mark.req("F34")
def test_accounts_that_billing_has_not_been_told_of_are_known():
    known = Facts(accounts={"A": AccountFact(), "B": AccountFact(synced=False)})
    assert known.unsynced_accounts == {"B"}


def test_two_thousand_lines_are_checked_in_a_moment():
    """Both many lines under one product and many components of one product: linear in each."""
    codes = [f"FEATURE-{n}" for n in range(1_999)]
    products = catalog(
        bundle("WIDE", *(Component(product=code) for code in codes)), *(subscription(code) for code in codes)
    )
    given = order(line("WIDE", *(line(code) for code in codes)))
    took_s = []
    for _ in range(3):  # into one of them a collection of garbage may fall
        started = time.process_time()
        assert broken(given, products=products) == []
        took_s.append(time.process_time() - started)
    assert min(took_s) < 0.1  # 12 ms on a small machine; a quadratic rule needs seconds
