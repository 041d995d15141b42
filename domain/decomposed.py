"""An order read with its catalog: which line belongs to which service, and who is billed how (B01, B02, 5.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from domain.catalog import ACCOUNT_LEVEL, BillingPhase, BillingType, Catalog, DeliveryKind, Kind, Product
from domain.order import Action, Order, OrderLine


@dataclass(frozen=True)
class Decomposed:
    """An order read with the catalog it pins: who belongs to which service, and who is billed how."""

    order: Order
    catalog: Catalog
    versions: Mapping[int, Catalog] = field(default_factory=dict)
    """The catalogs that the assets were made from which the order changes (B62)."""

    def product(self, line: OrderLine) -> Product:
        """The line's product: of an asset, as it was when the asset was made."""
        return (self.catalog if line.version is None else self.versions[line.version])[line.product]

    def service_of(self, line: OrderLine) -> OrderLine | None:
        """The service bundle or simple service bundle a line belongs to: itself or its nearest ancestor (B06, B10)."""
        return self._services[line.id]

    @cached_property
    def _services(self) -> Mapping[str, OrderLine | None]:
        found: dict[str, OrderLine | None] = {}
        for line in self.order.lines:
            above = found[line.parent] if line.parent is not None else None
            found[line.id] = line if self.product(line).is_service else above
        return found

    def added_service_of(self, line: OrderLine) -> OrderLine | None:
        """The service a line comes into being with; ``None`` when it stands alone or joins a service that exists."""
        service = self.service_of(line)
        return service if service and service.action is Action.ADD else None

    def own_lines(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines that come into being with a service, itself first; a nested service's lines are not among them."""
        return self._own_lines.get(service.id, ())

    @cached_property
    def _own_lines(self) -> Mapping[str, tuple[OrderLine, ...]]:
        found: dict[str, list[OrderLine]] = {}
        for line in self.order.lines:
            if line.action is Action.ADD and (service := self.added_service_of(line)):
                found.setdefault(service.id, []).append(line)
        return {service: tuple(lines) for service, lines in found.items()}

    @cached_property
    def services(self) -> tuple[OrderLine, ...]:
        """The lines that own a billing service instance: one each, whatever their quantity (B02, B47)."""
        return tuple(x for x in self.order.lines if x.action is Action.ADD and self.product(x).is_service)

    def phase(self, line: OrderLine) -> BillingPhase:
        """How a billed line is billed: as its service's product says; on its own always in one call (5.3)."""
        service = self.added_service_of(line)
        if service is None or self.billed_alone(line):
            return BillingPhase.SINGLE
        return self.product(service).billing_phase

    def is_billed(self, line: OrderLine) -> bool:
        """Whether billing ever hears of the line: non-billing products and Events never reach it (B14, B37)."""
        return line.action is Action.ADD and self.product(line).kind not in (Kind.NON_BILLING, Kind.EVENT)

    def billed_alone(self, line: OrderLine) -> bool:
        """Whether the line is a billing line of its own.

        So are physical goods (F25), what is billed to the account (B19), and what joins a service that exists already.
        """
        product = self.product(line)
        return (
            self.is_billed(line)
            and not product.is_service
            and (
                product.delivery_kind is DeliveryKind.PHYSICAL
                or product.billing_service_type == ACCOUNT_LEVEL
                or self.added_service_of(line) is None
            )
        )

    def billed_with(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines that one service's billing calls carry: itself and its own components, parents first (5.3)."""
        return tuple(x for x in self.own_lines(service) if self.is_billed(x) and not self.billed_alone(x))

    def initiated_with(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines of a two-phase service that exist in billing before activation; Items are charged at the end."""
        return tuple(x for x in self.billed_with(service) if self.product(x).billing_type is not BillingType.ITEM)
