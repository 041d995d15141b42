"""From completed lines to installed assets: the one place that says what a line leaves behind (A02, A03, B35)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.billing import Billed
from domain.catalog import BillingType
from domain.in_flight import InFlight
from domain.inventory import Reservation
from domain.order import OrderLine, Scalar
from domain.plan import Function, PlanItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A billing object that belongs to an asset; ``kind`` is service_instance, purchased_product or discount."""

    kind: str
    billing_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledAsset:
    """An asset as it comes into being, Active, with its billing cross-references."""

    id: str
    line: str
    product: str
    root: str
    parent: str | None
    service_account: str
    billing_account: str
    billing_profile: str
    quantity: int
    attributes: Mapping[str, Scalar]
    service_start: datetime
    service_id: str | None = None
    service_point: str | None = None
    billing_type: str | None = None
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What a completed root bundle leaves behind: its assets, and when each line that has a date was delivered."""

    root: str
    assets: tuple[InstalledAsset, ...]
    delivered: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What the neighbours answered for one root bundle."""

    reservation: Reservation | None
    delivered: Mapping[str, datetime]
    """When each line that is delivered itself, physically or on the network, reached the customer."""
    billed: Mapping[str, Billed]
    """The closing billing answer, by the line it was of."""


def installed(in_flight: InFlight, item: PlanItem, completed: Completed, *, at: datetime) -> tuple[InstalledAsset, ...]:
    """The assets of a bundle, parents first: one for each trackable line whose parents are all trackable (A03).

    A service starts with its delivery, a component with what it was delivered in; ``at`` is for what nothing delivered.
    """
    references = _references(in_flight, completed)
    numbers = _numbers(completed)
    left_out: set[str] = set()
    assets: list[InstalledAsset] = []
    for line in in_flight.lines(item):
        product = in_flight.decomposed.product(line)
        if not product.track_as_asset or line.parent in left_out:
            left_out.add(line.id)
            continue
        parent = in_flight.order.by_id.get(line.parent or "")
        assets.append(
            InstalledAsset(
                id=in_flight.asset(line),
                line=line.id,
                product=line.product,
                root=in_flight.asset(in_flight.order.by_id[line.root]),
                parent=in_flight.asset(parent) if parent else None,
                service_account=line.service_account or "",
                billing_account=line.billing_account or "",
                billing_profile=line.billing_profile or "",
                quantity=line.quantity,
                attributes=line.attributes,
                service_start=delivered_at(in_flight, line, completed) or at,
                service_id=line.service_id or numbers.get(line.id),
                service_point=line.service_point,
                billing_type=product.billing_type,
                references=tuple(references.get(in_flight.asset(line), ())),
            )
        )
    return tuple(assets)


def delivered_at(in_flight: InFlight, line: OrderLine, completed: Completed) -> datetime | None:
    """When a line reached the customer: by itself, or with the nearest line above it that did."""
    ways = (line, *in_flight.order.ancestors(line))
    return next((completed.delivered[x.id] for x in ways if x.id in completed.delivered), None)


def _numbers(completed: Completed) -> Mapping[str, str]:
    held = completed.reservation.held if completed.reservation else ()
    return {x.line: x.values[0] for x in held if x.values}


def _references(in_flight: InFlight, completed: Completed) -> Mapping[str, list[Reference]]:
    """The billing ids of each asset: a simple service bundle has two, instance and purchased product (B35, B45)."""
    found: dict[str, list[Reference]] = {}
    for line_id, billed in completed.billed.items():
        line = in_flight.order.by_id[line_id]
        if billed.service_instance is not None and in_flight.decomposed.product(line).is_service:
            instance = Reference(kind="service_instance", billing_id=billed.service_instance)
            found.setdefault(in_flight.asset(line), []).append(instance)
        for purchase in billed.purchases:
            discount = in_flight.catalog[purchase.product].billing_type is BillingType.DISCOUNT
            kind = "discount" if discount else "purchased_product"
            found.setdefault(purchase.asset, []).append(Reference(kind=kind, billing_id=purchase.id))
    return found


def closing_steps(in_flight: InFlight, root: str) -> Iterator[PlanItem]:
    """The steps of a root bundle whose answers an asset is made of."""
    wanted = {Function.RESERVE, Function.DELIVER, Function.PROVISION, Function.FULFILL_BILLING, Function.PURCHASE}
    return (x for x in in_flight.items.values() if x.root == root and x.function in wanted)
