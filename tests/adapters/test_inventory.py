"""Stock that is never oversold, numbers that have one holder at a time."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.inventory.supplies import NumberState, Stock
from domain.asset import Numbers
from domain.inventory import (
    QUARANTINE,
    Delivery,
    Demand,
    Held,
    Reservation,
    ReservationState,
    Retired,
    Retirement,
)
from domain.neighbour import Refused, Unacceptable
from tests.adapters.conftest import Neighbours, at_once

MANY = 60
_RUNS = count(1)


def _stock(neighbours: Neighbours, sku: str) -> Stock:
    return next(x for x in neighbours.own_inventory.supplies.stock() if x.sku == sku)


def _states(neighbours: Neighbours, pool: str) -> Counter[NumberState]:
    return Counter(x.state for x in neighbours.own_inventory.supplies.numbers(pool=pool))


def _code(answer: object) -> str:
    return answer.code if isinstance(answer, Refused) else ""


@pytest.mark.req("F08", "F29")
def test_units_leave_the_shelf_when_they_are_delivered_and_not_when_they_are_reserved(
    neighbours: Neighbours, name: str
):
    supplies, inventory = neighbours.own_inventory.supplies, neighbours.inventory
    supplies.receive(sku=name, quantity=5, reorder_point=4)
    inventory.reserve(key=name, order=name, demands=[Demand(line="1", sku=name, quantity=2)])
    assert (_stock(neighbours, name).on_hand, _stock(neighbours, name).available) == (5, 3)
    assert (name, "MAIN", 3) not in supplies.low_stock()
    proof = inventory.deliver(key=f"{name}-d", reservation=name, line="1")
    assert proof == Delivery(key=f"{name}-d", line="1", at=neighbours.clock())
    assert (_stock(neighbours, name).on_hand, _stock(neighbours, name).available) == (3, 3)
    assert (name, "MAIN", 3) in supplies.low_stock()
    inventory.commit(key=f"{name}-c", reservation=name)
    assert _stock(neighbours, name).on_hand == 3


@pytest.mark.req("F29")
def test_a_commit_takes_what_was_not_delivered_before(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.receive(sku=name, quantity=5)
    demands = [Demand(line="1", sku=name), Demand(line="2", sku=name, quantity=3)]
    neighbours.inventory.reserve(key=name, order=name, demands=demands)
    neighbours.inventory.deliver(key=f"{name}-d", reservation=name, line="1")
    committed = neighbours.inventory.commit(key=f"{name}-c", reservation=name)
    assert isinstance(committed, Reservation)
    assert committed.state is ReservationState.COMMITTED
    assert [held.quantity for held in committed.held] == [1, 3]
    assert (_stock(neighbours, name).on_hand, _stock(neighbours, name).reserved) == (1, 0)


@pytest.mark.req("F29")
def test_stock_runs_low_once_and_again_after_it_was_refilled(neighbours: Neighbours, name: str):
    supplies, inventory = neighbours.own_inventory.supplies, neighbours.inventory
    supplies.receive(sku=name, quantity=3, reorder_point=2)

    def sell(key: str) -> None:
        inventory.reserve(key=key, order=name, demands=[Demand(line="1", sku=name)])
        inventory.commit(key=f"{key}-c", reservation=key)

    for key in ("a", "b"):
        sell(f"{name}-{key}")
    assert [x for x in supplies.low_stock() if x[0] == name] == [(name, "MAIN", 2)]
    supplies.receive(sku=name, quantity=2)
    sell(f"{name}-c")
    assert [x for x in supplies.low_stock() if x[0] == name] == [(name, "MAIN", 2)] * 2


@pytest.mark.req("F11")
def test_all_is_reserved_or_nothing_and_what_is_short_is_named(neighbours: Neighbours, name: str):
    supplies = neighbours.own_inventory.supplies
    supplies.receive(sku=name, quantity=5)
    supplies.receive(sku=f"{name}-scarce", quantity=1)
    supplies.create_range(pool=name, first="1", last="9")
    demands = [
        Demand(line="1", sku=name, quantity=2),
        Demand(line="2", pool=name),
        Demand(line="3", sku=f"{name}-scarce", quantity=2),
    ]
    refused = neighbours.inventory.reserve(key=name, order=name, demands=demands)
    named = f"{name}-scarce at MAIN: 2 wanted, 1 available"
    assert refused == Refused(code="NO_STOCK", message=named, lines=("3",))
    too_many = [Demand(line="1", sku=name, quantity=2), Demand(line="2", pool=name, quantity=10)]
    refused = neighbours.inventory.reserve(key=f"{name}-n", order=name, demands=too_many)
    assert refused == Refused(code="NO_STOCK", message=f"pool {name} has too few free values", lines=("2",))
    nowhere = [Demand(line="1", sku=name, quantity=2), Demand(line="2", sku=name, location="MOON", quantity=1)]
    refused = neighbours.inventory.reserve(key=f"{name}-m", order=name, demands=nowhere)
    assert refused == Refused(code="UNKNOWN_ITEM", message=f"no {name} at MOON", lines=("2",))
    assert (_stock(neighbours, name).reserved, _states(neighbours, name)) == (0, {NumberState.AVAILABLE: 9})


@pytest.mark.req("F11")
def test_two_lines_for_the_same_item_need_both_their_quantities(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.receive(sku=name, quantity=3)
    demands = [Demand(line="1", sku=name, quantity=2), Demand(line="2", sku=name, quantity=2)]
    assert _code(neighbours.inventory.reserve(key=name, order=name, demands=demands)) == "NO_STOCK"
    neighbours.own_inventory.supplies.receive(sku=name, quantity=1)
    neighbours.inventory.reserve(key=f"{name}-2", order=name, demands=demands)
    assert _stock(neighbours, name).available == 0


@pytest.mark.req("F08")
def test_an_item_is_taken_from_the_location_the_line_names(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.receive(sku=name, quantity=1, location="EAST")
    assert _code(neighbours.inventory.reserve(key=name, order=name, demands=[Demand(line="1", sku=name)])) == (
        "UNKNOWN_ITEM"
    )
    east = neighbours.inventory.reserve(
        key=f"{name}-2", order=name, demands=[Demand(line="1", sku=name, location="EAST")]
    )
    assert isinstance(east, Reservation)
    assert east.held == (Held(line="1", quantity=1, sku=name, location="EAST"),)


@pytest.mark.req("F45")
def test_a_handset_is_not_in_the_pool_of_numbers(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.receive(sku=name, quantity=1)
    assert _code(neighbours.inventory.reserve(key=name, order=name, demands=[Demand(line="1", pool=name)])) == (
        "UNKNOWN_ITEM"
    )
    for wrong in (Demand(line="1"), Demand(line="1", sku=name, pool=name), Demand(line="1", sku=name, quantity=0)):
        with pytest.raises(Unacceptable):
            neighbours.inventory.reserve(key=f"{name}-{wrong}", order=name, demands=[wrong])


@pytest.mark.req("F13")
def test_a_number_goes_from_available_to_reserved_to_assigned_to_quarantined_to_available(
    neighbours: Neighbours, name: str
):
    supplies, states = neighbours.own_inventory.supplies, []

    def look() -> None:
        number = supplies.numbers(pool=name)[0]
        assert (number.reservation, number.line) == (
            (name, "2") if number.state in (NumberState.RESERVED, NumberState.ASSIGNED) else (None, None)
        )
        states.append(number.state.value)

    supplies.create(pool=name, values=["+1-555-0100"])
    look()
    neighbours.inventory.reserve(key=name, order=name, demands=[Demand(line="2", pool=name)])
    look()
    neighbours.inventory.commit(key=f"{name}-c", reservation=name)
    look()
    assert supplies.quarantine(pool=name, value="+1-555-0100", until=neighbours.clock() + timedelta(days=90))
    look()
    assert supplies.end_quarantines() == 0
    neighbours.clock.forward(days=90)
    assert supplies.end_quarantines() == 1
    look()
    assert states == ["available", "reserved", "assigned", "quarantined", "available"]


def _taken(neighbours: Neighbours, name: str, *values: str) -> Retirement:
    """What an asset has of a pool for good, to be given back by another order's line."""
    neighbours.own_inventory.supplies.create(pool=name, values=values)
    demand = Demand(line="2", pool=name, quantity=len(values))
    neighbours.inventory.reserve(key=name, order=name, demands=[demand])
    neighbours.inventory.commit(key=f"{name}-c", reservation=name)
    return Retirement(line="7", numbers=Numbers(pool=name, values=values, reservation=name, line="2"))


@pytest.mark.req("F13", "F28")
def test_what_is_given_back_is_nobodys_for_a_while_and_goods_stay_with_the_customer(neighbours: Neighbours, name: str):
    taken, supplies = _taken(neighbours, name, "100", "101"), neighbours.own_inventory.supplies
    shelves = supplies.stock()

    answer = neighbours.inventory.retire(key=f"{name}-r", retirements=[taken])

    until = neighbours.clock() + QUARANTINE
    assert answer == Retired(key=f"{name}-r", numbers=(taken.numbers,), until=until)
    assert _states(neighbours, name) == {NumberState.QUARANTINED: 2}
    assert {(x.reservation, x.line) for x in supplies.numbers(pool=name)} == {(None, None)}
    assert supplies.stock() == shelves


@pytest.mark.req("F13")
@pytest.mark.parametrize("wanted", ["100", None])
def test_what_was_given_back_is_given_out_again_only_when_its_quarantine_is_over(
    neighbours: Neighbours, name: str, wanted: str | None
):
    neighbours.inventory.retire(key=f"{name}-r", retirements=[_taken(neighbours, name, "100")])
    demand = Demand(line="1", pool=name, wanted=wanted)

    def ask(key: str, demand: Demand = demand) -> Reservation | Refused:
        return neighbours.inventory.reserve(key=f"{name}-{key}", order=name, demands=[demand])

    neighbours.clock.forward(seconds=QUARANTINE.total_seconds() - 1)
    assert _code(ask("early")) == ("NO_STOCK" if wanted is None else "NUMBER_TAKEN")
    neighbours.clock.forward(seconds=1)
    neighbours.own_inventory.supplies.create(pool=name, values=["900"])
    fresh = ask("fresh", Demand(line="1", pool=name))
    assert isinstance(fresh, Reservation)
    assert fresh.held[0].values == ("900",), "what was never used goes first"
    again = ask("again")
    assert isinstance(again, Reservation)
    assert again.held[0].values == ("100",)
    assert _states(neighbours, name) == {NumberState.RESERVED: 2}


@pytest.mark.req("F13")
def test_what_somebody_else_has_is_not_given_back_and_nothing_with_it(neighbours: Neighbours, name: str):
    taken = _taken(neighbours, name, "100", "101")
    own = replace(taken, numbers=replace(taken.numbers, values=("100",)))

    def ask(key: str, **other: Any) -> Retired | Refused:  # noqa: ANN401 - fields of a frozen value
        wrong = Retirement(line="8", numbers=replace(taken.numbers, values=("101",)))
        wrong = replace(wrong, numbers=replace(wrong.numbers, **other))
        return neighbours.inventory.retire(key=f"{name}-{key}", retirements=[own, wrong])

    before = neighbours.snapshot("inventory")
    wrongs: tuple[dict[str, Any], ...] = ({"reservation": "x"}, {"line": "x"}, {"values": ("999",)})
    for place, other in enumerate(wrongs):
        answer = ask(str(place), **other)
        value = other.get("values", ("101",))[0]
        message = f"not held by whom it was taken for: {value} of pool {name}"
        assert answer == Refused(code="NOT_HELD", message=message, lines=("8",))
    assert neighbours.snapshot("inventory") == before
    assert isinstance(ask("ok"), Retired)
    assert _code(ask("again")) == "NOT_HELD"


@pytest.mark.req("F13")
def test_what_is_only_reserved_is_released_and_not_given_back(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.create(pool=name, values=["100"])
    neighbours.inventory.reserve(key=name, order=name, demands=[Demand(line="2", pool=name)])
    early = Retirement(line="7", numbers=Numbers(pool=name, values=("100",), reservation=name, line="2"))
    assert _code(neighbours.inventory.retire(key=f"{name}-r", retirements=[early])) == "NOT_HELD"


def test_who_has_no_numbers_gives_none_back(neighbours: Neighbours, name: str):
    answer = neighbours.inventory.retire(key=name, retirements=[])
    assert isinstance(answer, Retired)
    assert answer.numbers == ()


@pytest.mark.req("F13")
def test_a_number_that_is_wanted_is_given_or_said_to_be_taken(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.create_range(pool=name, first="+1-555-0100", last="+1-555-0109")

    def want(key: str, value: str, quantity: int = 1) -> Reservation | Refused:
        demand = Demand(line="1", pool=name, wanted=value, quantity=quantity)
        return neighbours.inventory.reserve(key=f"{name}-{key}", order=name, demands=[demand])

    given = want("a", "+1-555-0107", 3)
    assert isinstance(given, Reservation)
    assert given.held[0].values == ("+1-555-0107", "+1-555-0100", "+1-555-0101")
    assert _code(want("b", "+1-555-0107")) == "NUMBER_TAKEN"
    assert _code(want("c", "+1-555-0999")) == "UNKNOWN_ITEM"


@pytest.mark.req("F30")
def test_ranges_are_created_and_only_unused_numbers_deleted(neighbours: Neighbours, name: str):
    supplies = neighbours.own_inventory.supplies
    assert supplies.create_range(pool=name, first="10.0.0.254", last="10.0.1.1") == 4
    assert supplies.create_range(pool=name, first="10.0.1.1", last="10.0.1.2") == 1
    neighbours.inventory.reserve(key=name, order=name, demands=[Demand(line="1", pool=name, wanted="10.0.0.255")])
    assert supplies.delete_unused(pool=name, values=["10.0.0.254", "10.0.0.255"]) == ["10.0.0.254"]
    neighbours.inventory.commit(key=f"{name}-c", reservation=name)
    assert supplies.delete_unused(pool=name) == ["10.0.1.0", "10.0.1.1", "10.0.1.2"]
    assert _states(neighbours, name) == {NumberState.ASSIGNED: 1}


@pytest.mark.req("F30")
@pytest.mark.parametrize(
    ("first", "last"), [("9", "1"), ("a", "b"), ("A1", "B9"), ("1", "10"), ("0", "9999999"), ("10.0.0.1", "::1")]
)
def test_what_is_no_range_is_refused(neighbours: Neighbours, name: str, first: str, last: str):
    with pytest.raises(ValueError, match="no range"):
        neighbours.own_inventory.supplies.create_range(pool=name, first=first, last=last)


@pytest.mark.req("F23")
def test_what_is_released_can_be_had_by_others_and_is_held_no_more(neighbours: Neighbours, name: str):
    supplies, inventory = neighbours.own_inventory.supplies, neighbours.inventory
    supplies.receive(sku=name, quantity=1)
    supplies.create(pool=name, values=["1"])
    demands = [Demand(line="1", sku=name), Demand(line="2", pool=name)]
    inventory.reserve(key=name, order=name, demands=demands)
    assert _code(inventory.reserve(key=f"{name}-2", order="other", demands=demands)) == "NO_STOCK"
    released = inventory.release(key=f"{name}-r", reservation=name)
    assert isinstance(released, Reservation)
    assert released.state is ReservationState.RELEASED
    assert inventory.release(key=f"{name}-r2", reservation=name) == released
    assert isinstance(inventory.reserve(key=f"{name}-3", order="other", demands=demands), Reservation)
    assert _code(inventory.commit(key=f"{name}-c", reservation=name)) == "NOT_RESERVED"
    assert _code(inventory.deliver(key=f"{name}-d", reservation=name, line="1")) == "NOT_RESERVED"
    assert (_stock(neighbours, name).reserved, _states(neighbours, name)) == (1, {NumberState.RESERVED: 1})


@pytest.mark.req("F23")
def test_what_is_committed_or_partly_delivered_is_not_given_back(neighbours: Neighbours, name: str):
    inventory = neighbours.inventory
    neighbours.own_inventory.supplies.receive(sku=name, quantity=4)
    demands = [Demand(line="1", sku=name), Demand(line="2", sku=name)]
    for key, deed in (("c", inventory.commit), ("d", None)):
        held = f"{name}-{key}"
        inventory.reserve(key=held, order=name, demands=demands)
        if deed:
            deed(key=f"{held}-deed", reservation=held)
        else:
            inventory.deliver(key=f"{held}-deed", reservation=held, line="1")
        assert _code(inventory.release(key=f"{held}-r", reservation=held)) == "COMMITTED"
    assert (_stock(neighbours, name).on_hand, _stock(neighbours, name).reserved) == (1, 1)


def test_what_never_was_has_nothing_to_release(neighbours: Neighbours, name: str):
    assert neighbours.inventory.release(key=name, reservation="nobody") is None
    assert neighbours.inventory.release(key=name, reservation="nobody") is None
    assert _code(neighbours.inventory.commit(key=f"{name}-c", reservation="nobody")) == "NOT_RESERVED"


def test_goods_delivered_under_another_key_are_not_delivered_again(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.receive(sku=name, quantity=2)
    neighbours.inventory.reserve(key=name, order=name, demands=[Demand(line="1", sku=name)])
    first = neighbours.inventory.deliver(key=f"{name}-1", reservation=name, line="1")
    neighbours.clock.forward(hours=1)
    second = neighbours.inventory.deliver(key=f"{name}-2", reservation=name, line="1")
    assert isinstance(first, Delivery)
    assert isinstance(second, Delivery)
    assert (first.at, _stock(neighbours, name).on_hand) == (second.at, 1)


@pytest.mark.req("F11", "F08", "F13")
@pytest.mark.parametrize("units", [1, 100])
def test_of_five_hundred_orders_as_many_are_served_as_there_are_units(neighbours: Neighbours, name: str, units: int):
    neighbours.own_inventory.supplies.receive(sku=name, quantity=units)
    neighbours.own_inventory.supplies.create_range(pool=name, first="000", last=f"{units - 1:03}")
    demands = [Demand(line="1", sku=name), Demand(line="2", pool=name)]
    answers = at_once(lambda i: neighbours.inventory.reserve(key=f"{name}-{i}", order=name, demands=demands), 500)
    served = [x for x in answers if isinstance(x, Reservation)]
    assert Counter(_code(x) for x in answers) == {"": units, "NO_STOCK": 500 - units}
    assert len({x.held[1].values for x in served}) == units
    assert _states(neighbours, name) == {NumberState.RESERVED: units}
    assert _stock(neighbours, name).available == 0


@pytest.mark.req("F13")
def test_of_many_orders_for_one_number_exactly_one_gets_it(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.create_range(pool=name, first="10", last="99")
    demand = Demand(line="1", pool=name, wanted="42")
    answers = at_once(lambda i: neighbours.inventory.reserve(key=f"{name}-{i}", order=name, demands=[demand]), MANY)
    assert Counter(_code(x) for x in answers) == {"": 1, "NUMBER_TAKEN": MANY - 1}


@pytest.mark.req("F11")
def test_orders_that_want_the_same_things_in_another_order_do_not_block_each_other(neighbours: Neighbours, name: str):
    supplies = neighbours.own_inventory.supplies
    for sku in "abc":
        supplies.receive(sku=f"{name}-{sku}", quantity=1_000)
    supplies.create_range(pool=name, first="000", last="999")

    def reserve_and_settle(i: int) -> object:
        order = "abc" if i % 2 else "cba"
        demands = [Demand(line=sku, sku=f"{name}-{sku}") for sku in order]
        numbers = [Demand(line=x, pool=name, wanted=f"00{x}") for x in ("12" if i % 2 else "21")]
        key = f"{name}-{i}"
        neighbours.inventory.reserve(key=key, order=name, demands=[*numbers, *demands] if i % 3 else demands)
        settle = neighbours.inventory.commit if i % 4 < 2 else neighbours.inventory.release
        return settle(key=f"{key}-s", reservation=key)

    assert len(at_once(reserve_and_settle, MANY)) == MANY
    assert all(x.reserved == 0 for x in supplies.stock() if x.sku.startswith(f"{name}-"))


@pytest.mark.req("F23")
def test_of_a_delivery_and_a_release_at_the_same_time_one_wins(neighbours: Neighbours, name: str):
    neighbours.own_inventory.supplies.receive(sku=name, quantity=MANY)
    for i in range(MANY // 2):
        key = f"{name}-{i}"
        neighbours.inventory.reserve(key=key, order=name, demands=[Demand(line="1", sku=name)])

    def settle(i: int) -> bool:
        key = f"{name}-{i // 2}"
        if i % 2:
            return isinstance(neighbours.inventory.release(key=f"{key}-r", reservation=key), Reservation)
        return isinstance(neighbours.inventory.deliver(key=f"{key}-d", reservation=key, line="1"), Delivery)

    won = at_once(settle, MANY // 2 * 2)
    assert all(a != b for a, b in zip(won[::2], won[1::2], strict=True))
    stock = _stock(neighbours, name)
    assert (stock.on_hand, stock.reserved) == (MANY - sum(won[::2]), 0)


class _Shelf:
    """What must be on a shelf, and what is held of it, after deeds that succeeded."""

    def __init__(self) -> None:
        self.on_hand = 0
        self.held: dict[str, int] = {}

    @property
    def reserved(self) -> int:
        return sum(self.held.values())

    def take(self, reservation: str) -> None:
        self.on_hand -= self.held.pop(reservation, 0)


def _do(neighbours: Neighbours, shelf: _Shelf, sku: str, deed: str, number: int, key: str) -> None:
    inventory, reservation = neighbours.inventory, f"{sku}-{number}"
    match deed:
        case "receive":
            neighbours.own_inventory.supplies.receive(sku=sku, quantity=number)
            shelf.on_hand += number
        case "reserve":
            demand = Demand(line="1", sku=sku, quantity=number + 1)
            if inventory.query(key=reservation) is not None:
                inventory.reserve(key=reservation, order=sku, demands=[demand])
            elif isinstance(inventory.reserve(key=reservation, order=sku, demands=[demand]), Reservation):
                shelf.held[reservation] = number + 1
        case "deliver" if isinstance(inventory.deliver(key=key, reservation=reservation, line="1"), Delivery):
            shelf.take(reservation)
        case "commit" if isinstance(inventory.commit(key=key, reservation=reservation), Reservation):
            shelf.take(reservation)
        case "release" if isinstance(inventory.release(key=key, reservation=reservation), Reservation):
            shelf.held.pop(reservation, None)


@pytest.mark.req("F08", "F11", "F29")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deeds=st.lists(
        st.tuples(
            st.sampled_from(["receive", "reserve", "reserve", "deliver", "commit", "release"]), st.integers(0, 4)
        ),
        max_size=25,
    )
)
def test_whatever_is_done_no_unit_is_lost_or_sold_twice(neighbours: Neighbours, deeds: list[tuple[str, int]]):
    sku = f"R{next(_RUNS)}"
    shelf = _Shelf()
    neighbours.own_inventory.supplies.receive(sku=sku, quantity=0)
    for place, (deed, number) in enumerate(deeds):
        _do(neighbours, shelf, sku, deed, number, f"{sku}-deed-{place}")
        stock = _stock(neighbours, sku)
        assert (stock.on_hand, stock.reserved) == (shelf.on_hand, shelf.reserved)
        assert stock.available >= 0
