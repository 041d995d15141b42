"""The words spoken with the provisioning system: what the network runs for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.asset import Asset, Tree, asset_of, carried, changed, values
from domain.catalog import DeliveryKind
from domain.in_flight import InFlight
from domain.order import OrderLine, Scalar
from domain.plan import PlanItem


class ServiceState(StrEnum):
    """What the network knows of a service."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkService:
    """What is to run for one line: ``service`` is the asset id, the key both sides use for it ever after.

    ``features`` are the logical components that come with it; ``numbers`` what inventory reserved, by pool.
    """

    service: str
    product: str
    account: str
    billable: bool
    service_id: str | None = None
    features: tuple[str, ...] = ()
    numbers: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Proof of what became of a service on the network: its state, and since when it is in it."""

    key: str
    service: str
    state: ServiceState
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """The network accepted the request and is still at it; ask again after ``again_in_s`` seconds."""

    key: str
    again_in_s: float
    why: str | None = None
    """What it waits for, if that can be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """One service as the network lists it, for comparison with what is billed (F06); it runs only while it is active.

    ``since`` is when it was activated; ``state_since`` when it was last suspended or resumed, if it ever was.
    """

    service: str
    account: str
    billable: bool
    since: datetime
    state: ServiceState = ServiceState.ACTIVE
    state_since: datetime | None = None


def relocated(in_flight: InFlight, item: PlanItem, tree: Tree) -> NetworkService:
    """What a service is to be at the place it moves to: what it is, but for what the move changes (5.6)."""
    lines = in_flight.lines(item)
    old = {x.id: _other_half(in_flight, x, tree) for x in lines}
    head = in_flight.order.by_id[item.subject]
    return _service(
        in_flight.asset(head),
        replace(old[head.id], **values(old[head.id], head)),
        [replace(old[x.id], **values(old[x.id], x)) for x in lines if x is not head],
        billable=in_flight.decomposed.product(head).is_service,
    )


def _other_half(in_flight: InFlight, line: OrderLine, tree: Tree) -> Asset:
    found = asset_of(tree, in_flight.order.by_id[line.related_line or ""])
    assert found is not None, "a move has two halves (2.2)"
    return found


def modified(in_flight: InFlight, item: PlanItem, tree: Tree, numbers: Mapping[str, tuple[str, ...]]) -> NetworkService:
    """What a service that stays is to be, with all that changes about it and its parts in the bundle.

    ``numbers`` are those that inventory reserved for it instead of what it has, by pool.
    """
    changes = {x.asset: x for x in in_flight.order.bundles[item.root]}
    after = {id_: changed(asset, changes[id_]) if id_ in changes else asset for id_, asset in tree.items()}
    versions = in_flight.decomposed.versions
    first = in_flight.lines(item)[0]
    head = after[first.network or ""]
    parts = carried(after, head, lambda x: versions[x.version][x.product].is_service)
    running = [x for x in parts if x.is_live and versions[x.version][x.product].delivery_kind is DeliveryKind.LOGICAL]
    service = _service(head.id, head, running, billable=versions[head.version][head.product].is_service)
    number = head.service_id or next((values[0] for values in numbers.values() if values), None)
    return replace(service, service_id=number, numbers={**service.numbers, **numbers})


def _service(service: str, head: Asset, parts: Sequence[Asset], *, billable: bool) -> NetworkService:
    attributes: dict[str, Scalar] = {}
    numbers: dict[str, tuple[str, ...]] = {}
    for asset in (head, *parts):
        attributes |= asset.attributes
        numbers |= {x.pool: (*numbers.get(x.pool, ()), *x.values) for x in asset.numbers}
    return NetworkService(
        service=service,
        product=head.product,
        account=head.service_account,
        billable=billable,
        service_id=head.service_id,
        features=tuple(x.product for x in parts),
        numbers=numbers,
        attributes=attributes,
    )


def network_service(in_flight: InFlight, item: PlanItem, *, numbers: Mapping[str, tuple[str, ...]]) -> NetworkService:
    """What the network is told of a service: its own logical components are features, not services of their own.

    ``numbers`` are those that inventory reserved for it, by pool.
    """
    head = in_flight.order.by_id[item.subject]
    lines = in_flight.lines(item)
    attributes: dict[str, Scalar] = {}
    for line in lines:
        attributes |= line.attributes
    return NetworkService(
        service=in_flight.asset(head),
        product=head.product,
        account=head.service_account or in_flight.order.account,
        billable=in_flight.decomposed.product(head).is_service,
        service_id=head.service_id or next((values[0] for values in numbers.values() if values), None),
        features=tuple(x.product for x in lines if x is not head),
        numbers=numbers,
        attributes=attributes,
    )
