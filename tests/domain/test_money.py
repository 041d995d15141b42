"""Money is whole minor units of one currency."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money, decimals

amounts = st.builds(Money, st.integers(-(10**15), 10**15), st.sampled_from(["USD", "EUR", "JPY", "KWD"]))


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("19.99", "USD", 1999), ("19.9", "USD", 1990), ("-0.01", "EUR", -1), ("500", "JPY", 500), ("1.234", "KWD", 1234)],
)
def test_an_amount_is_read_in_its_currency(text: str, currency: str, minor: int):
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text", ["19.999", "NaN", "Infinity", "1e400", "1e999999999", "99999999999999999999", "", "abc", "1,50"]
)
def test_what_is_no_amount_of_the_currency_is_refused(text: str):
    with pytest.raises(ValueError, match="not an amount in USD"):
        Money.parse(text, "USD")


@given(amounts)
def test_an_amount_reads_back_as_it_was_written(money: Money):
    assert Money.parse(str(money), money.currency) == money
    assert "E" not in str(money)


@given(amounts, st.integers(0, 1000))
def test_a_quantity_costs_exactly_as_much_as_its_units(money: Money, quantity: int):
    assert money.times(quantity).minor == sum([money.minor] * quantity)


@pytest.mark.parametrize(("minor", "half"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (4, 2)])
def test_halves_are_rounded_to_even(minor: int, half: int):
    assert Money(minor, "USD").share(1, 2) == Money(half, "USD")


@given(amounts, st.integers(0, 400), st.integers(1, 400))
def test_a_share_is_at_most_half_a_unit_off(money: Money, numerator: int, denominator: int):
    exact = Decimal(money.minor) * numerator / denominator
    assert abs(money.share(numerator, denominator).minor - exact) <= Decimal("0.5")


@given(amounts, st.integers(1, 400))
def test_the_whole_is_the_whole(money: Money, parts: int):
    assert money.share(parts, parts) == money


def test_a_currency_has_its_own_decimals():
    assert [decimals(x) for x in ("USD", "JPY", "KWD")] == [2, 0, 3]
