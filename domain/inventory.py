"""The words spoken with the inventory system: demands, reservations, deliveries."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.asset import Numbers, Tree, asset_of
from domain.decomposed import Decomposed
from domain.in_flight import InFlight
from domain.order import OrderLine
from domain.plan import PlanItem

DEFAULT_LOCATION = "MAIN"
"""Where stock is taken from when a line names no location."""

QUARANTINE = timedelta(days=90)
"""How long what was given back out of a pool is nobody's: calls for its last holder reach no other customer (F13)."""


class ReservationState(StrEnum):
    """The life of a reservation (2.6), as far as an order sees it."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one line needs: units of a stock item at a location, or one value out of each pool.

    Exactly one of ``sku`` and ``pool`` is set. ``wanted`` asks for one particular value of the pool.
    """

    line: str
    quantity: int = 1
    sku: str | None = None
    location: str = DEFAULT_LOCATION
    pool: str | None = None
    wanted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a reservation holds for one line: stock units, or the values taken from a pool."""

    line: str
    quantity: int
    sku: str | None = None
    location: str | None = None
    pool: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Stock and numbers held for an order until committed or released; ``key`` is the key that made it."""

    key: str
    state: ReservationState
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Proof that goods reached the customer, and when (F03, F04)."""

    key: str
    line: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """What a line gives back out of a pool: what its asset has."""

    line: str
    numbers: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What nobody has any more, and until when nobody gets it."""

    key: str
    numbers: tuple[Numbers, ...]
    until: datetime


def demands(decomposed: Decomposed, item: PlanItem) -> tuple[Demand, ...]:
    """What the lines of a reserve step need; a line's service id asks for that very number."""
    return tuple(d for line_id in item.lines for d in _line_demands(decomposed, decomposed.order.by_id[line_id]))


def _line_demands(decomposed: Decomposed, line: OrderLine) -> tuple[Demand, ...]:
    product = decomposed.product(line)
    found: list[Demand] = []
    if product.sku:
        found.append(
            Demand(line=line.id, quantity=line.quantity, sku=product.sku, location=line.location or DEFAULT_LOCATION)
        )
    if product.pool:
        found.append(Demand(line=line.id, quantity=line.quantity, pool=product.pool, wanted=line.service_id))
    return tuple(found)


def retirements(in_flight: InFlight, item: PlanItem, tree: Tree) -> tuple[Retirement, ...]:
    """What the assets of a retire step have out of pools, which they give back."""
    lines = ((line, asset_of(tree, line)) for line in in_flight.lines(item))
    return tuple(Retirement(line=line.id, numbers=x) for line, asset in lines if asset for x in asset.numbers)
