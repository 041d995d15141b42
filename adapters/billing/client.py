"""A remote billing system, over HTTP."""

from collections.abc import Sequence
from datetime import datetime

import httpx

from adapters.billing.operations import (
    AMEND_INITIATED,
    CHARGE,
    FULFILL,
    INITIATE,
    LIST_ACTIVE,
    PRODUCTS,
    PURCHASE,
    QUERY,
    REFERENCES,
    REPOINT,
    RESUME,
    SUSPEND,
    SYNC_CUSTOMER,
    TERMINATE,
    UPDATE,
    VOID_INITIATED,
    About,
    Amend,
    Bill,
    Charge,
    Initiate,
    Repoint,
    Updates,
    Void,
)
from adapters.remote import AT_ONCE, Remote, aware
from adapters.wire import Operation
from domain.billing import (
    Account,
    Billed,
    BilledService,
    InstanceState,
    Move,
    PurchaseOrder,
    Repointed,
    ServiceOrder,
    Update,
)
from domain.catalog_sync import BillingProduct
from domain.neighbour import PAGE, Refused


class BillingClient:
    """Billing at a base URL, which serves what :mod:`adapters.billing.operations` says."""

    def __init__(self, base_url: str, *, at_once: int = AT_ONCE, transport: httpx.BaseTransport | None = None) -> None:
        self._remote = Remote(base_url, at_once=at_once, transport=transport)

    def sync_customer(self, *, key: str, account: Account) -> Account | Refused:
        """Make the account known, or bring it up to date (F34)."""
        return self._remote.call(
            SYNC_CUSTOMER, key=key, asked=account, fits=lambda x: isinstance(x, Refused) or x.id == account.id
        )

    def initiate(self, *, key: str, orders: Sequence[ServiceOrder]) -> Billed | Refused:
        """Phase one for the services of a bundle (B49)."""
        asked = Initiate(orders=tuple(orders))
        return self._remote.call(INITIATE, key=key, asked=asked, fits=lambda x: _fits(x, key, InstanceState.INITIATED))

    def amend_initiated(
        self, *, key: str, orders: Sequence[ServiceOrder], replaces: str, dropped: Sequence[str]
    ) -> Billed | Refused:
        """Let what was initiated be otherwise (B57, 5.4)."""
        asked = Amend(orders=tuple(orders), replaces=replaces, dropped=tuple(dropped))
        return self._remote.call(
            AMEND_INITIATED, key=key, asked=asked, fits=lambda x: _fits(x, key, InstanceState.INITIATED)
        )

    def fulfill(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """Phase two for one initiated service (B49, B57)."""
        asked = Bill(order=order, actual=actual)
        return self._remote.call(FULFILL, key=key, asked=asked, fits=lambda x: _fits(x, key, InstanceState.ACTIVE))

    def purchase(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """The one call of single-phase billing (B48)."""
        asked = Bill(order=order, actual=actual)
        return self._remote.call(PURCHASE, key=key, asked=asked, fits=lambda x: _fits(x, key, InstanceState.ACTIVE))

    def void_initiated(self, *, key: str, asset: str, undoes: str | None = None) -> Billed | Refused | None:
        """Take back an initiated service, instance and products together (5.4)."""
        asked = Void(asset=asset, undoes=undoes)
        return self._remote.call(
            VOID_INITIATED, key=key, asked=asked, fits=lambda x: _fits(x, key, InstanceState.VOIDED)
        )

    def suspend(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """Let what is billed for an asset rest (B50)."""
        return self._become(SUSPEND, key, asset, actual, InstanceState.SUSPENDED)

    def resume(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """Let what is suspended be billed again (B50)."""
        return self._become(RESUME, key, asset, actual, InstanceState.ACTIVE)

    def terminate(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """End what is billed for an asset (B42, B51)."""
        return self._become(TERMINATE, key, asset, actual, InstanceState.CLOSED)

    def update(self, *, key: str, updates: Sequence[Update], actual: datetime) -> Billed | Refused:
        """Let a service, and products in it, be otherwise (B54, B56)."""
        asked = Updates(updates=tuple(updates), actual=actual)
        states = (InstanceState.ACTIVE, InstanceState.SUSPENDED)
        return self._remote.call(UPDATE, key=key, asked=asked, fits=lambda x: _fits(x, key, *states))

    def charge(self, *, key: str, service: str, charge: PurchaseOrder, actual: datetime) -> Billed | Refused:
        """Charge an Item to the balance group of a service (B26, B58)."""
        asked = Charge(service=service, charge=charge, actual=actual)
        return self._remote.call(CHARGE, key=key, asked=asked, fits=lambda x: _fits(x, key, InstanceState.ACTIVE))

    def repoint(self, *, key: str, moves: Sequence[Move], actual: datetime) -> Repointed | Refused:
        """Let instances and purchases be known by other assets (B53)."""
        asked = Repoint(moves=tuple(moves), actual=actual)
        return self._remote.call(REPOINT, key=key, asked=asked, fits=lambda x: _resolves(x, key, asked.moves))

    def query(self, *, key: str) -> Billed | Account | Repointed | Refused | None:
        """The answer remembered for a key."""
        return self._remote.ask(
            QUERY, {"key": key}, fits=lambda x: not isinstance(x, Billed | Repointed) or x.key == key
        )

    def references(self, *, product: str) -> Sequence[str]:
        """Ids of the open purchases of a product (B40)."""
        return self._remote.ask(REFERENCES, {"product": product})

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[BilledService]:
        """The services billed, initiated or suspended at an instant, ascending by key (F06)."""
        return self._remote.ask(
            LIST_ACTIVE,
            {"as_of": as_of.isoformat(), "after": after, "limit": limit},
            fits=lambda found: all(aware(x.since, x.state_since) and x.service > after for x in found),
        )

    def products(self, *, service_instances: Sequence[str]) -> Sequence[BillingProduct]:
        """The billing system's own products (B18, B32, B62)."""
        return self._remote.ask(PRODUCTS, {"service_instances": list(service_instances)})

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._remote.close()

    def _become(
        self,
        operation: Operation[About, Billed | Refused],
        key: str,
        asset: str,
        actual: datetime,
        state: InstanceState,
    ) -> Billed | Refused:
        """Have what is billed pass into a state; billing must have kept the date (5.5)."""

        def fits(answer: Billed | Refused) -> bool:
            return _fits(answer, key, state) and (isinstance(answer, Refused) or answer.since == actual)

        return self._remote.call(operation, key=key, asked=About(asset=asset, actual=actual), fits=fits)


def _fits(answer: Billed | Refused | None, key: str, *states: InstanceState) -> bool:
    return not isinstance(answer, Billed) or (
        answer.key == key and answer.state in states and aware(answer.since, *(x.starts for x in answer.purchases))
    )


def _resolves(answer: Repointed | Refused, key: str, moves: Sequence[Move]) -> bool:
    return isinstance(answer, Refused) or (answer.key == key and {*answer.objects.values()} == {x.new for x in moves})
