"""What runs is what is billed, service by service; every other way is a difference, and each has its class."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing import BilledService, InstanceState
from domain.decomposed import Decomposed
from domain.money import Money
from domain.neighbour import Unacceptable, every
from domain.provisioning import RunningService, ServiceState
from domain.reconciliation import (
    LISTED,
    Beside,
    Comparison,
    DifferenceClass,
    Judged,
    Ordered,
    RecordedService,
    Sides,
    Terms,
    as_ordered,
    beside,
    judge,
    leakage,
    summed_up,
    together,
)
from tests.builders import bundle, catalog, item, line, order, simple_bundle, subscription

NOW = datetime(2026, 5, 31, 12, tzinfo=UTC)
BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)
TERMS = Terms(as_of=NOW, grace=timedelta(minutes=5))
USD = Money(3_000, "USD")


def running(service: str, **changes: object) -> RunningService:
    return replace(RunningService(service=service, account="ACME-SA", billable=True, since=BEGAN), **changes)  # type: ignore[arg-type]


def billed(service: str, **changes: object) -> BilledService:
    billed = BilledService(
        service=service,
        account="ACME-BA",
        service_instance=f"SI-{service}",
        since=BEGAN,
        billing_service_type="/service/ip",
        price=USD,
    )
    return replace(billed, **changes)  # type: ignore[arg-type]


def recorded(service: str, **changes: object) -> RecordedService:
    recorded = RecordedService(
        service=service,
        service_instance=f"SI-{service}",
        product="INTERNET",
        account="ACME",
        service_account="ACME-SA",
        billing_account="ACME-BA",
        quantity=1,
        since=BEGAN,
    )
    return replace(recorded, **changes)  # type: ignore[arg-type]


def ordered(**changes: object) -> Ordered:
    ordered = Ordered(
        order="6f1c", number=1001, account="ACME", product="INTERNET", is_open=False, on_network=True, leaves_asset=True
    )
    return replace(ordered, **changes)  # type: ignore[arg-type]


def classes(judged: Judged) -> list[str]:
    return [x.of_class for x in judged.differences]


def compared(run: Iterable[str], bill: Iterable[str], record: Iterable[str]) -> Comparison:
    found = beside(map(running, run), map(billed, bill), map(recorded, record))
    return summed_up((judge(x, None, TERMS) for x in found), as_of=NOW)


@pytest.mark.req("F06")
def test_equal_numbers_hide_no_differences():
    comparison = compared("123", "124", "1234")
    assert comparison.sides == Sides(active=3, billed=3)
    assert [(x.service, x.of_class) for x in comparison.differences] == [
        ("3", DifferenceClass.ACTIVE_NOT_BILLED),
        ("4", DifferenceClass.BILLED_NOT_ACTIVE),
    ]


@pytest.mark.req("F06")
def test_equal_sets_are_balanced_in_all_and_for_each_account_and_service_type():
    judged = [
        judge(Beside(service=x, running=running(x), billed=billed(x), recorded=recorded(x)), None, TERMS) for x in "123"
    ]
    comparison = summed_up(judged, as_of=NOW)
    assert comparison.totals == {("ACME", "/service/ip"): Sides(active=3, billed=3)}
    assert not comparison.differences
    assert not comparison.leakage


@given(st.frozensets(st.integers(0, 50)), st.frozensets(st.integers(0, 50)))
def test_whatever_runs_and_is_billed_the_differences_are_those_of_the_sets(run: frozenset[int], bill: frozenset[int]):
    comparison = compared(*(sorted(map(str, x)) for x in (run, bill, run | bill)))
    found = {(x.of_class, int(x.service)) for x in comparison.differences if x.of_class != DifferenceClass.ORPHAN_XREF}
    assert found == {(DifferenceClass.ACTIVE_NOT_BILLED, x) for x in run - bill} | {
        (DifferenceClass.BILLED_NOT_ACTIVE, x) for x in bill - run
    }
    assert comparison.sides == Sides(active=len(run), billed=len(bill))


@pytest.mark.req("F07")
def test_what_runs_unbilled_costs_its_price_for_as_long_as_it_has_run():
    (found,) = judge(
        Beside(service="1", running=running("1"), recorded=recorded("1")), ordered(price=USD), TERMS
    ).differences
    assert found.of_class is DifferenceClass.ACTIVE_NOT_BILLED
    assert found.leakage == Money(2_959, "USD")  # 30 days of 30.00 a month: 30 x 12 x 30 / 365
    assert (found.account, found.product, found.order) == ("ACME", "INTERNET", "6f1c")
    assert (
        found.message == "The network runs it since 2026-05-01 12:00:00Z, billing does not have it; order 1001 is over."
    )


@pytest.mark.req("F07")
@pytest.mark.parametrize("state", [InstanceState.INITIATED, InstanceState.SUSPENDED])
def test_what_runs_and_is_only_initiated_or_suspended_in_billing_is_not_billed(state: InstanceState):
    judged = judge(Beside(service="1", running=running("1"), billed=billed("1", state=state)), None, TERMS)
    assert classes(judged) == ["ACTIVE_NOT_BILLED"]
    assert (judged.active, judged.billed) == (True, False)
    assert judged.differences[0].leakage == Money(2_959, "USD")


@pytest.mark.req("F07")
def test_what_was_resumed_on_the_network_alone_leaks_since_then():
    day, suspended = timedelta(days=1), billed("1", state=InstanceState.SUSPENDED, state_since=NOW - timedelta(days=9))
    since = {"never": None, "before": NOW - 10 * day, "after": NOW - 5 * day}
    leaks = {
        when: judge(Beside(service="1", running=running("1", state_since=at), billed=suspended), None, TERMS)
        .differences[0]
        .leakage
        for when, at in since.items()
    }
    nine_days, five_days = Money(888, "USD"), Money(493, "USD")
    assert leaks == {"never": nine_days, "before": nine_days, "after": five_days}


@pytest.mark.req("F06", "F07")
def test_what_the_network_has_suspended_it_does_not_run():
    def judged(state: InstanceState) -> Judged:
        asleep = [running("1", state=ServiceState.SUSPENDED)]
        (found,) = beside(asleep, [billed("1", state=state)], [recorded("1")])
        return judge(found, ordered(), TERMS)

    assert classes(judged(InstanceState.ACTIVE)) == ["BILLED_NOT_ACTIVE"]
    assert (judged(InstanceState.ACTIVE).active, judged(InstanceState.ACTIVE).billed) == (False, True)
    assert judged(InstanceState.SUSPENDED) == Judged(
        account="ACME", billing_service_type="/service/ip", active=False, billed=False
    )


@pytest.mark.req("F07")
def test_what_is_billed_and_does_not_run_is_a_difference():
    judged = judge(Beside(service="1", billed=billed("1"), recorded=recorded("1")), ordered(), TERMS)
    assert classes(judged) == ["BILLED_NOT_ACTIVE"]
    assert judged.differences[0].leakage is None


@pytest.mark.req("F06")
def test_a_service_that_is_suspended_on_both_sides_counts_on_neither():
    found = Beside(service="1", billed=billed("1", state=InstanceState.SUSPENDED), recorded=recorded("1"))
    assert found.agrees
    assert judge(found, None, TERMS) == Judged(
        account="ACME", billing_service_type="/service/ip", active=False, billed=False
    )


@pytest.mark.req("F06", "B04", "B19")
def test_what_is_not_billable_or_stands_on_an_account_alone_is_no_service_here():
    assert not list(beside([running("1", billable=False)], [billed("2", service_instance=None)], []))


def test_a_service_that_the_network_has_no_part_in_is_not_counted_and_only_held_against_our_record():
    off = ordered(on_network=False)
    found = Beside(service="1", billed=billed("1"), recorded=recorded("1"))
    assert judge(found, off, TERMS) == Judged(
        account="ACME", billing_service_type="/service/ip", active=False, billed=False
    )
    wrong = replace(found, recorded=recorded("1", quantity=5))
    assert classes(judge(wrong, off, TERMS)) == ["QTY_MISMATCH"]
    assert classes(judge(replace(found, recorded=None), off, TERMS)) == ["ORPHAN_XREF"]


def test_what_is_initiated_waits_for_its_order_and_is_stale_when_that_is_over():
    found = Beside(service="1", billed=billed("1", state=InstanceState.INITIATED))
    assert classes(judge(found, ordered(is_open=True), TERMS)) == []
    assert classes(judge(found, ordered(), TERMS)) == ["STALE_INITIATED"]
    assert classes(judge(found, None, TERMS)) == ["STALE_INITIATED"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (recorded("1", service_instance="SI-other"), billed("1")),
        (None, billed("1")),
        (recorded("1", service_instance="SI-other"), billed("1", state=InstanceState.SUSPENDED)),
        (recorded("1"), None),
    ],
    ids=["another", "none of ours", "of a suspended service", "none of theirs"],
)
def test_a_cross_reference_and_its_billing_object_must_both_be_there(
    ours: RecordedService | None, theirs: BilledService | None
):
    runs = running("1") if theirs and theirs.state is InstanceState.ACTIVE else None
    found = Beside(service="1", running=runs, billed=theirs, recorded=ours)
    assert classes(judge(found, ordered(), TERMS)) == ["ORPHAN_XREF"]


def test_a_service_that_leaves_no_asset_needs_no_cross_reference_and_an_open_order_has_yet_to_write_it():
    found = Beside(service="1", running=running("1"), billed=billed("1"))
    for why in (ordered(leaves_asset=False), ordered(is_open=True)):
        assert judge(found, why, TERMS) == Judged(
            account="ACME", billing_service_type="/service/ip", active=True, billed=True
        )


def test_an_instance_that_billing_has_twice_is_an_orphan_once():
    found = list(beside([running("1")], [billed("1"), billed("1", service_instance="SI-again")], [recorded("1")]))
    assert [classes(judge(x, ordered(), TERMS)) for x in found] == [[], ["ORPHAN_XREF"]]


MISMATCHES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "DATE_MISMATCH": ({"since": BEGAN + timedelta(days=1)}, {}),
    "QTY_MISMATCH": ({}, {"quantity": 5}),
    "ACCOUNT_MISMATCH": ({"account": "OTHER-BA"}, {}),
}


@pytest.mark.req("F06")
@pytest.mark.parametrize("of_class", MISMATCHES)
def test_what_is_billed_otherwise_than_recorded_is_a_difference_and_another_value_is_another_one(of_class: str):
    theirs, ours = MISMATCHES[of_class]
    found = Beside(service="1", running=running("1"), billed=billed("1", **theirs), recorded=recorded("1", **ours))
    judged = judge(found, ordered(), TERMS)
    assert classes(judged) == [of_class]
    assert (judged.active, judged.billed) == (True, True)
    assert judged.differences[0].value
    assert judged.differences[0].value in judged.differences[0].message


def test_a_service_that_runs_for_another_account_than_recorded_is_a_difference():
    found = Beside(service="1", running=running("1", account="X"), billed=billed("1"), recorded=recorded("1"))
    assert classes(judge(found, ordered(), TERMS)) == ["ACCOUNT_MISMATCH"]


def test_a_service_can_mismatch_in_several_ways_at_once():
    ours = recorded("1", quantity=2, billing_account="B", since=BEGAN - timedelta(hours=1))
    found = Beside(service="1", running=running("1"), billed=billed("1"), recorded=ours)
    assert classes(judge(found, ordered(), TERMS)) == ["DATE_MISMATCH", "QTY_MISMATCH", "ACCOUNT_MISMATCH"]


def test_without_a_record_the_date_is_held_against_the_networks():
    found = Beside(service="1", running=running("1"), billed=billed("1", since=BEGAN - timedelta(days=1)))
    assert classes(judge(found, ordered(leaves_asset=False), TERMS)) == ["DATE_MISMATCH"]


def test_dates_that_are_seconds_apart_are_the_same():
    found = Beside(
        service="1", running=running("1"), billed=billed("1", since=BEGAN.replace(second=59)), recorded=recorded("1")
    )
    assert found.agrees


DIFFERENT = (
    Beside(service="1", running=running("1")),
    Beside(service="1", billed=billed("1")),
    Beside(service="1", billed=billed("1", state=InstanceState.INITIATED)),
    Beside(service="1", recorded=recorded("1")),
    Beside(service="1", running=running("1"), billed=billed("1"), recorded=recorded("1", quantity=5)),
)


@pytest.mark.parametrize("found", DIFFERENT)
def test_what_an_order_did_a_moment_ago_is_no_difference_yet(found: Beside):
    just, before = (ordered(changed_at=NOW - timedelta(minutes=x)) for x in (4, 6))
    assert len(judge(found, before, TERMS).differences) == 1
    young = judge(found, just, TERMS)
    assert not young.differences
    assert young.active == young.billed


def test_what_the_network_has_just_begun_for_an_open_order_is_no_difference_yet_and_for_no_order_it_is():
    found = Beside(service="1", running=running("1", since=NOW - timedelta(seconds=1)))
    assert not judge(found, ordered(is_open=True), TERMS).differences
    assert classes(judge(found, ordered(), TERMS)) == ["ACTIVE_NOT_BILLED"]
    assert classes(judge(found, None, TERMS)) == ["ACTIVE_NOT_BILLED"]


@given(st.integers(0, 10**9), st.integers(0, 10**8))
def test_leakage_is_exact_to_half_a_cent(minor: int, seconds: int):
    found = leakage(Money(minor, "USD"), since=NOW, until=NOW + timedelta(seconds=seconds))
    assert found is not None
    assert abs(Fraction(minor * 12 * seconds, 365 * 86_400) - found.minor) <= Fraction(1, 2)


def test_a_year_unbilled_is_twelve_months_and_the_future_costs_nothing():
    assert leakage(USD, since=NOW, until=NOW + timedelta(days=365)) == Money(36_000, "USD")
    assert leakage(USD, since=NOW, until=BEGAN) == Money(0, "USD")
    assert leakage(None, since=BEGAN, until=NOW) is None


def test_a_services_monthly_price_is_that_of_its_own_subscriptions():
    sold = catalog(
        bundle("WIRELESS", "RATE", "FEE", "SMS"),
        subscription("RATE", price=Money(2_500, "USD")),
        item("FEE", price=Money(999, "USD")),
        bundle("SMS", "BASIC"),
        subscription("BASIC", price=Money(300, "USD")),
        simple_bundle("INTERNET", price=Money(1_000, "USD")),
    )
    decomposed = Decomposed(
        order(line("WIRELESS", line("RATE"), line("FEE"), line("SMS", line("BASIC"))), line("INTERNET", quantity=3)),
        sold,
    )
    prices = [together(as_ordered(decomposed, x).values()) for x in decomposed.services]
    assert prices == [Money(2_500, "USD"), Money(300, "USD"), Money(3_000, "USD")]


def test_leakage_adds_up_for_each_currency():
    judged = (
        judge(Beside(service=str(n), running=running(str(n))), ordered(price=Money(36_500, x)), TERMS)
        for n, x in enumerate(["USD", "EUR", "USD"])
    )
    assert summed_up(judged, as_of=NOW).leakage == (Money(36_000, "EUR"), Money(72_000, "USD"))


def test_beyond_a_thousand_differences_are_only_counted():
    judged = (judge(Beside(service=str(n), running=running(str(n))), None, TERMS) for n in range(LISTED + 7))
    comparison = summed_up(judged, as_of=NOW)
    assert len(comparison.differences) == LISTED
    assert comparison.by_class == {DifferenceClass.ACTIVE_NOT_BILLED: LISTED + 7}
    assert not comparison.is_complete


@given(st.lists(st.text("abc", min_size=1), unique=True), st.integers(1, 4))
def test_a_list_is_read_page_by_page_to_its_end(names: list[str], size: int):
    listed = [running(x) for x in sorted(names)]
    assert list(every(lambda after: [x for x in listed if x.service > after][:size])) == listed


def test_a_list_out_of_order_is_not_believed():
    pages = {"": [running("2"), running("1")]}
    with pytest.raises(Unacceptable, match="not in order"):
        list(every(lambda after: pages.get(after, [])))
