"""The inventory system itself: stock that is never oversold, numbers that have one holder at a time."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row

from adapters.inventory import statements
from adapters.inventory.operations import (
    AMEND_RESERVATION,
    COMMIT,
    DELIVER,
    QUERY,
    RELEASE,
    RESERVE,
    RETIRE,
    SWITCHABLE,
    Amend,
    Deliver,
    Reserve,
    Retire,
    Settle,
)
from adapters.inventory.supplies import Supplies
from adapters.ledger import Ledger
from adapters.switches import Switches
from domain.inventory import QUARANTINE, Delivery, Demand, Held, Reservation, ReservationState, Retired, Retirement
from domain.neighbour import Refused, Unacceptable, Unavailable
from sql.prepared import Prepared

NO_STOCK = "NO_STOCK"
NUMBER_TAKEN = "NUMBER_TAKEN"
UNKNOWN_ITEM = "UNKNOWN_ITEM"
COMMITTED = "COMMITTED"
NOT_RESERVED = "NOT_RESERVED"
NOT_HELD = "NOT_HELD"


class EmbeddedInventory:
    """Stock and pools of numbers with a ledger in the schema ``inventory`` (F08, F11, F13, F23, F29, F45).

    ``supplies`` fills shelves and pools, ``switches`` make it misbehave.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime]) -> None:
        """``clock`` gives aware instants; it dates every effect."""
        self.switches = Switches(engine, schema="inventory", operations=SWITCHABLE, slow=frozenset())
        self.supplies = Supplies(engine, clock=clock)
        self.ledger = Ledger(engine, schema="inventory", clock=clock, switches=self.switches)

    def reserve(self, *, key: str, order: str, demands: Sequence[Demand]) -> Reservation | Refused:
        """Hold everything demanded, or nothing: ``NO_STOCK``, ``NUMBER_TAKEN`` or ``UNKNOWN_ITEM`` (F11)."""
        _must_make_sense(demands)
        return self.ledger.call(
            RESERVE,
            key=key,
            asked=Reserve(order=order, demands=tuple(demands)),
            effect=lambda connection, at: _reserve(connection, key, order, demands, at),
        )

    def amend_reservation(
        self, *, key: str, order: str, demands: Sequence[Demand], replaces: str
    ) -> Reservation | Refused:
        """Hold what is demanded now, in the place of what the reservation ``replaces`` holds; or leave that as it is.

        A line that takes from the same pool keeps its numbers. Refused as ``reserve`` is, and with ``COMMITTED`` when
        what was held is the customer's already.
        """
        _must_make_sense(demands)
        return self.ledger.call(
            AMEND_RESERVATION,
            key=key,
            asked=Amend(order=order, demands=tuple(demands), replaces=replaces),
            effect=lambda connection, at: _amend(connection, key, order, demands, replaces, at),
            undoes=replaces,
        )

    def deliver(self, *, key: str, reservation: str, line: str) -> Delivery | Refused:
        """Hand out the goods held for a line: they leave the shelf now (F03, F29). ``NOT_RESERVED`` when none are held.

        Goods that were handed out before are answered with the instant of that.
        """
        return self.ledger.call(
            DELIVER,
            key=key,
            asked=Deliver(reservation=reservation, line=line),
            effect=lambda connection, at: _deliver(connection, key, reservation, line, at),
        )

    def commit(self, *, key: str, reservation: str) -> Reservation | Refused:
        """Take for good what is held and not handed out yet, assign numbers (F29). ``NOT_RESERVED`` after a release."""
        return self.ledger.call(
            COMMIT,
            key=key,
            asked=Settle(reservation=reservation),
            effect=lambda connection, at: _commit(connection, reservation, at),
        )

    def release(self, *, key: str, reservation: str) -> Reservation | Refused | None:
        """Give back what is held; ``None`` when nothing was ever held, ``COMMITTED`` when goods are gone (F23).

        A reservation under that key that arrives later is refused.
        """
        return self.ledger.call(
            RELEASE,
            key=key,
            asked=Settle(reservation=reservation),
            effect=lambda connection, at: _release(connection, reservation, at),
            undoes=reservation,
        )

    def retire(self, *, key: str, retirements: Sequence[Retirement]) -> Retired | Refused:
        """Take numbers and addresses back from those who have them, into quarantine: all or none (F13, F28).

        ``NOT_HELD`` when one is not assigned to the reservation and line it is said to have been taken for.
        """
        return self.ledger.call(
            RETIRE,
            key=key,
            asked=Retire(retirements=tuple(retirements)),
            effect=lambda connection, at: _retire(connection, key, retirements, at),
        )

    def query(self, *, key: str) -> Reservation | Delivery | Retired | Refused | None:
        """The answer remembered for a key."""
        return self.ledger.query(QUERY, key=key)


def _must_make_sense(demands: Sequence[Demand]) -> None:
    for demand in demands:
        if (demand.sku is None) == (demand.pool is None) or demand.quantity < 1:
            raise Unacceptable(f"line {demand.line}: a quantity of one stock item or of one pool is demanded")


def _amend(
    connection: Connection, key: str, order: str, demands: Sequence[Demand], replaces: str, at: datetime
) -> Reservation | Refused:
    released = _release(connection, replaces, at)
    if isinstance(released, Refused):
        return released
    kept = {(x.line, x.pool): x.values for x in released.held} if released else {}
    again = [_demanded_again(x, kept.get((x.line, x.pool), ())) for x in demands]
    reserved = _reserve(connection, key, order, [x for parts in again for x in parts], at)
    if isinstance(reserved, Refused):
        return reserved
    held = iter(reserved.held)
    together = [[next(held) for _ in parts] for parts in again]
    return replace(reserved, held=tuple(_held(x, _values(parts)) for x, parts in zip(demands, together, strict=True)))


def _demanded_again(demand: Demand, kept: Sequence[str]) -> Sequence[Demand]:
    """A demand that asks for the numbers it had, one by one, as far as it still wants any."""
    if demand.pool is None or demand.wanted is not None or not kept:
        return [demand]
    again = [replace(demand, quantity=1, wanted=x) for x in kept[: demand.quantity]]
    missing = demand.quantity - len(again)
    return again + ([replace(demand, quantity=missing)] if missing else [])


def _values(held: Sequence[Held]) -> tuple[str, ...]:
    return tuple(value for x in held for value in x.values)


def _reserve(
    connection: Connection, key: str, order: str, demands: Sequence[Demand], at: datetime
) -> Reservation | Refused:
    goods = [x for x in demands if x.sku is not None]
    rows = {
        "lines": [x.line for x in goods],
        "skus": [x.sku for x in goods],
        "locations": [x.location for x in goods],
        "quantities": [x.quantity for x in goods],
    }
    missing = statements.HOLD.on(connection, key=key, order=order, at=at, **rows).scalar_one()
    if missing:
        return _shortage(connection, rows)
    values: dict[int, tuple[str, ...]] = {}
    for place, demand in sorted(enumerate(demands), key=_wanted_first):
        if demand.pool is not None:
            taken = _take_numbers(connection, key, demand, at)
            if isinstance(taken, Refused):
                return taken
            values[place] = taken
    held = tuple(_held(demand, values.get(place, ())) for place, demand in enumerate(demands))
    return Reservation(key=key, state=ReservationState.RESERVED, held=held)


def _wanted_first(placed: tuple[int, Demand]) -> tuple[bool, str, str]:
    """Particular numbers before any, and in one order, so that reservations do not wait for each other in a circle."""
    _, demand = placed
    return demand.wanted is None, demand.pool or "", demand.wanted or ""


def _shortage(connection: Connection, rows: dict[str, Any]) -> Refused:
    short = connection.execute(statements.SHORTAGES, rows).all()
    if not short:
        raise Unavailable("stock arrived at this very moment, ask again")
    if unknown := [x for x in short if x.available is None]:
        named = [f"no {x.sku} at {x.location}" for x in unknown]
        return Refused(code=UNKNOWN_ITEM, message="; ".join(named), lines=_wanting(unknown, rows))
    named = [f"{x.sku} at {x.location}: {x.quantity} wanted, {x.available} available" for x in short]
    return Refused(code=NO_STOCK, message="; ".join(named), lines=_wanting(short, rows))


def _wanting(items: Sequence[Row[Any]], rows: dict[str, Any]) -> tuple[str, ...]:
    """The lines that want one of these items."""
    places = {(x.sku, x.location) for x in items}
    wanted = zip(rows["lines"], rows["skus"], rows["locations"], strict=True)
    return tuple(line for line, sku, location in wanted if (sku, location) in places)


def _take_numbers(connection: Connection, key: str, demand: Demand, at: datetime) -> tuple[str, ...] | Refused:
    """Numbers that nobody has; those whose quarantine is over only when they are wanted, or no others are left."""
    holder = {"key": key, "line": demand.line, "pool": demand.pool, "at": at}
    taken: list[str] = []
    if demand.wanted is not None:
        taken += statements.TAKE_WANTED.on(connection, wanted=demand.wanted, **holder).scalars()
        if not taken:
            return _not_taken(connection, demand, demand.wanted)
    for take in (statements.TAKE_FREE, statements.TAKE_LAST):
        if len(taken) < demand.quantity:
            free = take.on(connection, count=demand.quantity - len(taken), **holder).scalars()
            taken += sorted(free)
    return tuple(taken) if len(taken) == demand.quantity else _not_taken(connection, demand)


def _not_taken(connection: Connection, demand: Demand, wanted: str | None = None) -> Refused:
    pool, lines = demand.pool, (demand.line,)
    row = connection.execute(statements.POOL, {"pool": pool, "wanted": wanted}).one()
    if not row.known:
        return Refused(code=UNKNOWN_ITEM, message=f"no pool {pool}", lines=lines)
    if wanted is None:
        return Refused(code=NO_STOCK, message=f"pool {pool} has too few free values", lines=lines)
    if not row.has_wanted:
        return Refused(code=UNKNOWN_ITEM, message=f"no {wanted} in pool {pool}", lines=lines)
    return Refused(code=NUMBER_TAKEN, message=f"{wanted} of pool {pool} is not free", lines=lines)


def _held(demand: Demand, values: tuple[str, ...]) -> Held:
    if demand.pool is not None:
        return Held(line=demand.line, quantity=demand.quantity, pool=demand.pool, values=values)
    return Held(line=demand.line, quantity=demand.quantity, sku=demand.sku, location=demand.location)


def _deliver(connection: Connection, key: str, reservation: str, line: str, at: datetime) -> Delivery | Refused:
    if statements.HAND_OUT.on(connection, reservation=reservation, line=line, at=at).scalar_one():
        return Delivery(key=key, line=line, at=at)
    before = connection.execute(statements.HANDED_OUT, {"reservation": reservation, "line": line}).scalar_one()
    if before is None:
        return Refused(code=NOT_RESERVED, message=f"nothing is held for line {line}")
    return Delivery(key=key, line=line, at=before)


def _retire(connection: Connection, key: str, retirements: Sequence[Retirement], at: datetime) -> Retired | Refused:
    until, missing = at + QUARANTINE, []
    for x in sorted(retirements, key=lambda x: (x.numbers.pool, x.numbers.values)):
        values = [*x.numbers.values]
        held = {"pool": x.numbers.pool, "reservation": x.numbers.reservation, "line": x.numbers.line}
        taken = statements.RETIRE.on(connection, **held, values=values, until=until).scalars().all()
        missing += [(x.line, f"{value} of pool {x.numbers.pool}") for value in values if value not in taken]
    if missing:
        named = ", ".join(what for _, what in missing)
        lines = tuple(dict.fromkeys(line for line, _ in missing))
        return Refused(code=NOT_HELD, message=f"not held by whom it was taken for: {named}", lines=lines)
    return Retired(key=key, numbers=tuple(x.numbers for x in retirements), until=until)


def _commit(connection: Connection, reservation: str, at: datetime) -> Reservation | Refused:
    settled = _settle(connection, statements.COMMIT, reservation, ReservationState.COMMITTED, at)
    return settled or Refused(code=NOT_RESERVED, message="nothing is held under that key")


def _release(connection: Connection, reservation: str, at: datetime) -> Reservation | Refused | None:
    return _settle(connection, statements.RELEASE, reservation, ReservationState.RELEASED, at)


def _settle(
    connection: Connection, statement: Prepared, reservation: str, state: ReservationState, at: datetime
) -> Reservation | Refused | None:
    """End a reservation, or say why not; ``None`` when there is none."""
    reserved = statement.on(connection, reservation=reservation, at=at).scalar_one_or_none()
    if reserved is not None:
        return _in_state(reserved, state)
    row = connection.execute(statements.RESERVATION, {"reservation": reservation}).one_or_none()
    if row is None:
        return None
    if row.state == state:
        return _in_state(row.reserved, state)
    if state is ReservationState.RELEASED:
        return Refused(code=COMMITTED, message="what was held is the customer's already")
    return Refused(code=NOT_RESERVED, message="what was held is given back")


def _in_state(reserved: str, state: ReservationState) -> Reservation:
    reservation = RESERVE.answer.validate_json(reserved, strict=True)
    assert isinstance(reservation, Reservation), "a refused reservation has no row"
    return replace(reservation, state=state)
