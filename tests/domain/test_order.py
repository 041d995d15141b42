"""Orders, their lines, and the states of both."""

import itertools
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.asset import ALLOWED_ON, IN_PROFILE, AssetStatus
from domain.order import (
    ACCOUNT_FIELDS,
    FINAL,
    NEXT,
    Action,
    Order,
    OrderLine,
    State,
    asset_id,
    derived_rollup,
    key,
    roll_up,
    with_defaults,
)
from tests.builders import WIRELESS_ORDER, accounts_of, line, order
from tests.domain.strategies import Sold, sold

ORDER_ID = "5f0c7f3e-96f5-4f43-9d0b-2a9f8b1f6c11"


@pytest.mark.req("B23")
def test_blank_accounts_are_those_of_the_root_line():
    given_accounts = {"billing_account": "B", "service_account": "S", "billing_profile": "P"}
    filled = order(line("WIRELESS", line("TEXTING", line("TEXT-BASIC")), **given_accounts))
    assert all(accounts_of(x) == given_accounts for x in filled.lines)


@pytest.mark.req("B23")
def test_what_the_root_line_leaves_blank_is_as_the_order_says():
    filled = order(line("WIRELESS", line("PLAN"), billing_account="B"), billing_account="H", billing_profile="P")
    assert {x.billing_account for x in filled.lines} == {"B"}
    assert {x.billing_profile for x in filled.lines} == {"P"}


@pytest.mark.req("B23")
def test_an_account_that_a_line_names_is_kept():
    filled = order(line("WIRELESS", line("PLAN", billing_account="OTHER-BA")))
    assert filled.by_id["1.1"].billing_account == "OTHER-BA"


@given(sold())
def test_filling_the_blanks_twice_is_filling_them_once(example: Sold):
    assert with_defaults(example.order) == example.order
    assert all(all(accounts_of(x).values()) for x in example.order.lines)


def test_the_accounts_of_a_line_are_three():
    assert set(accounts_of(WIRELESS_ORDER.lines[0])) == set(ACCOUNT_FIELDS)


def test_lines_below_come_parents_first_and_lines_above_nearest_first():
    root, deepest = WIRELESS_ORDER.by_id["1"], WIRELESS_ORDER.by_id["1.1.1"]
    assert [x.id for x in WIRELESS_ORDER.descendants(root)] == ["1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.4"]
    assert [x.id for x in WIRELESS_ORDER.ancestors(deepest)] == ["1.1", "1"]
    assert [x.id for x in WIRELESS_ORDER.roots] == ["1"]


@given(sold())
def test_the_lines_of_a_root_come_in_the_order_of_the_document(example: Sold):
    for root in example.order.roots:
        assert [root, *example.order.descendants(root)] == [x for x in example.order.lines if x.root == root.id]


def test_a_line_may_stand_very_deep():
    lines = tuple(OrderLine(id=str(n), root="0", parent=str(n - 1) if n else None, product="P") for n in range(5_000))
    deep = Order(account="ACME", lines=lines)
    assert sum(1 for _ in deep.descendants(lines[0])) == 4_999


def test_a_new_product_has_an_asset_id_that_follows_from_order_and_line_alone():
    first, second = WIRELESS_ORDER.lines[:2]
    assert asset_id(ORDER_ID, first) == asset_id(ORDER_ID, replace(first, quantity=7, attributes={"a": 1}))
    assert asset_id(ORDER_ID, first) == "dda503c9-6f35-56cc-b3cc-47933691fbaf"  # assets of old orders keep their ids
    assert asset_id(ORDER_ID, first) != asset_id(ORDER_ID, second)
    assert asset_id(ORDER_ID, first) != asset_id(str(uuid4()), first)
    assert UUID(asset_id(ORDER_ID, first)).version == 5


def test_a_change_is_about_the_asset_it_names():
    assert asset_id(ORDER_ID, replace(WIRELESS_ORDER.lines[0], asset="a")) == "a"


def test_an_effect_has_one_key_until_it_is_deliberately_done_anew():
    assert key(ORDER_ID, "1.2", "provision", 0) == f"{ORDER_ID}:1.2:provision:0"
    effects = itertools.product((ORDER_ID, str(uuid4())), ("1", "1.2"), ("reserve", "asset"), (0, 1))
    assert len({key(*effect) for effect in effects}) == 16


def test_every_state_says_what_may_follow_it_and_an_end_is_an_end():
    assert set(NEXT) == set(State)
    assert {state for state, following in NEXT.items() if not following} == FINAL


def test_every_state_can_be_reached_from_a_submitted_order_and_leads_to_an_end():
    assert _reached({State.ACKNOWLEDGED}) == set(State) - {State.DRAFT}
    assert all(_reached({state}) & FINAL for state in State)


def _reached(states: set[State]) -> set[State]:
    wider = states.union(*(NEXT[x] for x in states))
    return states if wider == states else _reached(wider)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({State.COMPLETED}, State.COMPLETED),
        ({State.COMPLETED, State.CANCELLED}, State.COMPLETED),
        ({State.CANCELLED}, State.CANCELLED),
        ({State.FAILED}, State.FAILED),
        ({State.FAILED, State.CANCELLED}, State.FAILED),
        ({State.COMPLETED, State.FAILED}, State.PARTIAL),
        ({State.COMPLETED, State.FAILED, State.CANCELLED}, State.PARTIAL),
    ],
)
def test_an_order_ends_as_its_lines_did(states: set[State], expected: State):
    assert roll_up(frozenset(states)) is expected


@given(st.sets(st.sampled_from(sorted(FINAL - {State.REJECTED, State.PARTIAL})), min_size=1))
def test_every_end_of_all_lines_is_an_end_of_the_order(states: set[State]):
    assert roll_up(frozenset(states)) in FINAL


@pytest.mark.req("B28")
@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({State.COMPLETED}, "completed"),
        ({State.COMPLETED, State.FAILED}, "attention"),
        ({State.IN_PROGRESS, State.HELD}, "attention"),
        ({State.IN_PROGRESS, State.COMPLETED}, "inProgress"),
        ({State.PENDING}, "inProgress"),
    ],
)
def test_what_the_parts_say_of_the_whole_is_shown_beside_its_state(states: set[State], expected: str):
    assert derived_rollup(frozenset(states)) == expected


@pytest.mark.req("A01", "A19", "A20")
def test_every_action_says_which_assets_it_is_for():
    assert set(ALLOWED_ON) == set(Action)
    assert ALLOWED_ON[Action.ADD] == frozenset()
    assert ALLOWED_ON[Action.NONE] == set(AssetStatus)
    assert {AssetStatus.ACTIVE, AssetStatus.SUSPENDED} == IN_PROFILE
