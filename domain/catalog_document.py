"""A catalog as a document: the fields of products as plain text, numbers and lists, and back."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from domain.catalog import (
    BillingPhase,
    BillingType,
    ChargeTrigger,
    Component,
    DeliveryKind,
    Lifecycle,
    Origin,
    Product,
    ServiceCharge,
)
from domain.money import Money

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """The products of a document, as far as they can be read.

    Those ``unreadable`` have a billing type nobody knows, and are read without one. ``mispriced`` are the codes of
    products whose price is no amount of its currency; they are read without it.
    """

    products: tuple[Product, ...]
    unreadable: tuple[Product, ...] = ()
    mispriced: tuple[str, ...] = ()


def read_all(entries: Iterable[Mapping[str, Any]]) -> ReadDocument:
    """Read the products of a document whose shape has been checked."""
    products: list[Product] = []
    unreadable: list[Product] = []
    mispriced: list[str] = []
    for entry in entries:
        named = entry.get("billing_type")
        billing_type = billing_type_named(named) if named is not None else None
        price = entry.get("price")
        if price is not None and not _is_amount(price):
            mispriced.append(entry["code"])
            price = None
        product = read({**entry, "billing_type": billing_type, "price": price})
        (products if named is None or billing_type else unreadable).append(product)
    return ReadDocument(tuple(products), tuple(unreadable), tuple(mispriced))


def _is_amount(price: Mapping[str, str]) -> bool:
    try:
        Money.parse(price["amount"], price["currency"])
    except ValueError:
        return False
    return True


def billing_type_named(name: str) -> BillingType | None:
    """The billing type of that name, also as people write it (``Service Bundle``); ``None`` if there is none (B04)."""
    try:
        return BillingType(name.lower().replace(" ", "_"))
    except ValueError:
        return None


def read(entry: Mapping[str, Any]) -> Product:
    """One product of a document; a physical one that names no stock item is stocked under its own code."""
    given = {name: value for name, value in entry.items() if value is not None}
    product = Product(**(given | {name: read_as(given[name]) for name, read_as in _READ.items() if name in given}))
    if product.delivery_kind is DeliveryKind.PHYSICAL and product.sku is None:
        return replace(product, sku=product.code)
    return product


def write(product: Product) -> Document:
    """The product as a document entry that :func:`read` reads back; fields that hold their default are left out."""
    return _written_fields(product)


def digest(products: Iterable[Product]) -> str:
    """The same for documents that say the same, however they are written and whenever they were synchronized."""
    entries = [write(replace(product, synced_at=None)) for product in products]
    return sha256(json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_READ: Mapping[str, Callable[[Any], object]] = {
    "billing_type": BillingType,
    "origin": Origin,
    "delivery_kind": DeliveryKind,
    "billing_phase": BillingPhase,
    "lifecycle": Lifecycle,
    "components": lambda entries: tuple(Component(**entry) for entry in entries),
    "price": lambda entry: Money.parse(entry["amount"], entry["currency"]),
    "co_delivered_with": tuple,
    "service_charges": lambda entries: tuple(
        ServiceCharge(trigger=ChargeTrigger(entry["trigger"]), product=entry["product"]) for entry in entries
    ),
    "synced_at": datetime.fromisoformat,
}


def _written_fields(value: Any) -> Document:  # noqa: ANN401 - any of the frozen values a product is made of
    named = ((field, getattr(value, field.name)) for field in fields(value))
    return {field.name: _written(held) for field, held in named if field.default is MISSING or held != field.default}


def _written(value: Any) -> Any:  # noqa: ANN401
    match value:
        case Money():
            return {"amount": str(value), "currency": value.currency}
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Component() | ServiceCharge():
            return _written_fields(value)
        case tuple():
            return [_written(each) for each in value]
        case _:
            return value
