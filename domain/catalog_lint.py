"""Advice on a catalog: what may be published, and is probably not meant (B01, B65)."""

from collections import Counter
from collections.abc import Iterator

from domain.catalog import BillingPhase, Catalog, DeliveryKind, Kind, Product
from domain.violation import Violation, broken


def check(catalog: Catalog) -> Iterator[Violation]:
    """Every warning, product by product."""
    for product in catalog:
        yield from _bundle(catalog, product)
        yield from _variants(catalog, product)
        yield from _phase(product)
        yield from _untracked(catalog, product)
        yield from _work(product)


def _bundle(catalog: Catalog, product: Product) -> Iterator[Violation]:
    """An empty bundle cannot be ordered (B01); one billing product is simpler as a simple service bundle (B65)."""
    if product.kind is not Kind.SERVICE_BUNDLE:
        return
    if not product.components:
        message = "A service bundle without components cannot be ordered."
        yield broken("EMPTY_BUNDLE", "B01", product.code, "components", message)
    elif _has_one_billing_component(catalog, product):
        message = "It has only one billing product and no nested service: consider a simple service bundle."
        yield broken("CONSIDER_SSB", "B65", product.code, "components", message)


def _has_one_billing_component(catalog: Catalog, bundle: Product) -> bool:
    found: set[str] = set()
    visited: set[str] = set()
    pending = [bundle]
    while pending and len(found) <= 1:
        for component in pending.pop().components:
            child = catalog.get(component.product)
            if child is None or child.code in visited:
                continue
            if child.is_service:
                return False
            visited.add(child.code)
            pending.append(child)
            if child.kind is Kind.BILLING_COMPONENT:
                found.add(child.code)
    return len(found) == 1


def _variants(catalog: Catalog, product: Product) -> Iterator[Violation]:
    """Nobody can switch between simple service bundles and keep the service (B43, B65)."""
    children = (child for component in product.components if (child := catalog.get(component.product)))
    simple = Counter(x.billing_service_type for x in children if x.kind is Kind.SIMPLE_SERVICE_BUNDLE)
    for times in simple.values():
        if times > 1:
            message = (
                "It offers several simple service bundles of one billing service type. If customers are to switch"
                " between them and keep the service, it must be a service bundle."
            )
            yield broken("MUST_BE_SB", "B65", product.code, "components", message)


def _phase(product: Product) -> Iterator[Violation]:
    """What is never billed has no phases (B14, B37, B49)."""
    if product.billing_phase is BillingPhase.TWO and product.kind in (Kind.NON_BILLING, Kind.EVENT):
        message = "The product is never billed, so its billing phase has no effect."
        yield broken("PHASE_IGNORED", "B49", product.code, "billing_phase", message)


def _untracked(catalog: Catalog, product: Product) -> Iterator[Violation]:
    """What stands below a product that is no asset is none either, and a service without an asset is billed unseen."""
    below = (catalog.get(component.product) for component in product.components)
    if not product.track_as_asset and (product.is_service or any(x and x.is_service for x in below)):
        message = "A service in it would run and be billed without being in anybody's service profile."
        yield broken("UNTRACKED_SERVICE", "A03", product.code, "track_as_asset", message)


def _work(product: Product) -> Iterator[Violation]:
    """Work of people is not planned yet: said here, and not done nothing silently (F19, F49)."""
    if product.requires_truck_roll or product.delivery_kind is DeliveryKind.PROFESSIONAL_SERVICE:
        message = "Work in the field is not planned by this release; the product is fulfilled without it."
        yield broken("WORK_NOT_PLANNED", "F19", product.code, "requires_truck_roll", message)
