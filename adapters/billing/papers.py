"""What billing writes down for the orders of a call: the rows of instances and purchases, with ids of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic_core import to_json

from domain.billing import PurchaseOrder, ServiceOrder
from domain.catalog import BillingType
from domain.money import Money
from domain.neighbour import Unacceptable

PURCHASABLE = frozenset({BillingType.SUBSCRIPTION, BillingType.ITEM, BillingType.DISCOUNT})
"""A bundle is an instance and no product, an Event describes what is rated: neither is purchased (B14, B35, B37)."""


@dataclass(frozen=True, slots=True)
class Papers:
    """Rows to be written: instances, and purchases that name the instance they come with."""

    instances: Sequence[Mapping[str, Any]]
    purchases: Sequence[Mapping[str, Any]]

    @property
    def as_json(self) -> tuple[str, str]:
        """Instances and purchases as a statement takes them."""
        return to_json(self.instances).decode(), to_json(self.purchases).decode()


def drawn_up(orders: Sequence[ServiceOrder]) -> Papers:
    """The rows for orders; ``Unacceptable`` when one holds what can never be purchased."""
    instances: list[dict[str, Any]] = []
    purchases: list[dict[str, Any]] = []
    for order in orders:
        instance = None
        if order.billing_service_type is not None:
            instance = f"SI-{uuid4().hex}"
            instances.append(_instance(instance, order))
        purchases += [_purchase(order, x, instance) for x in order.purchases]
    return Papers(instances, purchases)


def _instance(instance: str, order: ServiceOrder) -> dict[str, Any]:
    return {
        "id": instance,
        "billing_service_type": order.billing_service_type,
        "account": order.account,
        "profile": order.profile,
        "service_id": order.service_id,
        "asset": order.asset,
        "line": order.line,
        "balance_group": f"BG-{instance}",
    }


def _purchase(order: ServiceOrder, purchase: PurchaseOrder, instance: str | None) -> dict[str, Any]:
    if purchase.billing_type not in PURCHASABLE:
        raise Unacceptable(f"line {purchase.line}: a {purchase.billing_type} is not purchased")
    if purchase.quantity < 1:
        raise Unacceptable(f"line {purchase.line}: a quantity of at least one is purchased (B47)")
    return {
        "id": f"PP-{uuid4().hex}",
        "product": purchase.product,
        "billing_type": purchase.billing_type,
        "account": order.account,
        "instance": instance,
        "asset": purchase.asset,
        "line": purchase.line,
        "quantity": purchase.quantity,
        "price_minor": purchase.price.minor if purchase.price else None,
        "currency": purchase.price.currency if purchase.price else None,
        "promotion_ref": purchase.promotion_ref,
        "duration_months": purchase.duration_months,
    }


def charged(orders: Sequence[ServiceOrder]) -> Money | None:
    """The sum of the one-time charges of orders, or ``None`` without any; one call is in one currency."""
    items = [
        x.price.times(x.quantity)
        for order in orders
        for x in order.purchases
        if x.billing_type is BillingType.ITEM and x.price is not None
    ]
    if len(currencies := {x.currency for x in items}) > 1:
        raise Unacceptable(f"charges in {' and '.join(sorted(currencies))} cannot be added up")
    return Money(sum(x.minor for x in items), items[0].currency) if items else None
