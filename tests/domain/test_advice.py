"""Advice on an order: what may be submitted, and is probably not meant."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from domain.advice import check
from domain.catalog import Catalog, Component
from domain.order import Action, Order
from tests.builders import (
    WIRELESS,
    WIRELESS_ORDER,
    bundle,
    catalog,
    changed,
    discount,
    line,
    order,
    simple_bundle,
    subscription,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
USUALLY = catalog(
    bundle(
        "PHONE",
        Component(product="SMALL", default=1, group="Plans"),
        Component(product="LARGE", group="Plans"),
        Component(product="MAILBOX", default=1),
        Component(product="DISCOUNT", min=1, default=2, max=3),
    ),
    subscription("SMALL"),
    subscription("LARGE"),
    subscription("MAILBOX"),
    discount("DISCOUNT"),
    simple_bundle("INTERNET", Component(product="USAGE", default=1)),
)


def advice(
    of: Order, *, products: Catalog = USUALLY, earlier: Order | None = None
) -> list[tuple[str, str | None, str | None]]:
    return [(x.code, x.line, x.field) for x in check(of, products, now=NOW, earlier=earlier)]


def phone(*components: str) -> Order:
    return order(line("PHONE", *map(line, components)))


@pytest.mark.req("B01")
def test_what_is_usually_ordered_with_a_product_is_missed():
    assert advice(phone("SMALL", "MAILBOX", "DISCOUNT", "DISCOUNT")) == []
    assert advice(phone("SMALL", "DISCOUNT", "DISCOUNT")) == [("DEFAULT_LEFT_OUT", "1", "lines")]
    assert advice(phone("SMALL", "MAILBOX", "DISCOUNT")) == [("DEFAULT_LEFT_OUT", "1", "lines")]


@pytest.mark.req("B01", "B15")
def test_another_choice_of_the_same_group_is_a_choice():
    assert advice(phone("LARGE", "MAILBOX", "DISCOUNT", "DISCOUNT")) == []
    assert advice(phone("MAILBOX", "DISCOUNT", "DISCOUNT")) == [("DEFAULT_LEFT_OUT", "1", "lines")]


def test_fewer_than_must_be_are_a_broken_rule_and_no_advice():
    assert advice(phone("SMALL", "MAILBOX")) == []


def test_the_events_of_a_simple_service_bundle_and_the_components_of_what_exists_are_not_missed():
    assert advice(order(line("INTERNET"))) == []
    assert advice(order(line("PHONE", action=Action.NONE))) == []


@pytest.mark.req("C15")
@pytest.mark.parametrize(
    ("dates", "codes"),
    [
        ({"requested_start": NOW - HOUR}, ["START_PAST"]),
        ({"requested_start": NOW + HOUR}, []),
        ({"requested_completion": NOW}, ["COMPLETION_PAST"]),
        ({"requested_completion": NOW + HOUR}, []),
        ({"requested_start": NOW + 2 * HOUR, "requested_completion": NOW + HOUR}, ["COMPLETION_PAST"]),
        ({"requested_start": NOW - 2 * HOUR, "requested_completion": NOW - HOUR}, ["START_PAST", "COMPLETION_PAST"]),
    ],
)
def test_nothing_begins_or_ends_in_the_past(dates: dict[str, datetime], codes: list[str]):
    assert [x.code for x in check(replace(order(line("INTERNET")), **dates), USUALLY, now=NOW)] == codes  # type: ignore[arg-type]


@pytest.mark.req("C15")
def test_the_start_of_a_new_line_starts_nothing():
    dated = changed(order(line("INTERNET")), "1", service_start=date(2026, 4, 1), service_end=date(2027, 4, 1))
    assert advice(dated) == [("DATE_NOT_USED", "1", "service_start")]


@pytest.mark.req("C23")
def test_the_start_that_an_update_names_moves_no_bill():
    day = date(2026, 4, 1)
    update = order(line("INTERNET", action=Action.UPDATE, asset="a", changes=("service_start",), service_start=day))
    assert ("DATE_NOT_USED", "1", "service_start") in advice(update)
    assert advice(changed(update, "1", changes=("service_end",))) == []


@pytest.mark.req("W7")
def test_an_external_id_that_is_taken_is_told_before_it_is_submitted():
    mine = replace(order(line("INTERNET")), external_id="crm-1")
    assert advice(mine, earlier=mine) == [("EXTERNAL_ID", None, "external_id")]
    said = [next(check(mine, USUALLY, now=NOW, earlier=x)).message for x in (mine, replace(mine, priority=0))]
    assert "answered with that one" in said[0]
    assert "refused" in said[1]


def test_an_order_that_is_as_usual_needs_no_advice():
    assert advice(WIRELESS_ORDER, products=WIRELESS) == []
