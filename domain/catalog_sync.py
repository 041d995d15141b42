"""Synchronizing the catalog with the billing system's own products (B18, B32, B62)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain.catalog import BillingType, Catalog, Component, Kind, Lifecycle, Origin, Product
from domain.money import Money
from domain.violation import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingProduct:
    """One product as billing knows it; ``events`` are the codes of the Event products it rates, listed as well."""

    code: str
    name: str
    billing_type: BillingType
    billing_service_type: str
    price: Money | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The catalog's products after synchronization, and the codes of those that are new, changed, or in conflict.

    In conflict is a product made here whose code billing uses for one of its own: ours stays as it is.
    """

    products: tuple[Product, ...]
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOutcome:
    """What a synchronization came to: the current version, or the rules that the merged catalog would break.

    With violations nothing was published; without changes the version is the one that was there before.
    """

    version: int
    published: bool = False
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


def flagged(catalog: Catalog) -> tuple[str, ...]:
    """The simple service bundles, of which billing is to list the Events (B62)."""
    return tuple(product.code for product in catalog if product.kind is Kind.SIMPLE_SERVICE_BUNDLE)


def merge(catalog: Catalog, billed: Iterable[BillingProduct], *, now: datetime) -> Merged:
    """The catalog with what billing says of its own products.

    Billing type, billing service type and the Events of simple service bundles are billing's (B18, B62); name, price
    and all else are ours once a product is here. A product that billing no longer lists stays: bundles may need it.
    """
    listed = {each.code: each for each in billed}
    known = {p.code: _synchronized(p, listed.get(p.code), now) for p in catalog}
    products = _with_bundles(known, was=catalog)
    new = {code: _new(each, now) for code, each in listed.items() if code not in known}
    return Merged(
        products=(*products.values(), *new.values()),
        added=tuple(new),
        changed=tuple(code for code, product in products.items() if product != catalog[code]),
        conflicts=tuple(p.code for p in catalog if p.code in listed and p.origin is not Origin.BILLING_SYNC),
    )


def _synchronized(product: Product, billed: BillingProduct | None, now: datetime) -> Product:
    if billed is None or product.origin is not Origin.BILLING_SYNC:
        return product
    components = product.components
    if product.kind is Kind.SIMPLE_SERVICE_BUNDLE:
        placed = {component.product: component for component in components}
        components = tuple(placed.get(event) or Component(product=event) for event in billed.events)
    merged = replace(
        product,
        billing_type=billed.billing_type,
        billing_service_type=billed.billing_service_type,
        components=components,
    )
    return product if merged == product else replace(merged, synced_at=now)


def _new(billed: BillingProduct, now: datetime) -> Product:
    """A draft until somebody gives it its place or flags it as a service; the place of an Event is known."""
    is_event = billed.billing_type is BillingType.EVENT
    return Product(
        code=billed.code,
        name=billed.name,
        billing_type=billed.billing_type,
        billing_service_type=billed.billing_service_type,
        origin=Origin.BILLING_SYNC,
        track_as_asset=not is_event,
        lifecycle=Lifecycle.ACTIVE if is_event else Lifecycle.DRAFT,
        components=tuple(Component(product=event) for event in billed.events),
        price=billed.price,
        synced_at=now,
    )


def _with_bundles(products: Mapping[str, Product], *, was: Catalog) -> dict[str, Product]:
    """Service bundles have the billing service type of their synchronized components (B18).

    When all of these have moved to one other type, the bundle and what is made here under it follow.
    """
    found = dict(products)
    for bundle in was:
        if bundle.kind is not Kind.SERVICE_BUNDLE:
            continue
        own = tuple(_own_components(was, bundle))
        types = {products[x.code].billing_service_type for x in own if x.origin is Origin.BILLING_SYNC}
        if len(types) == 1 and types != {bundle.billing_service_type}:
            made_here = (x for x in own if x.origin is Origin.CRM)
            for each in (bundle, *made_here):
                found[each.code] = replace(found[each.code], billing_service_type=next(iter(types)))
    return found


def _own_components(catalog: Catalog, bundle: Product) -> Iterator[Product]:
    """The billing components under a bundle that no nested service holds."""
    visited = {bundle.code}
    pending = [bundle]
    while pending:
        for component in pending.pop().components:
            child = catalog.get(component.product)
            if child is None or child.is_service or child.code in visited:
                continue
            visited.add(child.code)
            pending.append(child)
            if child.kind is Kind.BILLING_COMPONENT:
                yield child
