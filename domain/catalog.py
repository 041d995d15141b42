"""Products and what may contain what: one published, immutable catalog version."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from domain.money import Money


class BillingType(StrEnum):
    """What the billing system takes the product for; a product without one is non-billing (B04, B12)."""

    SERVICE_BUNDLE = "service_bundle"
    SUBSCRIPTION = "subscription"
    ITEM = "item"
    DISCOUNT = "discount"
    EVENT = "event"


class Origin(StrEnum):
    """Where a product was made: by a catalog administrator, or by synchronization from the billing system."""

    CRM = "crm"
    BILLING_SYNC = "billing_sync"


class DeliveryKind(StrEnum):
    """How the product reaches the customer."""

    LOGICAL = "logical"
    PHYSICAL = "physical"
    PROFESSIONAL_SERVICE = "professional_service"
    NONE = "none"


class BillingPhase(StrEnum):
    """One billing call for the whole Add, or initiate before and fulfill after activation (B48, B49)."""

    SINGLE = "single"
    TWO = "two"


class Lifecycle(StrEnum):
    """Whether the product can be ordered."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class Kind(StrEnum):
    """What a product is in the terms of the bundle rules; derived, never stored."""

    SERVICE_BUNDLE = "service_bundle"
    SIMPLE_SERVICE_BUNDLE = "simple_service_bundle"
    BILLING_COMPONENT = "billing_component"
    EVENT = "event"
    NON_BILLING = "non_billing"


class ChargeTrigger(StrEnum):
    """The changes that may cause a service charge (B24, B25)."""

    UPDATE = "update"
    DELETE = "delete"
    SUSPEND = "suspend"
    RESUME = "resume"
    MOVE = "move"
    PROMO_UPGRADE = "promo_upgrade"
    PROMO_DOWNGRADE = "promo_downgrade"


ACCOUNT_LEVEL = "/account"
"""The billing service type of a product that is billed to the account itself: no service instance (B19)."""

_BILLING_SERVICE_TYPE = re.compile(r"/(service(/[a-z0-9_]+)+|account)")


def is_billing_service_type(text: str) -> bool:
    """Whether it is a slash path as the billing system writes them (B19)."""
    return _BILLING_SERVICE_TYPE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A product's place inside another: how many lines of it an order of the parent may have.

    A new order starts with ``default`` of them, and never with fewer than ``min``. ``group`` is the heading it is shown
    under, such as "Rate plans" (B15).
    """

    product: str
    min: int = 0
    max: int = 1
    default: int = 0
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCharge:
    """The Item product that a change of a service costs (B26)."""

    trigger: ChargeTrigger
    product: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product of one catalog version.

    ``pool`` names the pool of numbers or addresses one unit takes (logical); ``sku`` the stock item (physical).
    """

    code: str
    name: str
    billing_type: BillingType | None = None
    billing_service_type: str | None = None
    origin: Origin = Origin.CRM
    service_instance: bool = False
    track_as_asset: bool = True
    delivery_kind: DeliveryKind = DeliveryKind.NONE
    billing_phase: BillingPhase = BillingPhase.SINGLE
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    components: tuple[Component, ...] = ()
    price: Money | None = None
    pool: str | None = None
    sku: str | None = None
    service_type: str | None = None
    requires_truck_roll: bool = False
    co_delivered_with: tuple[str, ...] = ()
    revenue_segment: str | None = None
    service_charges: tuple[ServiceCharge, ...] = ()
    duration_months: int | None = None
    """How long a time-limited component, such as a discount, lasts (B71)."""
    needs_approval: bool = False
    """Whether somebody approves every order of it (F31)."""
    approval_above_percent: int | None = None
    """By how many percent a line's own price may differ before somebody approves it; ``None``: as it likes (F31)."""
    description: str | None = None
    supersedes: str | None = None
    synced_at: datetime | None = None

    @property
    def kind(self) -> Kind:
        """What the product is (B03, B12, B30, B70): decided by billing type, origin and the service instance flag."""
        match self.billing_type:
            case None:
                return Kind.NON_BILLING
            case BillingType.SERVICE_BUNDLE:
                return Kind.SERVICE_BUNDLE
            case BillingType.EVENT:
                return Kind.EVENT
            case BillingType.SUBSCRIPTION if self.service_instance and self.origin is Origin.BILLING_SYNC:
                return Kind.SIMPLE_SERVICE_BUNDLE
            case _:
                return Kind.BILLING_COMPONENT

    @property
    def is_service(self) -> bool:
        """Whether a line of it owns a billing service instance (B02, B34)."""
        return self.kind in (Kind.SERVICE_BUNDLE, Kind.SIMPLE_SERVICE_BUNDLE)


@dataclass(frozen=True)
class Catalog:
    """A published catalog version: immutable, and pinned by every order made from it.

    ``known`` is the kind of every product that this version or an earlier one has held; a service's kind stays in it
    whatever becomes of the product, because it may never turn into the other (B66). Before any is published, version 0
    holds nothing.
    """

    version: int
    products: Mapping[str, Product] = field(default_factory=dict)
    known: Mapping[str, Kind] = field(default_factory=dict)

    def get(self, code: str) -> Product | None:
        """The product, or ``None`` when this version has none of that code."""
        return self.products.get(code)

    def __getitem__(self, code: str) -> Product:
        """The product of that code; ``KeyError`` when there is none."""
        return self.products[code]

    def is_customizable(self, product: Product) -> bool:
        """Whether it has components a customer can choose; fixed synchronized Events do not count (B05, B07)."""
        return any(c for c in product.components if (p := self.get(c.product)) and p.kind is not Kind.EVENT)

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """Which products contain each product directly."""
        found: dict[str, list[str]] = {code: [] for code in self.products}
        for product in self.products.values():
            for component in product.components:
                found.setdefault(component.product, []).append(product.code)
        return {code: tuple(parents) for code, parents in found.items()}

    @cached_property
    def asks_approval(self) -> bool:
        """Whether any order of these products may need somebody's approval (F31)."""
        return any(x.needs_approval or x.approval_above_percent is not None for x in self.products.values())

    def __iter__(self) -> Iterator[Product]:
        """The products, in the order of the document."""
        return iter(self.products.values())
