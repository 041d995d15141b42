"""How large an order may be."""

import pytest
from hypothesis import given

from domain.decomposition import decompose
from domain.facts import AccountFact, Facts
from domain.size import MAX_LINES, MAX_STEPS, STEPS_PER_LINE, too_many_lines, too_many_steps
from tests.builders import catalog, facts, line, order, simple_bundle, unbilled
from tests.domain.strategies import Sold, sold

SOLD = catalog(simple_bundle("INTERNET", pool="LINES"), unbilled("GIFT"))
STEPS_OF_INTERNET = 6
NEW_ACCOUNT = Facts(accounts={"ACME-BA": AccountFact(synced=False)})


@given(sold())
def test_no_plan_has_more_steps_than_are_reckoned_for_each_line(given_: Sold):
    plan = decompose(given_.order, given_.catalog, unsynced_accounts=frozenset({"ACME-BA"}))
    assert len(plan.items) <= len(given_.order.lines) * STEPS_PER_LINE


@pytest.mark.req("W1")
def test_an_order_may_take_a_thousand_steps_and_no_more():
    fits = order(*[line("INTERNET")] * (MAX_STEPS // STEPS_OF_INTERNET))
    one_more = order(*[line("INTERNET")] * (MAX_STEPS // STEPS_OF_INTERNET + 1))
    assert too_many_steps(fits, SOLD, facts()) == ()
    (violation,) = too_many_steps(one_more, SOLD, facts())
    assert (violation.code, violation.rule, violation.field) == ("SIZE", "W1", "lines")
    assert violation.message == "It takes 1,002 steps, and one order can have 1,000: send it as several orders."


@pytest.mark.req("W1")
def test_telling_billing_of_a_new_account_is_a_step_like_any_other():
    gifts = order(*[line("GIFT")] * (MAX_STEPS - STEPS_OF_INTERNET), line("INTERNET"))
    assert too_many_steps(gifts, SOLD, facts()) == ()
    assert too_many_steps(gifts, SOLD, NEW_ACCOUNT)


def test_an_order_may_have_two_thousand_lines_and_no_more():
    assert too_many_lines(order(*[line("GIFT")] * MAX_LINES)) == ()
    assert [x.code for x in too_many_lines(order(*[line("GIFT")] * (MAX_LINES + 1)))] == ["SIZE"]
