"""The words spoken with the billing system: service instances, purchased products, charges (billing.md 5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from domain.catalog import ACCOUNT_LEVEL, BillingPhase, BillingType
from domain.change_plan import told
from domain.decomposed import Decomposed
from domain.in_flight import InFlight
from domain.money import Money
from domain.order import OrderLine, asset_id
from domain.plan import PlanItem


class InstanceState(StrEnum):
    """The life of a service instance (5.1)."""

    INITIATED = "initiated"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    VOIDED = "voided"


class PurchaseState(StrEnum):
    """The life of a purchased product (5.1)."""

    INITIATED = "initiated"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    VOIDED = "voided"


INSTANCE_NEXT: Mapping[InstanceState, frozenset[InstanceState]] = {
    InstanceState.INITIATED: frozenset({InstanceState.INITIATED, InstanceState.ACTIVE, InstanceState.VOIDED}),
    InstanceState.ACTIVE: frozenset({InstanceState.SUSPENDED, InstanceState.CLOSED}),
    InstanceState.SUSPENDED: frozenset({InstanceState.ACTIVE, InstanceState.CLOSED}),
    InstanceState.CLOSED: frozenset(),
    InstanceState.VOIDED: frozenset(),
}
"""What may follow what; anything else is an error and must not be retried (5.1)."""

PURCHASE_OF: Mapping[InstanceState, PurchaseState] = {
    InstanceState.INITIATED: PurchaseState.INITIATED,
    InstanceState.ACTIVE: PurchaseState.ACTIVE,
    InstanceState.SUSPENDED: PurchaseState.SUSPENDED,
    InstanceState.CLOSED: PurchaseState.CANCELLED,
    InstanceState.VOIDED: PurchaseState.VOIDED,
}
"""The purchased product's state that goes with its instance's (I6)."""

PLACEHOLDER_DAYS = 365
"""How far ahead the dates of an initiated purchase lie until it is fulfilled (5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A billing account as billing must know it before its first call (F34)."""

    id: str
    name: str
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseOrder:
    """One product to be purchased: a subscription or discount for a period, or an item charged once."""

    asset: str
    line: str
    product: str
    billing_type: BillingType
    quantity: int
    price: Money | None = None
    promotion_ref: str | None = None
    duration_months: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOrder:
    """All that one billing call carries: at most one service instance, and what is purchased with it (5.3).

    ``billing_service_type`` is the instance's, or ``None`` when the products stand alone: bought on the account, or for
    the service whose asset is ``holder`` when billing has an instance for it by then.
    """

    account: str
    profile: str | None
    asset: str
    line: str
    billing_service_type: str | None
    service_id: str | None
    purchases: tuple[PurchaseOrder, ...]
    holder: str | None = None
    due: date | None = None
    """The day on which the service is to begin, as far as the order says (B57)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What of an asset is otherwise in billing from now on: the fields that ``changes`` names, and no others.

    The first three are the service instance's, with all that is in it (B54); the others the purchased product's (B56).
    ``line`` is the one that asks for it.
    """

    asset: str
    line: str
    changes: tuple[str, ...]
    service_id: str | None = None
    billing_account: str | None = None
    billing_profile: str | None = None
    price: Money | None = None
    promotion_ref: str | None = None
    quantity: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What billing knew by the asset ``old`` is to be known by ``new``; ``line`` is the one that asks for it (B53)."""

    old: str
    new: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repointed:
    """The asset by which each billing object is known from now on, by its id, which stays what it was (B53)."""

    key: str
    objects: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchased:
    """A purchased product as billing answers it."""

    id: str
    asset: str
    product: str
    quantity: int
    state: PurchaseState
    service_instance: str | None = None
    starts: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """Billing's answer: the instance (none for what stands alone) and its purchases, in their common state."""

    key: str
    state: InstanceState
    service_instance: str | None
    balance_group: str | None
    purchases: tuple[Purchased, ...]
    charged: Money | None = None
    since: datetime | None = None
    """Of what was suspended, resumed or ended: since when, as billing keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledService:
    """One service as billing lists it, for comparison with what runs (F06); it is billed only while it is active.

    ``since`` is the actual date; of an initiated one, when it was initiated. ``state_since`` is when it was last
    suspended or resumed, if it ever was. ``quantity`` is that of a simple service bundle's own product, ``price`` what
    all subscriptions of the service cost together, for a month.
    """

    service: str
    account: str
    service_instance: str | None
    since: datetime
    state: InstanceState = InstanceState.ACTIVE
    billing_service_type: str | None = None
    quantity: int = 1
    price: Money | None = None
    state_since: datetime | None = None


def service_order(
    decomposed: Decomposed, order_id: str, lines: tuple[OrderLine, ...], *, items_too: bool
) -> ServiceOrder:
    """What one billing call carries for a service (or a line billed alone) and the lines billed with it.

    A non-billing line or an Event is never in it (B14, B37).
    """
    head = lines[0]
    product = decomposed.product(head)
    holder = None if product.is_service else decomposed.service_of(head)
    return ServiceOrder(
        account=head.billing_account or "",
        profile=head.billing_profile,
        asset=asset_id(order_id, head),
        line=head.id,
        billing_service_type=product.billing_service_type if product.is_service else None,
        service_id=head.service_id,
        purchases=tuple(_purchase(decomposed, order_id, x) for x in purchased(decomposed, lines, items_too=items_too)),
        holder=asset_id(order_id, holder) if holder and product.billing_service_type != ACCOUNT_LEVEL else None,
        due=max((x.due_date for x in lines if x.due_date), default=None),
    )


def purchased(decomposed: Decomposed, lines: tuple[OrderLine, ...], *, items_too: bool) -> tuple[OrderLine, ...]:
    """The lines that a call purchases.

    The bundle itself purchases nothing; a simple service bundle is both instance and product (B35, B45); Items are
    charged only at the end, when ``items_too``.
    """
    never = {BillingType.SERVICE_BUNDLE} if items_too else {BillingType.SERVICE_BUNDLE, BillingType.ITEM}
    return tuple(x for x in lines if decomposed.product(x).billing_type not in never)


def _purchase(decomposed: Decomposed, order_id: str, line: OrderLine) -> PurchaseOrder:
    product = decomposed.product(line)
    assert product.billing_type is not None, "a non-billing line never reaches billing (B14)"
    return PurchaseOrder(
        asset=asset_id(order_id, line),
        line=line.id,
        product=line.product,
        billing_type=product.billing_type,
        quantity=line.quantity,
        price=line.price or product.price,
        promotion_ref=line.promotion_ref,
        duration_months=product.duration_months,
    )


def initiated_services(in_flight: InFlight, item: PlanItem) -> tuple[ServiceOrder, ...]:
    """One order for each two-phase service of the bundle, without its Items: those are charged at the end (5.3)."""
    decomposed = in_flight.decomposed
    return tuple(
        service_order(decomposed, in_flight.id, decomposed.initiated_with(line), items_too=False)
        for line in in_flight.lines(item)
        if decomposed.product(line).is_service and decomposed.phase(line) is BillingPhase.TWO
    )


def carried(in_flight: InFlight, item: PlanItem) -> ServiceOrder:
    """All that the closing billing call of a service, or of a line billed alone, carries."""
    return service_order(in_flight.decomposed, in_flight.id, in_flight.lines(item), items_too=True)


def updates(in_flight: InFlight, item: PlanItem) -> tuple[Update, ...]:
    """What is otherwise in billing with a service and products in it: of each line what billing is told of."""
    decomposed = in_flight.decomposed
    return tuple(
        Update(
            asset=in_flight.asset(line),
            line=line.id,
            changes=told(decomposed, line),
            service_id=line.service_id,
            billing_account=line.billing_account,
            billing_profile=line.billing_profile,
            price=line.price or decomposed.product(line).price,
            promotion_ref=line.promotion_ref,
            quantity=line.quantity,
        )
        for line in in_flight.lines(item)
    )


def charged_service(in_flight: InFlight, item: PlanItem) -> str:
    """The asset of the service to whose balance group a service charge is posted (B26, B58)."""
    line = in_flight.order.by_id[item.subject]
    return line.service or in_flight.asset(in_flight.order.by_id[line.related_line or ""])


def charge(in_flight: InFlight, item: PlanItem) -> PurchaseOrder:
    """What a change costs."""
    return _purchase(in_flight.decomposed, in_flight.id, in_flight.order.by_id[item.subject])


def moves(in_flight: InFlight, item: PlanItem) -> tuple[Move, ...]:
    """The old and the new asset of each thing that moves (B53)."""
    by_id = in_flight.order.by_id
    return tuple(
        Move(old=in_flight.asset(by_id[x.related_line or ""]), new=in_flight.asset(x), line=x.id)
        for x in in_flight.lines(item)
    )
