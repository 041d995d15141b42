"""What may be decided when a step needs a person."""

import pytest

from domain.fallout import (
    ACTIVE_NOT_BILLED,
    BILLED_NOT_ACTIVE,
    DUE,
    TYPE,
    Decision,
    FalloutType,
    correction,
    decisions,
    priority,
)
from domain.in_flight import Correction, corrected
from domain.plan import NO_RETURN, Function, System, Undo
from tests.builders import line, order


@pytest.mark.req("F07")
@pytest.mark.parametrize(
    ("found", "urgency"),
    [
        (priority(FalloutType.RECONCILIATION, code=ACTIVE_NOT_BILLED), 1),
        (priority(FalloutType.BILLING, code="Unavailable", function=Function.FULFILL_BILLING), 1),
        (priority(FalloutType.BILLING, code="Unavailable", function=Function.RESUME_BILLING), 1),
        (priority(FalloutType.PROVISIONING, code="Unavailable", function=Undo.DEACTIVATE), 1),
        (priority(FalloutType.BILLING, code="Unavailable", function=Function.SUSPEND_BILLING), 2),
        (priority(FalloutType.BILLING, code="Unavailable", function=Function.CLOSE_BILLING), 2),
        (priority(FalloutType.RECONCILIATION, code=BILLED_NOT_ACTIVE), 2),
        (priority(FalloutType.SYSTEM, code="RUN_GONE"), 2),
        (priority(FalloutType.PROVISIONING, code="NO_PORT", function=Function.PROVISION), 3),
        (priority(FalloutType.BILLING, code="CREDIT", function=Function.INITIATE_BILLING), 3),
        (priority(FalloutType.INVENTORY_ALLOCATION, code="NO_STOCK", function=Function.COMMIT), 4),
        (priority(FalloutType.INVENTORY_ALLOCATION, code="NOT_HELD", function=Function.RETIRE), 4),
    ],
)
def test_what_costs_money_unseen_comes_before_what_a_customer_waits_for(found: int, urgency: int) -> None:
    assert found == urgency


def test_an_urgent_order_makes_its_fallouts_more_urgent_by_one() -> None:
    def of(order_priority: int, function: Function = Function.PROVISION) -> int:
        return priority(FalloutType.PROVISIONING, code="X", function=function, order_priority=order_priority)

    assert [of(x) for x in range(5)] == [2, 2, 3, 3, 3]
    assert of(0, Function.FULFILL_BILLING) == 1


def test_what_is_more_urgent_is_due_earlier() -> None:
    assert sorted(DUE, key=DUE.__getitem__) == [1, 2, 3, 4, 5]


def test_every_system_has_a_fallout_type() -> None:
    assert set(TYPE) == set(System)


@pytest.mark.parametrize("function", Function)
def test_every_step_can_be_retried(function: Function) -> None:
    assert decisions(function, [])[0] is Decision.RETRY


@pytest.mark.req("F05")
@pytest.mark.parametrize("function", [x for x in Function if x.system is System.BILLING])
def test_billing_is_never_skipped(function: Function) -> None:
    assert Decision.SKIP not in decisions(function, [])


def test_a_bundle_can_be_given_up_when_provisioning_refuses_and_all_before_it_can_be_undone() -> None:
    done = [Function.RESERVE, Function.INITIATE_BILLING]
    assert Decision.ABORT in decisions(Function.PROVISION, done)


def test_a_bundle_is_not_given_up_because_billing_refuses_after_activation() -> None:
    done = [Function.RESERVE, Function.INITIATE_BILLING, Function.PROVISION]
    assert Decision.ABORT not in decisions(Function.FULFILL_BILLING, done)


@pytest.mark.parametrize("final", sorted(NO_RETURN - {Function.PROVISION}))
def test_a_bundle_is_not_given_up_after_an_effect_that_cannot_be_undone(final: Function) -> None:
    assert Decision.ABORT not in decisions(Function.PROVISION, [final])


def test_a_correction_changes_what_the_network_is_asked_for() -> None:
    before = order(line("WIRELESS", attributes={"apn": "internet", "speed": 10}))
    given = correction({"service_id": "+1-555-0199", "attributes": {"speed": 20}}, line="1")
    (after,) = corrected(before, (given,)).lines
    assert after.service_id == "+1-555-0199"
    assert after.attributes == {"apn": "internet", "speed": 20}


def test_the_last_correction_of_a_field_counts() -> None:
    before = order(line("WIRELESS"))
    first, last = (Correction(line="1", fields={"location": x}) for x in ("EAST", "WEST"))
    assert corrected(before, (first, last)).lines[0].location == "WEST"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"price": "1"}, "input: only attributes, location"),
        ({"service_id": 5}, "input.service_id: a text"),
        ({}, "input"),
        ({"line": "1"}, "input"),
    ],
)
def test_money_and_nonsense_cannot_be_corrected(given: dict[str, str | int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        correction(given, line="1")


@pytest.mark.parametrize("function", [Function.DELIVER, Function.FULFILL_BILLING, Function.PURCHASE])
def test_a_bundle_is_not_given_up_while_something_irreversible_may_have_happened(function: Function) -> None:
    assert Decision.ABORT not in decisions(function, [], in_doubt=True)
    assert Decision.ABORT in decisions(function, [], in_doubt=False)


def test_a_bundle_can_be_given_up_while_something_that_can_be_undone_may_have_happened() -> None:
    assert Decision.ABORT in decisions(Function.INITIATE_BILLING, [], in_doubt=True)
