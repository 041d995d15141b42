"""What inventory is asked and answers, operation by operation."""

from dataclasses import dataclass

from adapters.wire import Operation
from domain.inventory import Delivery, Demand, Reservation, Retired, Retirement
from domain.neighbour import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Hold all demands for an order, or nothing."""

    order: str
    demands: tuple[Demand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend:
    """Hold all demands for an order in the place of what the reservation ``replaces`` holds, or leave that as it is."""

    order: str
    demands: tuple[Demand, ...]
    replaces: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Hand out what the reservation of that key holds for a line."""

    reservation: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Commit or release the reservation of that key."""

    reservation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Take back what lines give back, all of it or nothing."""

    retirements: tuple[Retirement, ...]


RESERVE: Operation[Reserve, Reservation | Refused] = Operation("reserve", asked=Reserve, answer=Reservation | Refused)
AMEND_RESERVATION: Operation[Amend, Reservation | Refused] = Operation(
    "amend_reservation", asked=Amend, answer=Reservation | Refused
)
DELIVER: Operation[Deliver, Delivery | Refused] = Operation("deliver", asked=Deliver, answer=Delivery | Refused)
COMMIT: Operation[Settle, Reservation | Refused] = Operation("commit", asked=Settle, answer=Reservation | Refused)
RELEASE: Operation[Settle, Reservation | Refused | None] = Operation(
    "release", asked=Settle, answer=Reservation | Refused | None
)
RETIRE: Operation[Retire, Retired | Refused] = Operation("retire", asked=Retire, answer=Retired | Refused)
QUERY: Operation[None, Reservation | Delivery | Retired | Refused | None] = Operation(
    "query", asked=None, answer=Reservation | Delivery | Retired | Refused | None
)

SWITCHABLE = frozenset(
    operation.name for operation in (RESERVE, AMEND_RESERVATION, DELIVER, COMMIT, RELEASE, RETIRE, QUERY)
)
