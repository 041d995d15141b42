"""The embedded neighbours as their own people see them: shelves filled, a network that refuses, two lists compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from adapters.billing.embedded import EmbeddedBilling
from adapters.inventory.embedded import EmbeddedInventory
from adapters.provisioning.embedded import EmbeddedProvisioning
from adapters.provisioning.operations import ACTIVATE
from adapters.switches import Mode, Switch
from domain.billing import BilledService, InstanceState
from domain.neighbour import every
from domain.provisioning import RunningService, ServiceState


@dataclass(frozen=True, slots=True)
class Compared:
    """What runs beside what is billed, by service (F06): the keys of both lists, and of what only one of them has."""

    running: Mapping[str, RunningService]
    billed: Mapping[str, BilledService]

    @property
    def active_not_billed(self) -> Sequence[str]:
        """Return services that nobody pays for."""
        return sorted(self.running.keys() - self.billed.keys())

    @property
    def billed_not_active(self) -> Sequence[str]:
        """Return services that are paid for and do not run."""
        return sorted(self.billed.keys() - self.running.keys())

    @property
    def is_balanced(self) -> bool:
        """Tell whether each service that runs is billed and the other way round."""
        return not self.active_not_billed and not self.billed_not_active


def supply(engine: Engine, supplies: Mapping[str, Any]) -> dict[str, int]:
    """Fill the inventory, and return how many values or units each pool or item got.

    `pools` are ranges `first` to `last` by name, `stock` is a number of units by item. `ValueError` when it is not.
    """
    shelves = EmbeddedInventory(engine, clock=_now).supplies
    supplied: dict[str, int] = {}
    try:
        for pool, values in supplies.get("pools", {}).items():
            supplied[pool] = shelves.create_range(pool=pool, first=values["first"], last=values["last"])
        for sku, quantity in supplies.get("stock", {}).items():
            shelves.receive(sku=sku, quantity=int(quantity))
            supplied[sku] = quantity
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("pools are expected as ranges by name, stock as numbers by item") from error
    return supplied


def refuse_next_activation(engine: Engine, *, code: str, message: str) -> None:
    """Let the network refuse the next service it is asked to bring up."""
    switch = Switch(mode=Mode.REFUSE, remaining=1, code=code, message=message)
    EmbeddedProvisioning(engine, clock=_now).switches.set(ACTIVATE.name, switch)


def compare(engine: Engine) -> Compared:
    """Compare what the network runs for money with what billing bills as running.

    What billing has on an account alone is no service of the network.
    """
    network, billing, as_of = EmbeddedProvisioning(engine, clock=_now), EmbeddedBilling(engine, clock=_now), _now()
    running = every(lambda after: network.list_active(as_of=as_of, after=after))
    billed = every(lambda after: billing.list_active(as_of=as_of, after=after))
    return Compared(
        running={x.service: x for x in running if x.billable and x.state is ServiceState.ACTIVE},
        billed={x.service: x for x in billed if x.service_instance is not None and x.state is InstanceState.ACTIVE},
    )


def _now() -> datetime:
    return datetime.now(UTC)
