"""From completed lines to installed assets: the one place that says what a line leaves behind (A02, A03, B35, C21)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain.asset import NO_TREE, Asset, AssetStatus, Numbers, Tree, asset_of, changed, ends, values
from domain.billing import Billed
from domain.catalog import BillingType
from domain.in_flight import InFlight
from domain.inventory import Reservation
from domain.money import Money
from domain.order import Action, OrderLine, Scalar
from domain.plan import ON_THE_NETWORK, Function, PlanItem


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
    price: Money | None = None
    promotion_ref: str | None = None
    numbers: tuple[Numbers, ...] = ()
    service_end: datetime | None = None
    version: int | None = None
    """The catalog version of what has moved here; what is new is of the order's."""
    moved_from: str | None = None
    """The asset whose billing ids it takes over (B53)."""
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What a completed root bundle leaves behind: its assets, and when each line that has a date was delivered.

    ``changed`` are assets that were there before, as they are now; ``claimed``: nobody else might change them.
    """

    root: str
    assets: tuple[InstalledAsset, ...]
    delivered: Mapping[str, datetime]
    changed: tuple[Asset, ...] = ()
    claimed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What the neighbours answered for one root bundle."""

    reservation: Reservation | None
    delivered: Mapping[str, datetime]
    """When each line that is delivered itself, physically or on the network, reached the customer."""
    billed: Mapping[str, Billed]
    """The closing billing answer, by the line it was of."""


def installed(
    in_flight: InFlight, item: PlanItem, completed: Completed, *, at: datetime, tree: Tree = NO_TREE
) -> tuple[InstalledAsset, ...]:
    """The new assets of a bundle, parents first: one for each trackable line whose parents are all trackable (A03).

    A service starts with its delivery, a component with what it was delivered in; ``at`` is for what nothing delivered.
    What moves goes on as it was. ``tree`` are the assets that the bundle is about.
    """
    references = _references(in_flight, completed)
    numbers = _numbers(completed)
    left_out: set[str] = set()
    assets: list[InstalledAsset] = []
    for line in in_flight.lines(item):
        product = in_flight.decomposed.product(line)
        if line.action is Action.MOVE_ADD:
            assets.append(_moved(in_flight, line, tree))
            continue
        if line.action is not Action.ADD or line.is_charge:
            continue
        if not product.track_as_asset or line.parent in left_out:
            left_out.add(line.id)
            continue
        parent = in_flight.order.by_id.get(line.parent or "")
        assets.append(
            InstalledAsset(
                id=in_flight.asset(line),
                line=line.id,
                product=line.product,
                root=_root(in_flight, line, tree),
                parent=in_flight.asset(parent) if parent else None,
                service_account=line.service_account or "",
                billing_account=line.billing_account or "",
                billing_profile=line.billing_profile or "",
                quantity=line.quantity,
                attributes=line.attributes,
                service_start=delivered_at(in_flight, line, completed) or at,
                service_id=line.service_id or next((x.values[0] for x in numbers.get(line.id, ())), None),
                service_point=line.service_point,
                billing_type=product.billing_type,
                price=line.price,
                promotion_ref=line.promotion_ref,
                numbers=numbers.get(line.id, ()),
                service_end=ends(line),
                references=tuple(references.get(in_flight.asset(line), ())),
            )
        )
    return tuple(assets)


def changes(
    in_flight: InFlight, item: PlanItem, completed: Completed, *, at: datetime, tree: Tree
) -> tuple[Asset, ...]:
    """The assets that a bundle changes, as they are from now on; what is over ends when it was over (2.5)."""
    numbers = _numbers(completed)
    found = []
    for line in in_flight.lines(item):
        asset = asset_of(tree, line)
        if asset is None:
            continue
        after = changed(asset, line)
        if line.id in numbers:
            given = numbers[line.id]
            after = replace(after, numbers=given, service_id=after.service_id or given[0].values[0])
        if not after.is_live and asset.is_live:
            over = delivered_at(in_flight, line, completed) or at
            after = replace(after, service_end=min(over, asset.service_end or over))
        if after != asset:
            found.append(after)
    return tuple(found)


def _moved(in_flight: InFlight, line: OrderLine, tree: Tree) -> InstalledAsset:
    """An asset at its new place: what it was at the old one, but for what the move changes."""
    old = asset_of(tree, in_flight.order.by_id[line.related_line or ""])
    assert old is not None, "a move has two halves (2.2)"
    new = replace(old, status=AssetStatus.ACTIVE, **values(old, line))
    parent = in_flight.order.by_id.get(line.parent or "")
    return InstalledAsset(
        id=in_flight.asset(line),
        line=line.id,
        product=new.product,
        root=_root(in_flight, line, tree),
        parent=in_flight.asset(parent) if parent else None,
        service_account=new.service_account,
        billing_account=new.billing_account,
        billing_profile=new.billing_profile,
        quantity=new.quantity,
        attributes=new.attributes,
        service_start=new.service_start,
        service_id=new.service_id,
        service_point=new.service_point,
        billing_type=in_flight.decomposed.product(line).billing_type,
        price=new.price,
        promotion_ref=new.promotion_ref,
        numbers=new.numbers,
        service_end=new.service_end,
        version=new.version,
        moved_from=old.id,
    )


def _root(in_flight: InFlight, line: OrderLine, tree: Tree) -> str:
    """The root asset of what a line adds: that of the line at the top, which may be about a part of something."""
    *_, top = (line, *in_flight.order.ancestors(line))
    joined = asset_of(tree, top)
    return joined.root if joined else in_flight.asset(top)


def delivered_at(in_flight: InFlight, line: OrderLine, completed: Completed) -> datetime | None:
    """When a line reached the customer: by itself, or with the nearest line above it that did."""
    ways = (line, *in_flight.order.ancestors(line))
    return next((completed.delivered[x.id] for x in ways if x.id in completed.delivered), None)


def _numbers(completed: Completed) -> Mapping[str, tuple[Numbers, ...]]:
    """What inventory has given each line out of its pools."""
    found: dict[str, tuple[Numbers, ...]] = {}
    for held in completed.reservation.held if completed.reservation else ():
        if held.pool and held.values and completed.reservation:
            taken = Numbers(pool=held.pool, values=held.values, reservation=completed.reservation.key, line=held.line)
            found[held.line] = (*found.get(held.line, ()), taken)
    return found


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
    wanted = ON_THE_NETWORK | {
        Function.RESERVE,
        Function.DELIVER,
        Function.PROVISION,
        Function.FULFILL_BILLING,
        Function.PURCHASE,
    }
    return (x for x in in_flight.items.values() if x.root == root and x.function in wanted)
