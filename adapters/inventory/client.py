"""A remote inventory system, over HTTP."""

from collections.abc import Sequence

import httpx

from adapters.inventory.operations import (
    AMEND_RESERVATION,
    COMMIT,
    DELIVER,
    QUERY,
    RELEASE,
    RESERVE,
    RETIRE,
    Amend,
    Deliver,
    Reserve,
    Retire,
    Settle,
)
from adapters.remote import AT_ONCE, Remote, aware
from domain.inventory import Delivery, Demand, Reservation, ReservationState, Retired, Retirement
from domain.neighbour import Refused


class InventoryClient:
    """Inventory at a base URL, which serves what :mod:`adapters.inventory.operations` says."""

    def __init__(self, base_url: str, *, at_once: int = AT_ONCE, transport: httpx.BaseTransport | None = None) -> None:
        self._remote = Remote(base_url, at_once=at_once, transport=transport)

    def reserve(self, *, key: str, order: str, demands: Sequence[Demand]) -> Reservation | Refused:
        """Hold everything demanded, or nothing (F11)."""
        asked = Reserve(order=order, demands=tuple(demands))
        return self._remote.call(
            RESERVE, key=key, asked=asked, fits=lambda x: _is_about(x, key, ReservationState.RESERVED)
        )

    def amend_reservation(
        self, *, key: str, order: str, demands: Sequence[Demand], replaces: str
    ) -> Reservation | Refused:
        """Hold something else instead, or leave all as it is."""
        asked = Amend(order=order, demands=tuple(demands), replaces=replaces)
        return self._remote.call(
            AMEND_RESERVATION, key=key, asked=asked, fits=lambda x: _is_about(x, key, ReservationState.RESERVED)
        )

    def deliver(self, *, key: str, reservation: str, line: str) -> Delivery | Refused:
        """Hand out the goods held for a line (F03)."""
        asked = Deliver(reservation=reservation, line=line)
        return self._remote.call(DELIVER, key=key, asked=asked, fits=lambda x: _proves(x, key, line))

    def commit(self, *, key: str, reservation: str) -> Reservation | Refused:
        """Take for good what is held (F29)."""
        asked = Settle(reservation=reservation)
        return self._remote.call(
            COMMIT, key=key, asked=asked, fits=lambda x: _is_about(x, reservation, ReservationState.COMMITTED)
        )

    def release(self, *, key: str, reservation: str) -> Reservation | Refused | None:
        """Give back what is held (F23)."""
        asked = Settle(reservation=reservation)
        return self._remote.call(
            RELEASE, key=key, asked=asked, fits=lambda x: _is_about(x, reservation, ReservationState.RELEASED)
        )

    def retire(self, *, key: str, retirements: Sequence[Retirement]) -> Retired | Refused:
        """Take numbers and addresses back (F13)."""
        asked = Retire(retirements=tuple(retirements))
        return self._remote.call(RETIRE, key=key, asked=asked, fits=lambda x: _is_of(x, key, retirements))

    def query(self, *, key: str) -> Reservation | Delivery | Retired | Refused | None:
        """The answer remembered for a key."""
        return self._remote.ask(
            QUERY, {"key": key}, fits=lambda x: not isinstance(x, Delivery | Retired) or x.key == key
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._remote.close()


def _is_about(answer: Reservation | Refused | None, reservation: str, state: ReservationState) -> bool:
    return not isinstance(answer, Reservation) or (answer.key == reservation and answer.state is state)


def _is_of(answer: Retired | Refused, key: str, retirements: Sequence[Retirement]) -> bool:
    return isinstance(answer, Refused) or (
        (answer.key, answer.numbers) == (key, tuple(x.numbers for x in retirements)) and aware(answer.until)
    )


def _proves(answer: Delivery | Refused, key: str, line: str) -> bool:
    return isinstance(answer, Refused) or ((answer.key, answer.line) == (key, line) and aware(answer.at))
