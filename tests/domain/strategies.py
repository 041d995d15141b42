"""Random catalogs that obey the bundle rules, and orders of them that break none."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from domain.catalog import ACCOUNT_LEVEL, BillingPhase, BillingType, Catalog, Component, DeliveryKind, Origin, Product
from domain.order import Order
from tests.builders import Line, catalog, line, order

SERVICE_TYPES = ("/service/ip", "/service/telephony", "/service/telco/gsm/sms")
SIMPLE_TYPES = (BillingType.SUBSCRIPTION, BillingType.ITEM, BillingType.DISCOUNT)
MAX_DEPTH = 4

_Maker = Callable[[str | None, int], Product]
"""Makes a product for a place: the billing service type of the nearest service there, and how deep it is."""


@dataclass(frozen=True)
class Sold:
    """An order and the catalog it was made from."""

    catalog: Catalog
    order: Order


@dataclass
class _Shelf:
    """The products made so far; ``draw`` decides everything about the next one."""

    draw: st.DrawFn
    products: dict[str, Product] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def root(self) -> Product:
        """A product that can be ordered by itself."""
        makers: list[_Maker] = [
            self.bundle,
            self.bundle,
            self.simple_bundle,
            self.group,
            self.unbilled,
            self.on_account,
        ]
        return self.draw(st.sampled_from(makers))(None, 0)

    def bundle(self, _: str | None, depth: int) -> Product:
        service_type = self.draw(st.sampled_from(SERVICE_TYPES))
        components = self.components(service_type, depth, at_least=1)
        return self.put(
            "SB",
            billing_type=BillingType.SERVICE_BUNDLE,
            billing_service_type=service_type,
            billing_phase=self.draw(st.sampled_from(BillingPhase)),
            components=components,
        )

    def simple_bundle(self, _: str | None, __: int) -> Product:
        service_type = self.draw(st.sampled_from(SERVICE_TYPES))
        events = [self.event(service_type, 0) for _ in range(self.draw(st.integers(0, 2)))]
        return self.put(
            "SSB",
            billing_type=BillingType.SUBSCRIPTION,
            billing_service_type=service_type,
            billing_phase=self.draw(st.sampled_from(BillingPhase)),
            service_instance=True,
            origin=Origin.BILLING_SYNC,
            components=tuple(Component(product=x.code) for x in events),
        )

    def group(self, _: str | None, depth: int) -> Product:
        """A customizable product that is not billed: it only groups."""
        return self.put("CP", components=self.components(None, depth, at_least=1))

    def plan(self, service_type: str | None, depth: int) -> Product:
        """A customizable product that is billed with its service."""
        components = self.components(service_type, depth, at_least=1)
        return self.put(
            "PLAN",
            billing_type=BillingType.SUBSCRIPTION,
            billing_service_type=service_type,
            components=components,
        )

    def simple(self, service_type: str | None, _: int) -> Product:
        return self.put("SP", billing_type=self.draw(st.sampled_from(SIMPLE_TYPES)), billing_service_type=service_type)

    def event(self, service_type: str | None, _: int) -> Product:
        return self.put(
            "EV",
            billing_type=BillingType.EVENT,
            billing_service_type=service_type,
            origin=Origin.BILLING_SYNC,
            delivery_kind=DeliveryKind.NONE,
            track_as_asset=False,
        )

    def on_account(self, _: str | None, __: int) -> Product:
        return self.put("AC", billing_type=BillingType.ITEM, billing_service_type=ACCOUNT_LEVEL)

    def unbilled(self, _: str | None, __: int) -> Product:
        return self.put("NB")

    def components(self, service_type: str | None, depth: int, *, at_least: int) -> tuple[Component, ...]:
        """Components that may stand in a product whose nearest service has this billing service type, if it has one."""
        makers: list[_Maker] = [self.unbilled, self.simple_bundle]
        if service_type is not None:
            makers += [self.simple, self.simple]
        if depth < MAX_DEPTH:
            makers += [self.bundle, self.plan if service_type else self.group]
        count = self.draw(st.integers(at_least, 3))
        made = [self.draw(st.sampled_from(makers))(service_type, depth + 1) for _ in range(count)]
        return tuple(self.component(x) for x in made)

    def component(self, product: Product) -> Component:
        least = self.draw(st.integers(0, 1))
        return Component(product=product.code, min=least, max=self.draw(st.integers(max(1, least), 3)))

    def put(self, prefix: str, **fields: Any) -> Product:  # noqa: ANN401
        code = f"{prefix}-{next(self.numbers)}"
        delivery = self.draw(
            st.sampled_from([DeliveryKind.LOGICAL, DeliveryKind.LOGICAL, DeliveryKind.PHYSICAL, DeliveryKind.NONE])
        )
        common: dict[str, Any] = {"delivery_kind": delivery, "track_as_asset": self.draw(st.booleans())}
        product = Product(code=code, name=code, **(common | fields))
        match product.delivery_kind:
            case DeliveryKind.PHYSICAL:
                product = replace(product, sku=code)
            case DeliveryKind.LOGICAL if self.draw(st.booleans()):
                product = replace(product, pool="numbers")
            case _:
                pass
        self.products[code] = product
        return product


def _ordered(draw: st.DrawFn, products: Catalog, product: Product) -> Line:
    """A line of a product with as many lines of each component as it allows; a bundle with at least one."""
    counts = {x.product: draw(st.integers(x.min, x.max)) for x in product.components}
    if product.billing_type is BillingType.SERVICE_BUNDLE and not any(counts.values()):
        counts[product.components[0].product] = 1
    below = [_ordered(draw, products, products[code]) for code, count in counts.items() for _ in range(count)]
    single = product.billing_type is BillingType.SERVICE_BUNDLE
    return line(product.code, *below, quantity=1 if single else draw(st.integers(1, 5)))


@st.composite
def sold(draw: st.DrawFn) -> Sold:
    """An order that breaks no rule, with the catalog it was made from."""
    shelf = _Shelf(draw)
    roots = [shelf.root() for _ in range(draw(st.integers(1, 3)))]
    products = catalog(*shelf.products.values())
    lines = [_ordered(draw, products, root) for root in roots]
    return Sold(products, order(*lines))
