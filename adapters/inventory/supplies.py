"""How shelves and pools are filled, emptied and read."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address

from sqlalchemy import Engine, text

from domain.inventory import DEFAULT_LOCATION

LARGEST_RANGE = 100_000


class NumberState(StrEnum):
    """The life of a number or address (2.6)."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    ASSIGNED = "assigned"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """One item at one location; what is reserved is still on hand."""

    sku: str
    location: str
    on_hand: int
    reserved: int
    reorder_point: int

    @property
    def available(self) -> int:
        """What can still be promised; never negative (F08)."""
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One value of a pool, and who holds it: the reservation's key and the line."""

    pool: str
    value: str
    state: NumberState
    reservation: str | None
    line: str | None


class Supplies:
    """Stock and numbers as those see them who keep them (F29, F30)."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def receive(
        self, *, sku: str, quantity: int, location: str = DEFAULT_LOCATION, reorder_point: int | None = None
    ) -> Stock:
        """Put units on a shelf; a ``reorder_point`` replaces the item's former one (F29)."""
        row = {"sku": sku, "location": location, "quantity": quantity, "reorder_point": reorder_point}
        with self._engine.begin() as connection:
            stock = connection.execute(_RECEIVE, row | {"at": self._clock()}).one()
        return Stock(**stock._mapping)  # noqa: SLF001 - the public name of a row's columns

    def stock(self) -> Sequence[Stock]:
        """Every item at every location."""
        with self._engine.connect() as connection:
            return [Stock(**row._mapping) for row in connection.execute(_STOCK)]  # noqa: SLF001

    def low_stock(self) -> Sequence[tuple[str, str, int]]:
        """Item, location and what was left, for each time an item fell to its reorder point (F29)."""
        with self._engine.connect() as connection:
            return [(row.sku, row.location, row.on_hand) for row in connection.execute(_LOW_STOCK)]

    def create_range(self, *, pool: str, first: str, last: str) -> int:
        """Add the values from first to last to a pool; how many are new (F30)."""
        return self.create(pool=pool, values=list(_range(first, last)))

    def create(self, *, pool: str, values: Sequence[str]) -> int:
        """Add values to a pool, which comes to be with its first; how many are new (F30)."""
        with self._engine.begin() as connection:
            return connection.execute(_CREATE, {"pool": pool, "values": list(values)}).rowcount

    def delete_unused(self, *, pool: str, values: Sequence[str] | None = None) -> Sequence[str]:
        """Remove values that nobody holds, all of the pool's unless named; those that were removed (F30)."""
        wanted = None if values is None else list(values)
        with self._engine.begin() as connection:
            return sorted(connection.execute(_DELETE, {"pool": pool, "values": wanted}).scalars())

    def quarantine(self, *, pool: str, value: str, until: datetime) -> bool:
        """Take an assigned value back, not to be given out before an instant; whether it was assigned (F13)."""
        with self._engine.begin() as connection:
            return connection.execute(_QUARANTINE, {"pool": pool, "value": value, "until": until}).rowcount == 1

    def end_quarantines(self) -> int:
        """Make available what has been in quarantine long enough; how many values."""
        with self._engine.begin() as connection:
            return connection.execute(_END_QUARANTINES, {"at": self._clock()}).rowcount

    def numbers(self, *, pool: str) -> Sequence[Number]:
        """Every value of a pool."""
        with self._engine.connect() as connection:
            rows = connection.execute(_NUMBERS, {"pool": pool}).all()
        return [Number(**{**row._mapping, "state": NumberState(row.state)}) for row in rows]  # noqa: SLF001


def _range(first: str, last: str) -> Iterator[str]:
    """The addresses, or the texts with their last digits counted up, from first to last; ``ValueError`` if none."""
    ends = [re.fullmatch(r"(.*?)(\d+)", end) for end in (first, last)]
    start, count = 0, 0
    try:
        address = ip_address(first)
        count = int(ip_address(last)) - int(address) + 1
    except ValueError:
        address = None
        if ends[0] and ends[1] and ends[0][1] == ends[1][1] and len(first) == len(last):
            start = int(ends[0][2])
            count = int(ends[1][2]) - start + 1
    if not 1 <= count <= LARGEST_RANGE:
        raise ValueError(f"{first} to {last} is no range of at most {LARGEST_RANGE} values")
    for step in range(count):
        if address is not None:
            yield str(address + step)
        elif ends[0]:
            yield f"{ends[0][1]}{start + step:0{len(ends[0][2])}}"


_RECEIVE = text("""
WITH moved AS (
    INSERT INTO inventory.movements (sku, location, quantity, reason, at)
    SELECT :sku, :location, :quantity, 'received', :at WHERE :quantity <> 0
)
INSERT INTO inventory.stock (sku, location, on_hand, reorder_point)
VALUES (:sku, :location, :quantity, COALESCE(:reorder_point, 0))
ON CONFLICT (sku, location) DO UPDATE SET
    on_hand = stock.on_hand + EXCLUDED.on_hand,
    reorder_point = COALESCE(:reorder_point, stock.reorder_point)
RETURNING sku, location, on_hand, reserved, reorder_point
""")

_STOCK = text("SELECT sku, location, on_hand, reserved, reorder_point FROM inventory.stock ORDER BY sku, location")

_LOW_STOCK = text("SELECT sku, location, on_hand FROM inventory.low_stock ORDER BY id")

_CREATE = text("""
INSERT INTO inventory.numbers (pool, value) SELECT :pool, unnest(CAST(:values AS text[])) ON CONFLICT DO NOTHING
""")

_DELETE = text("""
DELETE FROM inventory.numbers
WHERE pool = :pool AND state = 'available'
    AND (CAST(:values AS text[]) IS NULL OR value = ANY(CAST(:values AS text[])))
RETURNING value
""")

_QUARANTINE = text("""
UPDATE inventory.numbers
SET state = 'quarantined', reservation = NULL, line = NULL, quarantined_until = :until
WHERE pool = :pool AND value = :value AND state = 'assigned'
""")

_END_QUARANTINES = text("""
UPDATE inventory.numbers SET state = 'available', quarantined_until = NULL
WHERE state = 'quarantined' AND quarantined_until <= :at
""")

_NUMBERS = text("SELECT pool, value, state, reservation, line FROM inventory.numbers WHERE pool = :pool ORDER BY value")
