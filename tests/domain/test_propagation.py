"""A status goes down from a bundle to its parts, and never up."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decomposed import Decomposed
from domain.order import FINAL, State
from domain.propagation import PropagatedFields, Propagation, propagate
from tests.builders import WIRELESS, WIRELESS_ORDER, Line, bundle, catalog, line, order, simple_bundle, unbilled
from tests.domain.strategies import Sold, sold


def read(*roots: Line) -> Decomposed:
    """Lines of products that are a bundle, customizable or simple as their name says."""
    given_order = order(*roots)
    below = {x.product: tuple({y.product for y in given_order.children(x)}) for x in given_order.lines}
    products = [
        bundle(code, *parts)
        if code.startswith("SB")
        else simple_bundle(code, *parts)
        if code.startswith("SSB")
        else unbilled(code, *parts)
        for code, parts in below.items()
    ]
    return Decomposed(given_order, catalog(*products))


def set_status(decomposed: Decomposed, product: str, state: State, **states: State) -> tuple[set[str], set[str]]:
    """The products whose lines take the state, and those left alone; a product's name stands for its line."""
    lines = {x.product: x for x in decomposed.order.lines}
    before = {x.id: states.get(x.product, State.IN_PROGRESS) for x in decomposed.order.lines}
    found = propagate(decomposed, lines[product], {"state": state}, states=before)
    assert all(values == {"state": state} for values in found.changes.values())
    named = {x.id: x.product for x in decomposed.order.lines}
    return {named[x] for x in found.changes}, {named[x] for x in found.not_changed}


@pytest.mark.req("B27")
def test_a_bundle_gives_its_status_to_all_below_nested_bundles_and_unbilled_products_too():
    tree = read(line("SB1", line("a"), line("CP1", line("b")), line("SB2", line("c"))))
    assert set_status(tree, "SB1", State.COMPLETED) == ({"SB1", "a", "CP1", "b", "SB2", "c"}, set())


@pytest.mark.req("B28", "B27")
def test_a_customizable_product_gives_its_status_to_the_bundle_in_it_and_not_to_its_own_simple_parts():
    tree = read(line("CP", line("a"), line("SB1", line("b"), line("SB2", line("c")))))
    assert set_status(tree, "CP", State.HELD) == ({"CP", "SB1", "b", "SB2", "c"}, set())


@pytest.mark.req("B28")
def test_a_bundle_is_reached_through_customizable_products_which_stay_as_they_are():
    tree = read(line("CP", line("CP2", line("SB1", line("b")))))
    assert set_status(tree, "CP", State.COMPLETED) == ({"CP", "SB1", "b"}, set())


@pytest.mark.req("B28", "B36")
def test_a_simple_service_bundle_in_a_customizable_product_is_reached_like_a_bundle():
    tree = read(line("CP", line("SSB1"), line("a")))
    assert set_status(tree, "CP", State.COMPLETED) == ({"CP", "SSB1"}, set())


@pytest.mark.req("B28")
def test_a_part_never_changes_its_bundle():
    tree = read(line("SB1", line("a"), line("b")))
    assert set_status(tree, "a", State.FAILED) == ({"a"}, set())


@pytest.mark.req("B27")
def test_a_part_that_has_ended_otherwise_is_left_alone_and_reported():
    tree = read(line("SB1", line("a"), line("b")))
    changed, left = set_status(tree, "SB1", State.COMPLETED, a=State.CANCELLED, b=State.COMPLETED)
    assert (changed, left) == ({"SB1", "b"}, {"a"})


@pytest.mark.req("B27")
def test_a_part_that_has_ended_does_not_shield_what_is_below_it():
    tree = read(line("SB1", line("SB2", line("a"))))
    assert set_status(tree, "SB1", State.COMPLETED, SB2=State.FAILED) == ({"SB1", "a"}, {"SB2"})


def test_a_line_that_has_ended_stays_as_it_ended_and_so_does_all_below_it():
    tree = read(line("SB1", line("a")))
    assert set_status(tree, "SB1", State.IN_PROGRESS, SB1=State.COMPLETED) == (set(), {"SB1"})


DELIVERED = {"state": State.COMPLETED, "actual_delivery_at": datetime(2026, 3, 1, tzinfo=UTC)}


def deliver(fields: PropagatedFields) -> Mapping[str, Mapping[str, object]]:
    tree = Decomposed(WIRELESS_ORDER, WIRELESS)
    states = {x.id: State.IN_PROGRESS for x in WIRELESS_ORDER.lines}
    return propagate(tree, WIRELESS_ORDER.by_id["1.2"], DELIVERED, states=states, fields=fields).changes


@pytest.mark.req("B29")
def test_only_the_configured_fields_go_down():
    assert deliver(PropagatedFields()) == {"1.2": DELIVERED, "1.2.1": {"state": State.COMPLETED}}
    both = PropagatedFields(frozenset({"state", "actual_delivery_at"}))
    assert deliver(both) == {"1.2": DELIVERED, "1.2.1": DELIVERED}
    assert deliver(PropagatedFields(frozenset())) == {"1.2": DELIVERED}


@pytest.mark.req("B29")
@pytest.mark.parametrize("name", ["id", "parent", "root", "asset", "product", "service_id", "billing_account", "stat"])
def test_what_tells_lines_apart_cannot_be_configured(name: str):
    with pytest.raises(ValueError, match=name):
        PropagatedFields(frozenset({"state", name}))


STATES: list[State] = [x for x in State if x not in (State.DRAFT, State.PARTIAL)]


@st.composite
def updates(draw: st.DrawFn) -> tuple[Sold, str, State, dict[str, State]]:
    """An order under way, one of its lines and the state that this line is to take."""
    example = draw(sold())
    states = {x.id: draw(st.sampled_from(STATES)) for x in example.order.lines}
    return example, draw(st.sampled_from(sorted(states))), draw(st.sampled_from(STATES)), states


@pytest.mark.req("B27", "B28")
@given(updates())
def test_whatever_the_order_a_status_stays_below_its_line_and_ends_stay_ends(
    update: tuple[Sold, str, State, dict[str, State]],
):
    example, line_id, state, states = update
    tree = Decomposed(example.order, example.catalog)
    found = propagate(tree, example.order.by_id[line_id], {"state": state}, states=states)
    below = {x.id for x in example.order.descendants(example.order.by_id[line_id])}
    touched = {*found.changes, *found.not_changed}
    assert touched <= {line_id, *below}
    assert not {*found.changes} & {*found.not_changed}
    assert all(states[x] in FINAL and states[x] is not state for x in found.not_changed)
    assert all(states[x] not in FINAL or states[x] is state for x in found.changes)
    assert _again(tree, line_id, state, states, found) == found


def _again(tree: Decomposed, line_id: str, state: State, states: dict[str, State], found: Propagation) -> Propagation:
    """Twice is once."""
    after = states | dict.fromkeys(found.changes, state)
    return propagate(tree, tree.order.by_id[line_id], {"state": state}, states=after)


@pytest.mark.req("B27")
@given(sold())
def test_a_finished_bundle_leaves_nothing_open_below_it(example: Sold):
    tree = Decomposed(example.order, example.catalog)
    open_lines = {x.id: State.IN_PROGRESS for x in example.order.lines}
    for service in tree.services:
        found = propagate(tree, service, {"state": State.COMPLETED}, states=open_lines)
        assert set(found.changes) == {service.id, *(x.id for x in example.order.descendants(service))}
