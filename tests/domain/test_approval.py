"""Which orders somebody has to approve, and why."""

import pytest

from domain.approval import needed
from domain.catalog import Catalog
from domain.money import Money
from domain.validation import validate
from tests.builders import bundle, catalog, discount, facts, item, line, order, subscription


def usd(amount: str) -> Money:
    return Money.parse(amount, "USD")


CATALOG = catalog(
    bundle("WIRELESS", "PLAN", "FEE", "VIP", "ODD", "HALF-OFF"),
    subscription("PLAN", price=usd("30.00"), approval_above_percent=20),
    item("FEE", price=usd("10.00")),
    subscription("VIP", needs_approval=True),
    item("ODD", approval_above_percent=0),
    discount("HALF-OFF", price=usd("-5.00"), approval_above_percent=10),
)


def asked(product: str, price: Money | None = None, within: Catalog = CATALOG) -> list[tuple[str, str | None]]:
    return [(x.code, x.line) for x in needed(order(line("WIRELESS", line(product, price=price))), within)]


@pytest.mark.req("F31")
@pytest.mark.parametrize(
    ("product", "price", "needs"),
    [
        ("PLAN", None, None),
        ("PLAN", "30.00", None),
        ("PLAN", "24.00", None),
        ("PLAN", "23.99", "APPROVAL_PRICE"),
        ("PLAN", "36.00", None),
        ("PLAN", "36.01", "APPROVAL_PRICE"),
        ("FEE", "0.00", None),
        ("VIP", None, "APPROVAL_PRODUCT"),
        ("ODD", None, None),
        ("ODD", "0.01", "APPROVAL_PRICE"),
        ("HALF-OFF", "-5.50", None),
        ("HALF-OFF", "-5.51", "APPROVAL_PRICE"),
    ],
)
def test_a_price_that_is_too_far_off_and_certain_products_are_approved(
    product: str, price: str | None, needs: str | None
) -> None:
    assert asked(product, usd(price) if price else None) == ([(needs, "1.1")] if needs else [])


@pytest.mark.req("F31")
def test_the_reason_names_line_product_price_and_how_far_it_is_off() -> None:
    (why,) = needed(order(line("WIRELESS", line("PLAN", price=usd("15.00")))), CATALOG)
    assert (why.line, why.rule) == ("1.1", "F31")
    assert why.message == "PLAN for 15.00 USD: 50 % below the catalog's 30.00, 20 % are free."


def test_a_catalog_without_such_rules_asks_for_no_approval() -> None:
    free = catalog(bundle("WIRELESS", "FEE"), item("FEE", price=usd("10.00")))
    assert not free.asks_approval
    assert asked("FEE", usd("1.00"), free) == []


@pytest.mark.req("F31")
@pytest.mark.parametrize(
    ("product", "price", "broken"),
    [
        ("PLAN", Money(100, "EUR"), True),
        ("PLAN", Money(-1, "USD"), True),
        ("PLAN", Money(0, "USD"), False),
        ("HALF-OFF", Money(-500, "USD"), False),
        ("ODD", Money(100, "EUR"), False),
    ],
)
def test_a_lines_own_price_is_in_the_products_currency_and_not_below_zero(
    product: str, price: Money, *, broken: bool
) -> None:
    found = validate(order(line("WIRELESS", line(product, price=price))), CATALOG, facts())
    assert [(x.code, x.line, x.field) for x in found if x.code == "PRICE"] == [("PRICE", "1.1", "price")] * broken
