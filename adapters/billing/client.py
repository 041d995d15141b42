"""Billing, at the other end of a line."""

from collections.abc import Sequence
from datetime import datetime

import httpx

from adapters.billing.operations import (
    FULFILL,
    INITIATE,
    LIST_ACTIVE,
    PRODUCTS,
    PURCHASE,
    QUERY,
    REFERENCES,
    SYNC_CUSTOMER,
    VOID_INITIATED,
    Bill,
    Initiate,
    Void,
)
from adapters.remote import Remote
from domain.billing import Account, Billed, BilledService, ServiceOrder
from domain.catalog_sync import BillingProduct
from domain.neighbour import Refused


class BillingClient:
    """Billing over HTTP."""

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._remote = Remote(base_url, transport=transport)

    def sync_customer(self, *, key: str, account: Account) -> Account | Refused:
        """Make the account known, or bring it up to date (F34)."""
        return self._remote.call(SYNC_CUSTOMER, key=key, asked=account)

    def initiate(self, *, key: str, orders: Sequence[ServiceOrder]) -> Billed | Refused:
        """Phase one for the services of a bundle, all or none (B49)."""
        return self._remote.call(INITIATE, key=key, asked=Initiate(orders=tuple(orders)))

    def fulfill(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """Phase two for one initiated service (B49, B57)."""
        return self._remote.call(FULFILL, key=key, asked=Bill(order=order, actual=actual))

    def purchase(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """The one call of single-phase billing (B48)."""
        return self._remote.call(PURCHASE, key=key, asked=Bill(order=order, actual=actual))

    def void_initiated(self, *, key: str, asset: str) -> Billed | Refused | None:
        """Take back an initiated service; ``None`` when there is none (5.4)."""
        return self._remote.call(VOID_INITIATED, key=key, asked=Void(asset=asset))

    def query(self, *, key: str) -> Billed | Account | Refused | None:
        """The answer remembered for a key."""
        return self._remote.read(QUERY, key=key)

    def references(self, *, product: str) -> Sequence[str]:
        """Ids of the open purchases of a product (B40)."""
        return self._remote.read(REFERENCES, product=product)

    def list_active(self, *, as_of: datetime) -> Sequence[BilledService]:
        """Every service billed as active at an instant."""
        return self._remote.read(LIST_ACTIVE, as_of=as_of.isoformat())

    def products(self, *, service_instances: Sequence[str]) -> Sequence[BillingProduct]:
        """Billing's own products; those named come with their Events (B18, B32, B62)."""
        return self._remote.read(PRODUCTS, service_instances=list(service_instances))

    def close(self) -> None:
        """Let go of the connections."""
        self._remote.close()
