"""What billing is asked and answers, operation by operation."""

from dataclasses import dataclass
from datetime import datetime

from adapters.wire import Operation
from domain.billing import Account, Billed, BilledService, ServiceOrder
from domain.catalog_sync import BillingProduct
from domain.neighbour import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate:
    """Phase one for the services of a bundle."""

    orders: tuple[ServiceOrder, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend:
    """Let what was initiated under the key ``replaces`` be as ``orders`` say; void what is ``dropped``, by asset."""

    orders: tuple[ServiceOrder, ...]
    replaces: str
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Phase two, or the one call of single-phase billing, from the actual date on."""

    order: ServiceOrder
    actual: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """Take back what was initiated for an asset, and have no effect of the call under ``undoes`` for it any more."""

    asset: str
    undoes: str | None = None


SYNC_CUSTOMER: Operation[Account, Account | Refused] = Operation(
    "sync_customer", asked=Account, answer=Account | Refused
)
INITIATE: Operation[Initiate, Billed | Refused] = Operation("initiate", asked=Initiate, answer=Billed | Refused)
AMEND_INITIATED: Operation[Amend, Billed | Refused] = Operation("amend_initiated", asked=Amend, answer=Billed | Refused)
FULFILL: Operation[Bill, Billed | Refused] = Operation("fulfill", asked=Bill, answer=Billed | Refused)
PURCHASE: Operation[Bill, Billed | Refused] = Operation("purchase", asked=Bill, answer=Billed | Refused)
VOID_INITIATED: Operation[Void, Billed | Refused | None] = Operation(
    "void_initiated", asked=Void, answer=Billed | Refused | None
)
QUERY: Operation[None, Billed | Account | Refused | None] = Operation(
    "query", asked=None, answer=Billed | Account | Refused | None
)
REFERENCES: Operation[None, tuple[str, ...]] = Operation("references", asked=None, answer=tuple[str, ...])
LIST_ACTIVE: Operation[None, tuple[BilledService, ...]] = Operation(
    "list_active", asked=None, answer=tuple[BilledService, ...]
)
PRODUCTS: Operation[None, tuple[BillingProduct, ...]] = Operation(
    "products", asked=None, answer=tuple[BillingProduct, ...]
)

SWITCHABLE = frozenset(
    operation.name
    for operation in (
        SYNC_CUSTOMER,
        INITIATE,
        AMEND_INITIATED,
        FULFILL,
        PURCHASE,
        VOID_INITIATED,
        QUERY,
        REFERENCES,
        LIST_ACTIVE,
        PRODUCTS,
    )
)
