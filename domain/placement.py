"""What may stand in what: components, cycles, and the service that holds each product, wherever it is placed (B06-B11).

A product can stand in many places, so its nearest service depends on the path. Services are told apart by their billing
service type, which is all that the rules compare; one walk over the catalog finds those of every product.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from domain.catalog import (
    ACCOUNT_LEVEL,
    BillingType,
    Catalog,
    Component,
    Kind,
    Lifecycle,
    Product,
    is_billing_service_type,
)
from domain.violation import Violation, broken

Services = Mapping[str | None, Product | None]
"""The nearest services above a product, one for each billing service type; ``{None: None}`` where none stands above."""


def check(catalog: Catalog, *, unreadable: Sequence[Product]) -> Iterator[Violation]:
    """Every rule about components and placements that the catalog breaks.

    ``unreadable`` are further products, of which only the components are known.
    """
    known = catalog.products.keys() | {product.code for product in unreadable}
    for product in catalog:
        yield from _mentions(product, known)
        yield from _cardinalities(product)
        yield from _children(catalog, product)
        yield from _service_charges(catalog, product, known)
    order, closing = _walk(catalog)
    for product, child in closing:
        number = [component.product for component in product.components].index(child.code) + 1
        message = f"Component {number} is the product itself, or includes it."
        yield broken("CYCLE", "B08", product.code, "components", message)
    spared = {component.product for product in unreadable for component in product.components}
    above = _services_above(catalog, order, spared)
    charges = {charge.product for product in catalog for charge in product.service_charges}
    for product in catalog:
        yield from _billing_service_type(catalog, product, above[product.code])
        if product.code not in charges or catalog.parents[product.code]:
            yield from _held_by_a_service(product, above[product.code])


def _mentions(product: Product, known: AbstractSet[str]) -> Iterator[Violation]:
    """Every product named is in the document (2.1)."""
    for number, component in enumerate(product.components, 1):
        if component.product not in known:
            message = f"Component {number} is not a product of the document."
            yield broken("UNKNOWN_COMPONENT", "2.1", product.code, "components", message)
    for number, code in enumerate(product.co_delivered_with, 1):
        if code not in known or code == product.code:
            message = f"Entry {number} is not another product of the document."
            yield broken("CO_DELIVERY", "F25", product.code, "co_delivered_with", message)


def _cardinalities(product: Product) -> Iterator[Violation]:
    """0 ≤ min ≤ max, a default between them, and each component once (2.1)."""
    seen: set[str] = set()
    for number, component in enumerate(product.components, 1):
        if not _sensible(component):
            message = f"Component {number}: expected 0 ≤ min ≤ max, and a default between min and max."
            yield broken("CARDINALITY", "2.1", product.code, "components", message)
        if component.product in seen:
            message = f"Component {number} is listed before; give it a higher max instead."
            yield broken("DUPLICATE_COMPONENT", "2.1", product.code, "components", message)
        seen.add(component.product)


def _sensible(component: Component) -> bool:
    default = component.default or component.min
    return 0 <= component.min <= component.max and component.min <= default <= component.max


def _children(catalog: Catalog, product: Product) -> Iterator[Violation]:
    """A simple service bundle includes only Events (B31, B41, B63); an Event is a simple product (B05)."""
    for number, component in enumerate(product.components, 1):
        child = catalog.get(component.product)
        if child and product.kind is Kind.SIMPLE_SERVICE_BUNDLE and child.kind is not Kind.EVENT:
            message = f"A simple service bundle includes only Events, and component {number} is none."
            yield broken("SSB_CHILD", "B31", product.code, "components", message)
        if child and product.kind is Kind.EVENT and child.code != product.code:
            message = f"An Event includes nothing, so component {number} has to go."
            yield broken("EVENT_CHILD", "B05", product.code, "components", message)


def _service_charges(catalog: Catalog, product: Product, known: AbstractSet[str]) -> Iterator[Violation]:
    """A change of a service costs one Item at most (B26)."""
    if product.service_charges and not product.is_service:
        message = "Only a service bundle or simple service bundle has service charges."
        yield broken("SERVICE_CHARGE", "B26", product.code, "service_charges", message)
    seen = set()
    for charge in product.service_charges:
        item = catalog.get(charge.product)
        if charge.product not in known:
            message = f"The charge for {charge.trigger} is not a product of the document."
        elif item and item.billing_type is not BillingType.ITEM:
            message = f"The charge for {charge.trigger} must be an Item."
        elif charge.trigger in seen:
            message = f"There is more than one charge for {charge.trigger}."
        else:
            seen.add(charge.trigger)
            continue
        yield broken("SERVICE_CHARGE", "B26", product.code, "service_charges", message)


def _walk(catalog: Catalog) -> tuple[list[Product], list[tuple[Product, Product]]]:
    """The products with parents before children, and the (parent, child) pairs that close a cycle (B08)."""
    finished: list[Product] = []
    closing: list[tuple[Product, Product]] = []
    is_done: dict[str, bool] = {}
    for start in catalog:
        path = [] if start.code in is_done else [(start, _included(catalog, start))]
        while path:
            product, children = path[-1]
            is_done[product.code] = False
            for child in children:
                if child.code not in is_done:
                    path.append((child, _included(catalog, child)))
                    break
                if not is_done[child.code]:
                    closing.append((product, child))
            else:
                is_done[product.code] = True
                finished.append(product)
                path.pop()
    return finished[::-1], closing


def _included(catalog: Catalog, product: Product) -> Iterator[Product]:
    return (child for component in product.components if (child := catalog.get(component.product)))


def _services_above(catalog: Catalog, order: list[Product], spared: set[str]) -> Mapping[str, Services]:
    """For each product the nearest services of all its places; what closes a cycle is no place.

    Those ``spared`` have a place of which nothing is known.
    """
    above: dict[str, Services] = {}
    received: dict[str, Services] = {}
    for product in order:
        passed: Services = received.get(product.code, {} if product.code in spared else {None: None})
        above[product.code] = passed
        if _meant_as_service(product):
            passed = {product.billing_service_type or "": product}
        for child in _included(catalog, product):
            if child.code not in above:
                received[child.code] = {**passed, **received.get(child.code, {})}
    return above


def _meant_as_service(product: Product) -> bool:
    """A flagged subscription is taken for the service it was meant to be: a wrong flag breaks a rule of its own."""
    return product.is_service or (product.billing_type is BillingType.SUBSCRIPTION and product.service_instance)


def _billing_service_type(catalog: Catalog, product: Product, above: Services) -> Iterator[Violation]:
    """A component has the billing service type of its nearest service, in each of its places (B06, B09, B11).

    Nested services have their own; an Event may leave it out; what is no billing service type breaks another rule.
    """
    own = product.billing_service_type
    if not _is_component(product) or (own is None and product.kind is Kind.EVENT) or not _comparable(own):
        return
    rule = "B09" if catalog.is_customizable(product) else "B06"
    for service in filter(None, above.values()):
        expected = service.billing_service_type
        if expected is not None and _comparable(expected) and own != expected:
            message = f"It is not that of {service.code}, the nearest service above."
            yield broken("BST_MISMATCH", rule, product.code, "billing_service_type", message)


def _held_by_a_service(product: Product, above: Services) -> Iterator[Violation]:
    """What is billed for a service stands under one; only /account is billed alone (Q22).

    A draft may still wait for its place.
    """
    own = product.billing_service_type
    billed = _is_component(product) and product.kind is not Kind.EVENT and product.lifecycle is Lifecycle.ACTIVE
    if None in above and billed and own != ACCOUNT_LEVEL and _comparable(own):
        message = "In one of its places no service stands above it, and it is not billed to the account."
        yield broken("NO_SERVICE", "Q22", product.code, "billing_service_type", message)


def _is_component(product: Product) -> bool:
    return product.kind in (Kind.BILLING_COMPONENT, Kind.EVENT) and not _meant_as_service(product)


def _comparable(billing_service_type: str | None) -> bool:
    return billing_service_type is None or is_billing_service_type(billing_service_type)
