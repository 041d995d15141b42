"""What billing is asked and answers, operation by operation."""

from dataclasses import dataclass
from datetime import datetime

from adapters.wire import Operation
from domain.billing import (
    Account,
    Billed,
    BilledService,
    Move,
    PurchaseOrder,
    Repointed,
    ServiceOrder,
    Update,
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Suspend, resume or end what is billed for an asset, from the actual date on."""

    asset: str
    actual: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """Let what is billed be otherwise, all of it or nothing, from the actual date on."""

    updates: tuple[Update, ...]
    actual: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Charge something once to the balance group of a service, by its asset, on the actual date."""

    service: str
    charge: PurchaseOrder
    actual: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Repoint:
    """Let what was known by some assets be known by others, all of it or nothing, from the actual date on."""

    moves: tuple[Move, ...]
    actual: datetime


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
SUSPEND: Operation[About, Billed | Refused] = Operation("suspend", asked=About, answer=Billed | Refused)
RESUME: Operation[About, Billed | Refused] = Operation("resume", asked=About, answer=Billed | Refused)
TERMINATE: Operation[About, Billed | Refused] = Operation("terminate", asked=About, answer=Billed | Refused)
UPDATE: Operation[Updates, Billed | Refused] = Operation("update", asked=Updates, answer=Billed | Refused)
CHARGE: Operation[Charge, Billed | Refused] = Operation("charge", asked=Charge, answer=Billed | Refused)
REPOINT: Operation[Repoint, Repointed | Refused] = Operation("repoint", asked=Repoint, answer=Repointed | Refused)
QUERY: Operation[None, Billed | Account | Repointed | Refused | None] = Operation(
    "query", asked=None, answer=Billed | Account | Repointed | Refused | None
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
        SUSPEND,
        RESUME,
        TERMINATE,
        UPDATE,
        CHARGE,
        REPOINT,
        QUERY,
        REFERENCES,
        LIST_ACTIVE,
        PRODUCTS,
    )
)
