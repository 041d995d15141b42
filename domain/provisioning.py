"""The words spoken with the provisioning system: what the network runs for whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.in_flight import InFlight
from domain.order import Scalar
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
