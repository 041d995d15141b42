"""Publishing a catalog and editing one of its products: asked of the rules, and stored as a new version."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, assert_never

import structlog

from api.errors import Problem, broken_rules, not_found
from api.house import House
from domain.catalog import Catalog, Product
from domain.catalog_document import ReadDocument, read_all, write
from domain.catalog_edit import Edit, NotAllowed, Standing, decide
from domain.neighbour import OutcomeUnknown, Unacceptable, Unavailable
from domain.publishing import Proposal, Source, Usage, check, converted, unreadable, with_synchronization
from domain.violation import Violation, broken
from models import catalogs
from models.catalogs import Overtaken

ATTEMPTS = 5
"""How often a change is tried anew when another version is published in between."""

Changed = TypeVar("Changed")
log = structlog.get_logger()


def publish(
    house: House, document: ReadDocument, expected: Callable[[Catalog], None]
) -> tuple[Catalog, tuple[Violation, ...]]:
    """Publish a whole document: the version it is in, and advice; a 422 with everything that is wrong with it.

    ``expected`` raises when the current version is not the one that the client has seen.
    """

    def attempt(previous: Catalog) -> tuple[Catalog, tuple[Violation, ...]]:
        expected(previous)
        usages = {code: usages_of(house, code) for code in converted(document.products, previous)}
        verdict = check(Proposal(document=document, previous=previous, usages=usages))
        if verdict.violations:
            raise broken_rules(verdict.violations)
        version = _store(house, document.products, after=previous, source=Source.IMPORT)
        return version, (*verdict.warnings, *_left_out(house, previous, version))

    return _on_current(house, attempt)


def edit(
    house: House, code: str, change: Mapping[str, Any], expected: Callable[[Catalog], None]
) -> tuple[Catalog, Product]:
    """Edit one product by hand: the version with the edited product.

    A 404 without it, a 403 or 409 when it may not be edited so, a 422 when the catalog would break rules.
    """

    def attempt(previous: Catalog) -> tuple[Catalog, Product]:
        expected(previous)
        edited = _decided(house, previous, code, change)
        products = tuple(edited if product.code == code else product for product in previous)
        version = _store(house, products, after=previous, source=Source.EDIT)
        return version, version[code]

    return _on_current(house, attempt)


def usages_of(house: House, product: str) -> Sequence[Usage]:
    """What depends on a product on both sides: our orders and assets, and billing's purchases (B40)."""
    try:
        purchases = house.billing_references(product)
    except (Unavailable, OutcomeUnknown, Unacceptable) as error:
        log.warning("billing did not say what references a product", product=product, error=repr(error))
        raise Problem(503, "Try again later", "Billing cannot be asked.", headers={"Retry-After": "5"}) from error
    ours = catalogs.usages(house.engine, product)
    return (*ours, *(Usage(system="billing", kind="purchase", id=purchase) for purchase in purchases))


def _on_current(house: House, attempt: Callable[[Catalog], Changed]) -> Changed:
    for _ in range(ATTEMPTS):
        try:
            return attempt(catalogs.current(house.engine))
        except Overtaken:
            continue
    raise Problem(409, "Overtaken", "Others keep publishing; read the catalog and try again.")


def _store(house: House, products: Sequence[Product], *, after: Catalog, source: Source) -> Catalog:
    dated = with_synchronization(products, after, now=datetime.now(UTC))
    return catalogs.publish(house.engine, dated, source=source, after=after)


def _left_out(house: House, previous: Catalog, version: Catalog) -> tuple[Violation, ...]:
    """Products that are gone from the catalog while orders and assets use them: these keep the version they have."""
    gone = catalogs.in_use(house.engine, previous.products.keys() - version.products.keys())
    message = "Orders or assets still use the product; they keep the version they were made from."
    return tuple(broken("IN_USE", "2.1", code, "code", message) for code in sorted(gone))


def _decided(house: House, catalog: Catalog, code: str, change: Mapping[str, Any]) -> Product:
    product = catalog.get(code)
    if product is None:
        raise not_found("product")
    if wrong := tuple(unreadable(read_all([{**write(product), **change}]))):
        raise broken_rules(wrong)
    wanted = Edit(product=product, change=change)
    if wanted.converts:
        known = catalogs.billing_product(house.engine, code) is not None
        wanted = Edit(product=product, change=change, usages=usages_of(house, code), cross_referenced=known)
    match decide(wanted, catalog):
        case NotAllowed() as no:
            raise _not_allowed(no)
        case Product() as edited:
            products = tuple(edited if x.code == code else x for x in catalog)
            verdict = check(Proposal(document=ReadDocument(products), previous=catalog, source=Source.EDIT))
            if verdict.violations:
                raise broken_rules(verdict.violations)
            return edited
        case never:
            assert_never(never)


def _not_allowed(no: NotAllowed) -> Problem:
    match no.standing:
        case Standing.FORBIDDEN:
            detail = "Only the billing system changes this, by synchronization."
            return Problem(403, "Forbidden", detail, no.violations)
        case Standing.CONFLICT:
            return Problem(
                409, "Not possible", "What the product is, or what depends on it, forbids it.", no.violations
            )
        case never:
            assert_never(never)
