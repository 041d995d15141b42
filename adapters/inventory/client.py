"""Inventory, at the other end of a line."""

from collections.abc import Sequence

import httpx

from adapters.inventory.operations import COMMIT, DELIVER, QUERY, RELEASE, RESERVE, Deliver, Reserve, Settle
from adapters.remote import Remote
from domain.inventory import Delivery, Demand, Reservation
from domain.neighbour import Refused


class InventoryClient:
    """Inventory over HTTP."""

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._remote = Remote(base_url, transport=transport)

    def reserve(self, *, key: str, order: str, demands: Sequence[Demand]) -> Reservation | Refused:
        """Hold everything demanded, or nothing."""
        return self._remote.call(RESERVE, key=key, asked=Reserve(order=order, demands=tuple(demands)))

    def deliver(self, *, key: str, reservation: str, line: str) -> Delivery | Refused:
        """Hand the goods held for one line to the customer."""
        return self._remote.call(DELIVER, key=key, asked=Deliver(reservation=reservation, line=line))

    def commit(self, *, key: str, reservation: str) -> Reservation | Refused:
        """Take what is held for good."""
        return self._remote.call(COMMIT, key=key, asked=Settle(reservation=reservation))

    def release(self, *, key: str, reservation: str) -> Reservation | Refused | None:
        """Give back what is held; ``None`` when the reservation never came to be."""
        return self._remote.call(RELEASE, key=key, asked=Settle(reservation=reservation))

    def query(self, *, key: str) -> Reservation | Delivery | Refused | None:
        """The answer remembered for a key."""
        return self._remote.read(QUERY, key=key)

    def close(self) -> None:
        """Let go of the connections."""
        self._remote.close()
