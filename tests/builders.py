# ruff: noqa: ANN401 - a builder hands fields on as they are
"""Catalogs, orders and facts in a few words, for every test that needs some.

    catalog(bundle("WIRELESS", "LINE", "FEE"), subscription("LINE"), item("FEE"))
    order(line("WIRELESS", line("LINE"), line("FEE", quantity=2)))

Lines are numbered by where they stand: ``1``, ``1.1``, ``1.2``, ``2`` …
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from domain.asset import Asset, AssetStatus
from domain.catalog import BillingPhase, BillingType, Catalog, Component, DeliveryKind, Origin, Product
from domain.facts import AccountFact, Facts
from domain.order import ACCOUNT_FIELDS, Order, OrderLine, with_defaults

GSM = "/service/telco/gsm/telephony"
SMS = "/service/telco/gsm/sms"

Contained = str | Component
"""A component of a product: its code when any number from none to one is fine."""


def _components(contained: tuple[Contained, ...]) -> tuple[Component, ...]:
    return tuple(Component(product=x) if isinstance(x, str) else x for x in contained)


def some(product: str, *, at_least: int = 0, at_most: int = 1) -> Component:
    """A component with bounds of its own."""
    return Component(product=product, min=at_least, max=at_most)


def bundle(code: str, *contained: Contained, **fields: Any) -> Product:
    """A service bundle on the network, billed in two phases."""
    defaults: dict[str, Any] = {
        "billing_type": BillingType.SERVICE_BUNDLE,
        "billing_service_type": GSM,
        "billing_phase": BillingPhase.TWO,
        "delivery_kind": DeliveryKind.LOGICAL,
    }
    return Product(code=code, name=code, components=_components(contained), **(defaults | fields))


def simple_bundle(code: str, *events: Contained, **fields: Any) -> Product:
    """A simple service bundle: a synchronized subscription that is its own service, with its events."""
    defaults: dict[str, Any] = {"service_instance": True, "origin": Origin.BILLING_SYNC}
    return bundle(code, *events, **(defaults | {"billing_type": BillingType.SUBSCRIPTION} | fields))


def subscription(code: str, *contained: Contained, **fields: Any) -> Product:
    """A subscription of a wireless service."""
    return _priced(code, BillingType.SUBSCRIPTION, contained, fields)


def item(code: str, *contained: Contained, **fields: Any) -> Product:
    """Something charged once."""
    return _priced(code, BillingType.ITEM, contained, fields)


def discount(code: str, *contained: Contained, **fields: Any) -> Product:
    """A discount on a service."""
    return _priced(code, BillingType.DISCOUNT, contained, fields)


def event(code: str, **fields: Any) -> Product:
    """An event that billing rates."""
    return _priced(code, BillingType.EVENT, (), {"origin": Origin.BILLING_SYNC} | fields)


def _priced(code: str, billing_type: BillingType, contained: tuple[Contained, ...], fields: dict[str, Any]) -> Product:
    given = {"billing_service_type": GSM} | fields
    return Product(code=code, name=code, billing_type=billing_type, components=_components(contained), **given)


def unbilled(code: str, *contained: Contained, **fields: Any) -> Product:
    """A non-billing product; with components, one that only groups."""
    return Product(code=code, name=code, components=_components(contained), **fields)


def goods(code: str, **fields: Any) -> Product:
    """A physical thing, sold once."""
    return item(code, **({"delivery_kind": DeliveryKind.PHYSICAL, "sku": code} | fields))


def catalog(*products: Product, version: int = 1) -> Catalog:
    """A catalog of these products."""
    return Catalog(version, {product.code: product for product in products})


@dataclass(frozen=True)
class Line:
    """A line before it is numbered."""

    product: str
    below: tuple["Line", ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)

    def numbered(self, id: str, *, root: str, parent: str | None) -> list[OrderLine]:  # noqa: A002
        """The line and those below it, parents first."""
        mine = OrderLine(id=id, root=root, parent=parent, product=self.product, **self.fields)
        below = (x.numbered(f"{id}.{n}", root=root, parent=id) for n, x in enumerate(self.below, 1))
        return [mine, *(line for lines in below for line in lines)]


def line(product: str, *below: Line, **fields: Any) -> Line:
    """A line that adds a product, unless its fields say otherwise."""
    return Line(product, below, fields)


ACCOUNTS = {"billing_account": "ACME-BA", "service_account": "ACME-BA", "billing_profile": "ACME-BP"}
"""The accounts of the orders built here: one account, so that simple service bundles are content with it too."""


def raw(*lines: Line, **header: Any) -> Order:
    """An order of ACME's as it was sent: what its lines leave blank is blank."""
    numbered = [x for n, root in enumerate(lines, 1) for x in root.numbered(str(n), root=str(n), parent=None)]
    return Order(**({"account": "ACME"} | header), lines=tuple(numbered))


def order(*lines: Line, **header: Any) -> Order:
    """An order of ACME's with its blanks filled."""
    return with_defaults(raw(*lines, **(ACCOUNTS | header)))


def facts(*assets: Asset, products: Catalog | None = None, **known: Any) -> Facts:
    """ACME with its billing and service account, OTHER-BA, another of its own; and assets of a catalog."""
    accounts = ("ACME", "ACME-BA", "ACME-SA", "OTHER-BA")
    used = products or WIRELESS
    return Facts(
        accounts=dict.fromkeys(accounts, AccountFact()),
        profiles={"ACME-BP": "ACME-BA", "OTHER-BP": "OTHER-BA"},
        assets={x.id: x for x in assets},
        catalogs={used.version: used},
        **known,
    )


def asset(id: str, product: str, *, parent: Asset | None = None, **fields: Any) -> Asset:  # noqa: A002
    """An installed asset of ACME's, active since some order."""
    defaults: dict[str, Any] = {
        "version": 1,
        "account": "ACME",
        "status": AssetStatus.ACTIVE,
        "root": parent.root if parent else id,
        "parent": parent.id if parent else None,
        "service_start": datetime(2026, 1, 1, tzinfo=UTC),
        "created_by": parent.created_by if parent else "an order",
    }
    return Asset(id=id, product=product, **(defaults | ACCOUNTS | fields))


WIRELESS = catalog(
    bundle("WIRELESS", some("PLAN", at_least=1), "ACTIVATION", "VOICEMAIL", "HALF-OFF", "TEXTING", "CASE", "PHONE"),
    subscription("PLAN", "MINUTES"),
    subscription("MINUTES"),
    item("ACTIVATION"),
    subscription("VOICEMAIL", delivery_kind=DeliveryKind.LOGICAL),
    discount("HALF-OFF", duration_months=3),
    bundle("TEXTING", "TEXT-BASIC", "TEXT-UNLIMITED", billing_service_type=SMS),
    subscription("TEXT-BASIC", billing_service_type=SMS),
    subscription("TEXT-UNLIMITED", billing_service_type=SMS),
    unbilled("CASE"),
    goods("PHONE"),
    simple_bundle("INTERNET", "INTERNET-ACTIVATION", billing_service_type="/service/ip"),
    event("INTERNET-ACTIVATION", billing_service_type="/service/ip"),
)
"""A wireless service with a nested one for texts (B16), and internet access as a simple service bundle (B38)."""

WIRELESS_ORDER = order(
    line("WIRELESS", line("PLAN", line("MINUTES")), line("TEXTING", line("TEXT-BASIC")), line("CASE"), line("PHONE"))
)
"""Lines 1 WIRELESS, 1.1 PLAN, 1.1.1 MINUTES, 1.2 TEXTING, 1.2.1 TEXT-BASIC, 1.3 CASE, 1.4 PHONE."""


def changed(original: Order, line_id: str, **fields: Any) -> Order:
    """The order with other fields on one line."""
    return replace(original, lines=tuple(replace(x, **fields) if x.id == line_id else x for x in original.lines))


def without(original: Order, line_id: str) -> Order:
    """The order without a line and all below it."""
    gone = {line_id, *(x.id for x in original.descendants(original.by_id[line_id]))}
    return replace(original, lines=tuple(x for x in original.lines if x.id not in gone))


def accounts_of(given: OrderLine) -> dict[str, str | None]:
    """The three accounts of a line, by field name."""
    return {name: getattr(given, name) for name in ACCOUNT_FIELDS}
