"""7,043 customers of a telephone company: what each of them has is an acceptable order, and each mistake is noticed."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from api.schemas.orders import OrderIn
from bench import telco_mistakes, telco_rows
from bench.telco_rows import Customer, Row
from domain.catalog import BillingType, Catalog, Kind
from domain.catalog_document import read_all
from domain.decomposed import Decomposed
from domain.decomposition import decompose
from domain.facts import AccountFact, Facts
from domain.order import Order, with_defaults
from domain.plan import Function
from domain.publishing import Proposal, check, with_synchronization
from domain.validation import validate

pytestmark = pytest.mark.skipif(
    not telco_rows.data_file().exists(),
    reason=f"{telco_rows.FILE} is not there; ORDERLOOM_DATA names the folder that holds it",
)

CUSTOMER, STRANGER = Customer(1), Customer(2)
FACTS = Facts(
    accounts=dict.fromkeys((CUSTOMER.id, CUSTOMER.billing_account, CUSTOMER.second_account), AccountFact()),
    profiles={
        CUSTOMER.billing_profile: CUSTOMER.billing_account,
        CUSTOMER.second_profile: CUSTOMER.second_account,
    },
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return telco_rows.read_rows()


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    document = read_all(telco_rows.catalog_document()["products"])
    assert check(Proposal(document=document)).violations == ()
    products = with_synchronization(document.products, None, now=datetime(2026, 1, 1, tzinfo=UTC))
    return Catalog(1, {x.code: x for x in products})


def order(body: Mapping[str, Any]) -> Order:
    return with_defaults(OrderIn.model_validate(body).order())


@pytest.mark.req("B01", "B08", "B22", "B36")
def test_what_every_customer_has_can_be_ordered(rows: list[Row], catalog: Catalog):
    assert len(rows) == 7_043
    for row in rows:
        assert validate(order(telco_rows.order_body(row, CUSTOMER)), catalog, FACTS) == (), row["customerID"]


def test_customers_with_the_same_bundle_send_the_same_order_but_for_its_id(rows: list[Row]):
    """So that what is tried on one of them is tried on all."""
    sent: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        body = telco_rows.order_body(row, CUSTOMER)
        assert body.pop("external_id") == row["customerID"]
        assert sent.setdefault(telco_rows.bundle(row), body) == body


@pytest.mark.req("B01", "B08", "B22", "B23", "B41", "B44", "B47", "A18")
def test_every_order_with_one_mistake_is_refused_for_exactly_that_mistake(rows: list[Row], catalog: Catalog):
    noticed: Counter[str] = Counter()
    for row in telco_rows.distinct(rows, len(rows)):
        body = telco_rows.order_body(row, CUSTOMER)
        for mistake, mistaken in telco_mistakes.mistaken(body, CUSTOMER, STRANGER):
            found = {(x.code, x.rule) for x in validate(order(mistaken), catalog, FACTS)}
            assert found == {(mistake.code, mistake.rule)}, (mistake.name, row["customerID"])
            noticed[mistake.name] += 1
    assert len(noticed) == 20
    assert noticed["nobody pays"] == noticed["none of it"] == 798


@pytest.mark.req("B02", "B48", "B49")
def test_every_bundle_has_one_instance_for_each_service_in_it(rows: list[Row], catalog: Catalog):
    for row in telco_rows.distinct(rows, len(rows)):
        body = telco_rows.order_body(row, CUSTOMER)
        plan = decompose(order(body), catalog)
        streaming = [row["StreamingTV"], row["StreamingMovies"]].count("Yes")
        internet, phone = row["InternetService"] != "No", row["PhoneService"] == "Yes"
        functions = Counter(x.function for x in plan.items)
        assert functions[Function.FULFILL_BILLING] == internet + phone
        assert functions[Function.PURCHASE] == streaming
        assert functions[Function.PROVISION] == internet + phone + streaming


def test_the_bundles_are_as_many_as_the_data_says(rows: list[Row]):
    assert len({telco_rows.bundle(row) for row in rows}) == 798
    assert (
        len(telco_rows.distinct(rows, 300))
        == len({telco_rows.bundle(x) for x in telco_rows.distinct(rows, 300)})
        == 300
    )


def test_the_prices_of_the_catalog_add_up_to_what_the_customers_pay(rows: list[Row], catalog: Catalog):
    """Within five dollars, as far as the company's own charges differ between customers who have the same."""
    for row in telco_rows.distinct(rows, len(rows)):
        read = Decomposed(order(telco_rows.order_body(row, CUSTOMER)), catalog)
        prices = (read.product(x).price for x in read.order.lines)
        assert abs(sum(x.minor for x in prices if x) - 100 * float(row["MonthlyCharges"])) <= 500, row["customerID"]


def test_the_catalog_has_every_kind_of_product_but_goods(catalog: Catalog):
    assert {x.kind for x in catalog} == set(Kind)
    assert {x.billing_type for x in catalog} == {None, *BillingType} - {BillingType.ITEM, BillingType.DISCOUNT}
