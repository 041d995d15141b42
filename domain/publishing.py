"""What a catalog must obey to be published: every broken rule at once, each by its name (B01-B72).

Publishing is an import of a whole document. Rules that one product breaks by itself and rules that compare with the
version before stand here; what may stand in what is :mod:`domain.placement`, and advice is :mod:`domain.catalog_lint`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from domain import catalog_lint, placement
from domain.catalog import (
    ACCOUNT_LEVEL,
    BillingType,
    Catalog,
    DeliveryKind,
    Kind,
    Origin,
    Product,
    is_billing_service_type,
)
from domain.catalog_document import ReadDocument
from domain.violation import Violation, broken

SERVICE_KINDS = frozenset({Kind.SERVICE_BUNDLE, Kind.SIMPLE_SERVICE_BUNDLE})


class Source(StrEnum):
    """Where a catalog version came from: a whole document, a change by hand, or the billing system."""

    IMPORT = "import"
    EDIT = "edit"
    SYNC = "sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Something that depends on a product: an open order or an asset of ours, or a purchase in billing (B40)."""

    system: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All broken rules, and advice that does not stop a publication."""

    violations: tuple[Violation, ...] = ()
    warnings: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A document about to be published, the version it follows, and what depends on the products it converts."""

    document: ReadDocument
    previous: Catalog | None = None
    source: Source = Source.IMPORT
    usages: Mapping[str, Sequence[Usage]] = field(default_factory=dict)

    @property
    def catalog(self) -> Catalog:
        """The readable products; of products with the same code the first."""
        first: dict[str, Product] = {}
        for product in self.document.products:
            first.setdefault(product.code, product)
        return Catalog(0, first)


def check(proposal: Proposal) -> Verdict:
    """Apply every rule; a document without violations may be published as it is."""
    document, catalog = proposal.document, proposal.catalog
    violations = [
        *unreadable(document),
        *_duplicates(document),
        *(x for product in document.products for rule in _ALONE for x in rule(product)),
        *placement.check(catalog, unreadable=document.unreadable),
        *_history(proposal, catalog),
    ]
    return Verdict(violations=tuple(violations), warnings=tuple(catalog_lint.check(catalog)))


def converted(products: Iterable[Product], previous: Catalog | None) -> tuple[str, ...]:
    """The products whose service instance flag is not what it was: nothing may depend on them (B40, B61)."""
    if previous is None:
        return ()
    pairs = ((product, previous.get(product.code)) for product in products)
    return tuple(now.code for now, was in pairs if was and was.service_instance != now.service_instance)


def with_synchronization(
    products: Iterable[Product], previous: Catalog | None, *, now: datetime
) -> tuple[Product, ...]:
    """The products, each synchronized one dated: by what it says itself, as in the version before, or now (B20)."""

    def dated(product: Product) -> Product:
        if product.origin is not Origin.BILLING_SYNC or product.synced_at is not None:
            return product
        was = previous.get(product.code) if previous else None
        return replace(product, synced_at=(was and was.synced_at) or now)

    return tuple(map(dated, products))


def known_kinds(products: Iterable[Product], previous: Catalog | None) -> dict[str, Kind]:
    """The kind of every product ever published; what once was a service is remembered as that service (B66)."""
    known = dict(previous.known) if previous else {}
    for product in products:
        if product.kind in SERVICE_KINDS or known.get(product.code) not in SERVICE_KINDS:
            known[product.code] = product.kind
    return known


def unreadable(document: ReadDocument) -> Iterator[Violation]:
    """A billing type is one of those known, or absent (B04); a price is an amount of its currency."""
    message = f"Expected one of {', '.join(BillingType)}, or none for a non-billing product."
    for product in document.unreadable:
        yield broken("BILLING_TYPE", "B04", product.code, "billing_type", message)
    for code in document.mispriced:
        yield broken("PRICE", "2.1", code, "price", "The currency has no such amount.")


def _duplicates(document: ReadDocument) -> Iterator[Violation]:
    codes = Counter(product.code for product in (*document.products, *document.unreadable))
    for code, times in codes.items():
        if times > 1:
            yield broken("DUPLICATE_CODE", "2.1", code, "code", "Another product of the document has the same code.")


def _service_type_format(product: Product) -> Iterator[Violation]:
    """A slash path from the billing system (B19); a service needs one of its own, and none is billed to the account."""
    given = product.billing_service_type
    if given is not None and not is_billing_service_type(given):
        message = "Expected /account or a path such as /service/telco/gsm/sms."
    elif product.is_service and given in (None, ACCOUNT_LEVEL):
        message = "A service has a service instance, and that needs a path below /service."
    else:
        return
    yield broken("BST_FORMAT", "B19", product.code, "billing_service_type", message)


def _non_billing(product: Product) -> Iterator[Violation]:
    """What is not billed is unknown to the billing system (B13, B14)."""
    if product.billing_type is None and product.billing_service_type is not None:
        message = "A non-billing product has no billing service type."
        yield broken("NON_BILLING_BST", "B13", product.code, "billing_service_type", message)
    if product.billing_type is None and product.origin is Origin.BILLING_SYNC:
        message = "A non-billing product cannot come from the billing system."
        yield broken("NON_BILLING_ORIGIN", "B14", product.code, "origin", message)


def _origin(product: Product) -> Iterator[Violation]:
    """Service bundles are made here, Events there (B32, B33)."""
    if product.kind is Kind.EVENT and product.origin is not Origin.BILLING_SYNC:
        message = "Events come from the billing system only."
        yield broken("EVENT_ORIGIN", "B32", product.code, "origin", message)
    if product.kind is Kind.SERVICE_BUNDLE and product.origin is not Origin.CRM:
        message = "A service bundle is made here, not in the billing system."
        yield broken("SB_ORIGIN", "B33", product.code, "origin", message)


def service_instance_flag(product: Product) -> Iterator[Violation]:
    """The flag belongs on a synchronized subscription and nowhere else (B30, B55, B60)."""
    if not product.service_instance:
        return
    if product.billing_type is not BillingType.SUBSCRIPTION:
        message = "Only a subscription can be flagged as a service instance."
        yield broken("SERVICE_INSTANCE", "B60", product.code, "service_instance", message)
    elif product.origin is not Origin.BILLING_SYNC:
        message = "A subscription made here has no counterpart in the billing system."
        yield broken("SERVICE_INSTANCE", "B55", product.code, "service_instance", message)


def _delivery(product: Product) -> Iterator[Violation]:
    """Stock is for physical products, pools are for logical ones (2.7)."""
    if product.sku is not None and product.delivery_kind is not DeliveryKind.PHYSICAL:
        yield broken("DELIVERY", "2.7", product.code, "sku", "Only a physical product is taken from stock.")
    if product.pool is not None and product.delivery_kind is not DeliveryKind.LOGICAL:
        yield broken("DELIVERY", "2.7", product.code, "pool", "Only a logical product takes a value from a pool.")


_ALONE = (_service_type_format, _non_billing, _origin, service_instance_flag, _delivery)


def _history(proposal: Proposal, catalog: Catalog) -> Iterator[Violation]:
    previous = proposal.previous
    for product in catalog:
        yield from kind_frozen(product, previous)
        yield from _superseding(product, catalog, previous)
        if previous and proposal.source is not Source.SYNC:
            yield from synchronized_fields(product, previous.get(product.code))
    for code in converted(catalog, previous):
        yield from referenced(catalog[code], proposal.usages.get(code, ()))


def kind_frozen(product: Product, previous: Catalog | None) -> Iterator[Violation]:
    """A service bundle never becomes a simple one, nor the other way, in whatever steps (B66)."""
    was = previous.known.get(product.code) if previous else None
    flagged = product.billing_type is BillingType.SUBSCRIPTION and product.service_instance
    wanted = Kind.SIMPLE_SERVICE_BUNDLE if flagged else product.kind
    if {was, wanted} == SERVICE_KINDS:
        message = "A service bundle and a simple service bundle never turn into each other; publish another product."
        yield broken("KIND_FROZEN", "B66", product.code, "billing_type", message)


def _superseding(product: Product, catalog: Catalog, previous: Catalog | None) -> Iterator[Violation]:
    """A successor has a code of its own, and what it succeeds exists or existed (B67)."""
    succeeded = product.supersedes
    if succeeded is None:
        return
    if succeeded == product.code:
        message = "A product cannot succeed itself."
    elif succeeded not in catalog.products and succeeded not in (previous.known if previous else {}):
        message = "No version of the catalog has had the product that this one succeeds."
    else:
        return
    yield broken("SUPERSEDES", "B67", product.code, "supersedes", message)


def synchronized_fields(product: Product, was: Product | None) -> Iterator[Violation]:
    """What came from the billing system is changed by synchronization only (B20)."""
    if was is None or was.synced_at is None:
        return
    for name in ("billing_type", "billing_service_type", "origin"):
        if getattr(product, name) != getattr(was, name):
            message = "This was synchronized from the billing system, and only synchronization changes it."
            yield broken("SYNCED_FIELD", "B20", product.code, name, message)


def referenced(product: Product, usages: Iterable[Usage]) -> Iterator[Violation]:
    """Nothing may depend on a product when its service instance flag changes, either way (B40, B61)."""
    rule = "B40" if product.service_instance else "B61"
    for usage in usages:
        message = f"{usage.kind.capitalize()} {usage.id} of {usage.system} depends on the product."
        yield broken("REFERENCED", rule, product.code, "service_instance", message)
