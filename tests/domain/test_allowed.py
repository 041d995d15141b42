"""What is offered of an asset is what would be taken, whatever its state and whatever is open on it (A07)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.allowed import Change, refused, standings
from domain.asset import Asset, AssetStatus
from domain.change import completed
from domain.facts import Facts, Pending
from domain.order import Action, Order
from tests.builders import WIRELESS, Line, facts, line, raw
from tests.installed import EVENT, INSTALLED, INTERNET, NOW, PLAN, TEXTING, VOICEMAIL, WIRELESS_ASSET, about, moved_to

ASSETS = tuple(INSTALLED.assets.values())
JOINS = ("TEXT-UNLIMITED", "CASE", "MINUTES")
DAYS = (None, *(NOW.date() + timedelta(days=x) for x in (-30, 0, 30)))


def asked(change: Change, asset: Asset, *, due: date | None = None, colour: str = "red") -> Order:
    """What a client sends who wants a change of an asset and nothing else."""
    match change:
        case Change.MODIFY:
            lines: tuple[Line, ...] = (about(asset, Action.UPDATE, attributes={"colour": colour}, due_date=due),)
        case Change.SUSPEND:
            lines = (about(asset, Action.SUSPEND, due_date=due),)
        case Change.RESUME:
            lines = (about(asset, Action.RESUME, due_date=due),)
        case Change.DISCONNECT:
            lines = (about(asset, Action.DELETE, due_date=due),)
        case Change.MOVE:
            there = line(asset.product, action=Action.MOVE_ADD, changes=("service_point",), service_point="SP-2")
            lines = (about(asset, Action.MOVE_DELETE, due_date=due), there)
    return raw(*lines)


@st.composite
def known(draw: st.DrawFn) -> Facts:
    """The wireless service and the internet access in any state, with other orders open on them."""
    statuses, ends = st.sampled_from(AssetStatus), st.sampled_from((None, -1, 1))
    assets = {}
    for asset in ASSETS:
        end = draw(ends)
        fields = {"status": draw(statuses), "service_end": NOW + timedelta(days=end) if end else None}
        assets[asset.id] = replace(asset, **fields)
    found = replace(INSTALLED, assets=assets)
    for number in range(1_001, 1_001 + draw(st.integers(0, 3))):
        change, asset, due = (draw(st.sampled_from(x)) for x in ([*Change, None], ASSETS, DAYS))
        if change is None:  # something joins it
            order = raw(about(asset, Action.NONE, line(draw(st.sampled_from(JOINS))), due_date=due))
        else:
            order = asked(change, asset, due=due, colour=f"as {number} says")
        found = replace(found, pending=(*found.pending, *open_order(order, number, found)))
    return found


def open_order(given: Order, number: int, known: Facts) -> Iterator[Pending]:
    whole = completed(given, WIRELESS, known)
    for lines in whole.bundles.values():
        day = lines[0].due_date
        due = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else NOW - timedelta(hours=1)
        yield Pending(order=str(UUID(int=number)), number=number, version=1, due=due, lines=lines)


@pytest.mark.req("A07", "A19", "A20")
@given(known())
def test_an_action_is_offered_exactly_when_an_order_for_it_would_be_taken(known: Facts):
    found = standings(WIRELESS, known)
    for asset in known.assets.values():
        taken = [x for x in Change if not refused(completed(asked(x, asset), WIRELESS, known), WIRELESS, known)]
        assert [*found[asset.id].allowed] == taken, asset.product


@pytest.mark.req("A07")
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (AssetStatus.ACTIVE, [Change.MODIFY, Change.SUSPEND, Change.DISCONNECT, Change.MOVE]),
        (AssetStatus.SUSPENDED, [Change.RESUME, Change.DISCONNECT]),
        (AssetStatus.INACTIVE, []),
    ],
)
def test_a_service_is_offered_what_its_state_allows(status: AssetStatus, expected: list[Change]):
    assets = [replace(x, status=status) for x in ASSETS]
    assert [*standings(WIRELESS, facts(*assets, arrived=NOW))[WIRELESS_ASSET.id].allowed] == expected


@pytest.mark.req("A07")
def test_what_is_offered_of_a_part_leaves_the_service_whole():
    found = {x: [*standings(WIRELESS, INSTALLED)[y.id].allowed] for x, y in PARTS.items()}
    assert found == {
        "the plan it cannot be without": [Change.MODIFY],
        "an extra": [Change.MODIFY, Change.DISCONNECT],
        "a service in it": [Change.MODIFY, Change.SUSPEND, Change.DISCONNECT],
        "a simple service": [Change.MODIFY, Change.SUSPEND, Change.DISCONNECT, Change.MOVE],
        "an event of that": [Change.MODIFY],
    }


PARTS = {
    "the plan it cannot be without": PLAN,
    "an extra": VOICEMAIL,
    "a service in it": TEXTING,
    "a simple service": INTERNET,
    "an event of that": EVENT,
}


def test_what_other_orders_will_do_is_pending_on_each_asset_they_reach_and_on_no_other():
    off = raw(about(TEXTING, Action.SUSPEND, due_date=date(2026, 7, 1)))
    gone = raw(about(INTERNET, Action.MOVE_DELETE), moved_to(service_point="SP-2"))
    opened = (*open_order(off, 1_001, INSTALLED), *open_order(gone, 1_002, INSTALLED))
    found = standings(WIRELESS, replace(INSTALLED, pending=opened))
    pending = {x: [(y.number, y.line, y.action) for y in stand.pending] for x, stand in found.items() if stand.pending}
    assert pending == {
        TEXTING.id: [(1_001, "1", Action.SUSPEND)],
        "bbbbbbbb-b": [(1_001, "1.bbbbbbbb", Action.SUSPEND)],
        INTERNET.id: [(1_002, "1", Action.MOVE_DELETE)],
        EVENT.id: [(1_002, "1.eeeeeeee", Action.MOVE_DELETE)],
    }
    assert found[TEXTING.id].pending[0].due == datetime(2026, 7, 1, tzinfo=UTC)
    assert [*found[INTERNET.id].allowed] == []
