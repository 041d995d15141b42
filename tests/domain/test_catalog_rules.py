"""What a catalog must obey: each rule broken by itself, and nothing else noticed."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from _pytest.mark import ParameterSet

from domain.catalog import (
    ACCOUNT_LEVEL,
    BillingPhase,
    BillingType,
    Catalog,
    ChargeTrigger,
    Component,
    DeliveryKind,
    Kind,
    Lifecycle,
    Origin,
    Product,
    ServiceCharge,
)
from domain.catalog_document import ReadDocument, read_all
from domain.publishing import Proposal, Verdict, check
from tests.builders import (
    GSM,
    SMS,
    bundle,
    catalog,
    discount,
    event,
    goods,
    item,
    simple_bundle,
    subscription,
    unbilled,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "catalog.yaml"
IP = "/service/ip"


def verdict(*products: Product) -> Verdict:
    return check(Proposal(document=ReadDocument(products)))


def violations(*products: Product) -> list[tuple[str, str, str | None, str | None]]:
    return [(x.code, x.rule, x.product, x.field) for x in verdict(*products).violations]


def warnings(*products: Product) -> list[tuple[str, str, str | None]]:
    return [(x.code, x.rule, x.product) for x in verdict(*products).warnings]


WIRELESS = (
    bundle("WIRELESS", "LINE", "FEE", "TEXTING", "CASE"),
    subscription("LINE", "MINUTES"),
    subscription("MINUTES"),
    item("FEE"),
    bundle("TEXTING", "TEXT-BASIC", "TEXT-PLUS", billing_service_type=SMS),
    subscription("TEXT-BASIC", billing_service_type=SMS),
    subscription("TEXT-PLUS", billing_service_type=SMS),
    unbilled("CASE"),
)


def changed(products: Iterable[Product], code: str, **fields: object) -> tuple[Product, ...]:
    return tuple(replace(x, **fields) if x.code == code else x for x in products)  # type: ignore[arg-type]


@pytest.mark.req("B02", "B06", "B08", "B10", "B11", "B17")
def test_a_wireless_bundle_with_a_nested_service_of_another_type_breaks_no_rule():
    assert verdict(*WIRELESS) == Verdict()


@pytest.mark.req("B16", "B37", "B38", "B39")
def test_the_example_catalog_breaks_no_rule_and_its_kinds_are_as_stated():
    document = read_all(yaml.safe_load(EXAMPLE.read_text())["products"])
    assert check(Proposal(document=document)) == Verdict()

    example = catalog(*document.products)
    customizable = {
        "MAIN-LINE-1",
        "MAIN-LINE-2",
        "ADD-ON-LINE",
        "CALL-FORWARDING",
        "HALF-PRICE-3-MONTHS",
        "FREE-MINUTES",
    }
    for code in customizable:
        assert (example[code].kind, example.is_customizable(example[code])) == (Kind.BILLING_COMPONENT, True)
    for code in ("ACTIVATION-FEE", "ROAMING-FEE", "DATA-FEE", "SMS-BASIC", "SMS-UNLIMITED"):
        assert (example[code].kind, example.is_customizable(example[code])) == (Kind.BILLING_COMPONENT, False)
    assert example["SMS"].kind is Kind.SERVICE_BUNDLE
    assert "WIRELESS-BUNDLE" in example.parents["SMS"]
    assert example["HALF-PRICE-3-MONTHS"].duration_months == 3
    assert example["INTERNET-ACCESS"].kind is Kind.SERVICE_BUNDLE
    assert not example.is_customizable(example["INTERNET-MCF"])
    assert example["INTERNET-SERVICE"].kind is Kind.SIMPLE_SERVICE_BUNDLE
    assert (example["INTERNET-EMAIL"].kind, example.parents["INTERNET-EMAIL"]) == (
        Kind.SIMPLE_SERVICE_BUNDLE,
        ("INTERNET-ACCESS",),
    )


@pytest.mark.req("B03", "B12", "B30", "B70")
@pytest.mark.parametrize(
    ("product", "kind"),
    [
        (bundle("X"), Kind.SERVICE_BUNDLE),
        (simple_bundle("X"), Kind.SIMPLE_SERVICE_BUNDLE),
        (simple_bundle("X", service_instance=False), Kind.BILLING_COMPONENT),
        (simple_bundle("X", origin=Origin.CRM), Kind.BILLING_COMPONENT),
        (subscription("X"), Kind.BILLING_COMPONENT),
        (item("X"), Kind.BILLING_COMPONENT),
        (discount("X"), Kind.BILLING_COMPONENT),
        (event("X"), Kind.EVENT),
        (unbilled("X"), Kind.NON_BILLING),
    ],
)
def test_the_kind_follows_from_billing_type_origin_and_flag(product: Product, kind: Kind):
    assert product.kind is kind


@pytest.mark.req("B72")
def test_the_kind_is_stated_and_never_inferred_from_what_a_product_includes():
    assert unbilled("X", "LINE", "TEXTING").kind is Kind.NON_BILLING
    assert simple_bundle("X", "USED", service_instance=False).kind is Kind.BILLING_COMPONENT
    stated = read_all([{"code": "X", "name": "X", "billing_service_type": GSM, "components": [{"product": "X2"}]}])
    assert [x.kind for x in stated.products] == [Kind.NON_BILLING]


@pytest.mark.req("B05", "B07")
def test_a_product_with_nothing_but_events_is_not_customizable():
    shelf = catalog(subscription("PLAN", "OPTION"), subscription("OPTION", "USED"), event("USED"))
    assert shelf.is_customizable(shelf["PLAN"])
    assert not shelf.is_customizable(shelf["OPTION"])


Found = tuple[str, str, str, str]
"""Code, row, product and field of a violation."""

MAIL = simple_bundle("MAIL", billing_service_type=IP)
EVENT_WITH_MAIL = replace(event("USED"), components=(Component(product="MAIL"),))


def _case(rows: tuple[str, ...], products: Iterable[Product], expected: Found, *, id: str) -> ParameterSet:  # noqa: A002
    """A catalog with one mistake and what is to be found, marked with the rows it proves."""
    return pytest.param(tuple(products), expected, id=id, marks=[pytest.mark.req(*rows)] if rows else [])


SENSELESS_BOUNDS: list[dict[str, Any]] = [
    {"min": 2, "max": 1},
    {"min": -1},
    {"max": -1},
    {"default": 2},
    {"default": -1},
    {"min": 2, "max": 3, "default": 1},
]
BROKEN = [
    _case(("B06",), changed(WIRELESS, "FEE", billing_service_type=IP),
          ("BST_MISMATCH", "B06", "FEE", "billing_service_type"), id="a simple product of another type"),
    _case(("B09",), changed(WIRELESS, "LINE", billing_service_type=IP),
          ("BST_MISMATCH", "B09", "LINE", "billing_service_type"), id="a customizable product of another type"),
    _case(("B06",), changed(WIRELESS, "MINUTES", billing_service_type=IP),
          ("BST_MISMATCH", "B06", "MINUTES", "billing_service_type"), id="below a customizable product"),
    _case(("B17", "B06"), changed(WIRELESS, "TEXT-BASIC", billing_service_type=GSM),
          ("BST_MISMATCH", "B06", "TEXT-BASIC", "billing_service_type"), id="of the outer bundle's type"),
    _case(("B06",), changed(WIRELESS, "FEE", billing_service_type=None),
          ("BST_MISMATCH", "B06", "FEE", "billing_service_type"), id="a component without a type"),
    _case(("B19", "B06"), changed(WIRELESS, "FEE", billing_service_type=ACCOUNT_LEVEL),
          ("BST_MISMATCH", "B06", "FEE", "billing_service_type"), id="an account-level product in a bundle"),
    _case(("B19",), changed(WIRELESS, "FEE", billing_service_type="ip"),
          ("BST_FORMAT", "B19", "FEE", "billing_service_type"), id="no path"),
    _case(("B19",), changed(WIRELESS, "WIRELESS", billing_service_type="/service/"),
          ("BST_FORMAT", "B19", "WIRELESS", "billing_service_type"), id="a bundle with half a path"),
    _case(("B19", "B02"), (bundle("EMPTY", billing_service_type=ACCOUNT_LEVEL),),
          ("BST_FORMAT", "B19", "EMPTY", "billing_service_type"), id="a bundle billed to the account"),
    _case(("B19", "B02"), (simple_bundle("X", billing_service_type=None),),
          ("BST_FORMAT", "B19", "X", "billing_service_type"), id="a service without a type"),
    _case(("B13",), changed(WIRELESS, "CASE", billing_service_type=GSM),
          ("NON_BILLING_BST", "B13", "CASE", "billing_service_type"), id="a non-billing product with a type"),
    _case(("B14",), changed(WIRELESS, "CASE", origin=Origin.BILLING_SYNC),
          ("NON_BILLING_ORIGIN", "B14", "CASE", "origin"), id="a non-billing product from billing"),
    _case(("B33",), changed(WIRELESS, "TEXTING", origin=Origin.BILLING_SYNC),
          ("SB_ORIGIN", "B33", "TEXTING", "origin"), id="a bundle from billing"),
    _case(("B32",), (simple_bundle("NET", "USED"), event("USED", origin=Origin.CRM)),
          ("EVENT_ORIGIN", "B32", "USED", "origin"), id="a hand-made event"),
    _case(("B31", "B41"), (simple_bundle("NET", "OFF"), discount("OFF")),
          ("SSB_CHILD", "B31", "NET", "components"), id="a discount in a simple bundle"),
    _case(("B31", "B36"), (simple_bundle("NET", "MAIL"), MAIL),
          ("SSB_CHILD", "B31", "NET", "components"), id="a simple bundle in a simple bundle"),
    _case(("B31",), (simple_bundle("NET", "CASE"), unbilled("CASE")),
          ("SSB_CHILD", "B31", "NET", "components"), id="a non-billing product in a simple bundle"),
    _case(("B36", "B05"), (simple_bundle("NET", "USED"), EVENT_WITH_MAIL, MAIL),
          ("EVENT_CHILD", "B05", "USED", "components"), id="a simple bundle under an event"),
    _case(("B55",), (simple_bundle("NET", origin=Origin.CRM),),
          ("SERVICE_INSTANCE", "B55", "NET", "service_instance"), id="a hand-made subscription flagged"),
    _case(("B60",), changed(WIRELESS, "FEE", service_instance=True),
          ("SERVICE_INSTANCE", "B60", "FEE", "service_instance"), id="an item flagged"),
    _case(("B60",), changed(WIRELESS, "TEXTING", service_instance=True),
          ("SERVICE_INSTANCE", "B60", "TEXTING", "service_instance"), id="a bundle flagged"),
    _case(("B60",), changed(WIRELESS, "CASE", service_instance=True),
          ("SERVICE_INSTANCE", "B60", "CASE", "service_instance"), id="a non-billing product flagged"),
    _case(("B60",), (simple_bundle("NET", "USED"), event("USED", service_instance=True)),
          ("SERVICE_INSTANCE", "B60", "USED", "service_instance"), id="an event flagged"),
    _case(("B60",), (*WIRELESS, discount("OFF", service_instance=True, billing_service_type=ACCOUNT_LEVEL)),
          ("SERVICE_INSTANCE", "B60", "OFF", "service_instance"), id="a discount flagged"),
    _case(("B19",), (*WIRELESS, subscription("ALONE")),
          ("NO_SERVICE", "Q22", "ALONE", "billing_service_type"), id="a component alone"),
    _case(("B19",), (*WIRELESS, unbilled("OFFER", "FEE")),
          ("NO_SERVICE", "Q22", "FEE", "billing_service_type"), id="a component in a bundle, and alone"),
    _case(("B08",), changed(WIRELESS, "CASE", components=(Component(product="WIRELESS"),)),
          ("CYCLE", "B08", "CASE", "components"), id="a bundle in itself"),
    _case(("B08",), (unbilled("OFFER", "OFFER"),),
          ("CYCLE", "B08", "OFFER", "components"), id="a product in itself"),
    _case((), changed(WIRELESS, "CASE", components=(Component(product="NOWHERE"),)),
          ("UNKNOWN_COMPONENT", "2.1", "CASE", "components"), id="an unknown component"),
    _case((), (*WIRELESS, unbilled("CASE")),
          ("DUPLICATE_CODE", "2.1", "CASE", "code"), id="the same code twice"),
    _case((), (unbilled("OFFER", "CASE", "CASE"), unbilled("CASE")),
          ("DUPLICATE_COMPONENT", "2.1", "OFFER", "components"), id="the same component twice"),
    *(
        _case((), (unbilled("OFFER", Component(product="CASE", **bounds)), unbilled("CASE")),
              ("CARDINALITY", "2.1", "OFFER", "components"), id=f"bounds {bounds}")
        for bounds in SENSELESS_BOUNDS
    ),
    _case((), changed(WIRELESS, "CASE", sku="CASE-1"),
          ("DELIVERY", "2.7", "CASE", "sku"), id="stock of what is not physical"),
    _case((), (goods("PHONE", billing_service_type=ACCOUNT_LEVEL, pool="IMEI"),),
          ("DELIVERY", "2.7", "PHONE", "pool"), id="a number of a physical product"),
    _case((), changed(WIRELESS, "CASE", co_delivered_with=("NOWHERE",)),
          ("CO_DELIVERY", "F25", "CASE", "co_delivered_with"), id="delivered with nothing known"),
    _case(("B26",), changed(WIRELESS, "TEXTING", service_charges=(
        ServiceCharge(trigger=ChargeTrigger.SUSPEND, product="TEXT-PLUS"),)),
          ("SERVICE_CHARGE", "B26", "TEXTING", "service_charges"), id="a charge that is no item"),
    _case(("B26",), changed(WIRELESS, "TEXTING", service_charges=(
        ServiceCharge(trigger=ChargeTrigger.SUSPEND, product="NOWHERE"),)),
          ("SERVICE_CHARGE", "B26", "TEXTING", "service_charges"), id="an unknown charge"),
    _case(("B26",), changed(WIRELESS, "TEXTING", service_charges=(
        ServiceCharge(trigger=ChargeTrigger.SUSPEND, product="FEE"),) * 2),
          ("SERVICE_CHARGE", "B26", "TEXTING", "service_charges"), id="two charges for one change"),
    _case(("B26",), changed(WIRELESS, "LINE", service_charges=(
        ServiceCharge(trigger=ChargeTrigger.SUSPEND, product="FEE"),)),
          ("SERVICE_CHARGE", "B26", "LINE", "service_charges"), id="a charge on a component"),
    _case(("B67",), changed(WIRELESS, "WIRELESS", supersedes="WIRELESS"),
          ("SUPERSEDES", "B67", "WIRELESS", "supersedes"), id="its own successor"),
    _case(("B67",), changed(WIRELESS, "WIRELESS", supersedes="NOWHERE"),
          ("SUPERSEDES", "B67", "WIRELESS", "supersedes"), id="successor of nothing known"),
]  # fmt: skip


@pytest.mark.parametrize(("products", "expected"), BROKEN)
def test_a_broken_rule_is_named_with_product_and_field_and_no_other_is_broken(
    products: tuple[Product, ...], expected: Found
):
    assert violations(*products) == [expected]


@pytest.mark.req("B04")
@pytest.mark.parametrize("code", ["WIRELESS", "LINE", "NET", "USED"])
def test_an_unknown_billing_type_is_the_only_thing_wrong(code: str):
    entries: list[dict[str, Any]] = [
        {"code": "WIRELESS", "billing_type": "service_bundle", "components": [{"product": "LINE"}]},
        {"code": "LINE", "billing_type": "subscription", "components": [{"product": "MINUTES"}]},
        {"code": "MINUTES", "billing_type": "Discount"},
        {"code": "NET", "billing_type": "Subscription", "origin": "billing_sync", "service_instance": True,
         "components": [{"product": "USED"}]},
        {"code": "USED", "billing_type": "event", "origin": "billing_sync"},
    ]  # fmt: skip
    entries = [{**x, "name": x["code"], "billing_service_type": GSM} for x in entries]
    assert check(Proposal(document=read_all(entries))).violations == ()

    misspelt = [{**x, "billing_type": "subscripton"} if x["code"] == code else x for x in entries]
    found = check(Proposal(document=read_all(misspelt))).violations
    assert [(x.code, x.rule, x.product, x.field) for x in found] == [("BILLING_TYPE", "B04", code, "billing_type")]
    assert "subscripton" not in found[0].message


@pytest.mark.parametrize("amount", [("1.234", "USD"), ("0.5", "JPY"), ("1" * 19, "USD")])
def test_a_price_is_an_amount_of_its_currency(amount: tuple[str, str]):
    entry = {"code": "X", "name": "X", "price": dict(zip(("amount", "currency"), amount, strict=True))}
    found = check(Proposal(document=read_all([entry]))).violations
    assert [(x.code, x.product, x.field) for x in found] == [("PRICE", "X", "price")]


@pytest.mark.req("B06", "B09", "B19", "B31", "B60")
def test_all_violations_come_back_at_once():
    found = violations(
        bundle("WIRELESS", "LINE", "NOWHERE"),
        subscription("LINE", billing_service_type=IP),
        simple_bundle("NET", "CASE", billing_service_type="net"),
        unbilled("CASE", service_instance=True),
    )
    assert {x[0] for x in found} == {"UNKNOWN_COMPONENT", "BST_MISMATCH", "BST_FORMAT", "SSB_CHILD", "SERVICE_INSTANCE"}


@pytest.mark.req("B06", "B09")
def test_a_component_of_two_services_is_wrong_in_the_one_place_only():
    products = (
        bundle("PHONE", "PLAN", "EXTRA"),
        bundle("INTERNET", "PLAN", "ROUTER", billing_service_type=IP),
        unbilled("PLAN", "FEE"),
        item("FEE"),
        item("EXTRA"),
        item("ROUTER", billing_service_type=IP),
    )
    found = verdict(*products).violations
    assert [(x.code, x.product) for x in found] == [("BST_MISMATCH", "FEE")]
    assert "INTERNET" in found[0].message


@pytest.mark.req("B08", "B36")
def test_services_can_be_nested_in_customizable_products_at_any_depth():
    assert violations(
        unbilled("OFFER", "PHONE", "MAIL"),
        bundle("PHONE", "PLAN"),
        subscription("PLAN", "TEXTING", "CASE"),
        bundle("TEXTING", "TEXT-PLAN", billing_service_type=SMS),
        subscription("TEXT-PLAN", "MAIL", billing_service_type=SMS),
        simple_bundle("MAIL", billing_service_type="/service/email"),
        unbilled("CASE"),
    ) == []  # fmt: skip


@pytest.mark.req("B09", "B19")
def test_a_customizable_product_above_services_has_no_type_to_obey_and_account_level_products_stand_alone():
    assert violations(
        unbilled("OFFER", "PHONE", "SETUP"),
        bundle("PHONE", "LINE"),
        subscription("LINE"),
        item("SETUP", billing_service_type=ACCOUNT_LEVEL),
        item("LETTER", billing_service_type=ACCOUNT_LEVEL),
    ) == []  # fmt: skip


def test_a_draft_may_wait_for_its_place():
    assert violations(subscription("NEW", lifecycle=Lifecycle.DRAFT)) == []


@pytest.mark.req("B26")
def test_the_item_of_a_service_charge_needs_no_other_place():
    suspension = ServiceCharge(trigger=ChargeTrigger.SUSPEND, product="SUSPENSION")
    charging = changed(WIRELESS, "TEXTING", service_charges=(suspension,))
    assert violations(*charging, item("SUSPENSION")) == []


@pytest.mark.req("B37")
def test_events_may_leave_their_type_out():
    assert violations(simple_bundle("NET", "USED"), event("USED", billing_service_type=None)) == []
    assert violations(simple_bundle("NET", "USED"), event("USED", billing_service_type=IP)) == [
        ("BST_MISMATCH", "B06", "USED", "billing_service_type")
    ]


@pytest.mark.req("B01")
def test_a_bundle_without_components_is_warned_of():
    assert violations(bundle("EMPTY")) == []
    assert warnings(bundle("EMPTY")) == [("EMPTY_BUNDLE", "B01", "EMPTY")]


@pytest.mark.req("B65")
def test_a_bundle_of_one_billing_product_could_be_a_simple_one():
    one = (bundle("NET", "GROUP"), unbilled("GROUP", "MCF"), subscription("MCF", "USED"), event("USED"))
    assert violations(*one) == []
    assert warnings(*one) == [("CONSIDER_SSB", "B65", "NET")]
    assert warnings(bundle("NET", "MCF", "OFF"), subscription("MCF"), discount("OFF")) == []
    nested = (bundle("NET", "MCF", "MAIL"), subscription("MCF"), simple_bundle("MAIL", billing_service_type=IP))
    assert warnings(*nested) == []


@pytest.mark.req("B65", "B43")
def test_simple_bundles_to_switch_between_should_be_one_bundle():
    variants = (unbilled("OFFER", "SLOW", "FAST"), simple_bundle("SLOW"), simple_bundle("FAST"))
    assert violations(*variants) == []
    assert warnings(*variants) == [("MUST_BE_SB", "B65", "OFFER")]


@pytest.mark.req("B49")
def test_a_phase_of_what_is_never_billed_is_warned_of():
    assert warnings(unbilled("CASE", billing_phase=BillingPhase.TWO)) == [("PHASE_IGNORED", "B49", "CASE")]


@pytest.mark.req("B12")
def test_a_free_product_is_still_a_billed_one():
    free = read_all(
        [{"code": "X", "name": "X", "billing_type": "item", "price": {"amount": "0.00", "currency": "USD"}}]
    ).products[0]
    assert (free.kind, free.billing_type) == (Kind.BILLING_COMPONENT, BillingType.ITEM)


def test_a_physical_product_is_stocked_under_its_own_code_unless_it_says_otherwise():
    entries = [
        {"code": "PHONE", "name": "Phone", "delivery_kind": "physical"},
        {"code": "CASE", "name": "Case", "delivery_kind": "physical", "sku": "CASE-7"},
    ]
    found = read_all(entries).products
    assert [(x.delivery_kind, x.sku) for x in found] == [
        (DeliveryKind.PHYSICAL, "PHONE"),
        (DeliveryKind.PHYSICAL, "CASE-7"),
    ]


def test_two_thousand_products_are_checked_in_a_moment():
    services = 20
    products = [bundle(f"SB{s}", *(f"SB{s}-P{n}" for n in range(99))) for s in range(services)]
    products += [subscription(f"SB{s}-P{n}") for s in range(services) for n in range(99)]
    assert len(products) == 2_000
    began = time.perf_counter()
    assert violations(*products) == []
    assert time.perf_counter() - began < 1.0


def test_a_chain_of_products_however_long_is_no_trouble():
    chain = [unbilled(f"P{n}", f"P{n + 1}") for n in range(5_000)] + [unbilled("P5000")]
    assert violations(*chain) == []
    assert violations(*chain[:-1], unbilled("P5000", "P0")) == [("CYCLE", "B08", "P5000", "components")]


def test_the_first_of_two_products_with_the_same_code_counts():
    twice = Proposal(document=ReadDocument((unbilled("X"), item("X", billing_service_type=ACCOUNT_LEVEL))))
    assert twice.catalog == Catalog(0, {"X": unbilled("X")})


@pytest.mark.req("A03")
def test_a_service_that_would_be_in_no_profile_is_warned_of():
    untracked = unbilled("OFFER", "LINE", track_as_asset=False)
    assert ("UNTRACKED_SERVICE", "A03", "OFFER") in warnings(untracked, bundle("LINE", "RATE"), subscription("RATE"))
    assert ("UNTRACKED_SERVICE", "A03", "LINE") in warnings(
        bundle("LINE", "RATE", track_as_asset=False), subscription("RATE")
    )


def test_work_that_nobody_is_sent_to_do_is_warned_of():
    assert warnings(unbilled("VISIT", requires_truck_roll=True)) == [("WORK_NOT_PLANNED", "F19", "VISIT")]
