"""Advice on a catalog: what may be published, and is probably not meant (B01, B65)."""

from collections import Counter
from collections.abc import Iterator

from domain.catalog import BillingPhase, Catalog, Kind, Product
from domain.violation import Violation, broken


def check(catalog: Catalog) -> Iterator[Violation]:
    """Every warning, product by product."""
    for product in catalog:
        yield from _bundle(catalog, product)
        yield from _variants(catalog, product)
        yield from _phase(product)


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
