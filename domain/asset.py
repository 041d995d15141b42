"""Installed assets: what a customer has, what may be done to it, and what a line makes of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any

from domain.money import Money
from domain.order import CHANGEABLE, Action, OrderLine, Scalar


class AssetStatus(StrEnum):
    """The life of an asset (2.5)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    INACTIVE = "inactive"


IN_PROFILE = frozenset({AssetStatus.ACTIVE, AssetStatus.SUSPENDED})
"""A customer's service profile: active assets, and suspended ones, which resume starts from (A01, Q16)."""

ALLOWED_ON: Mapping[Action, frozenset[AssetStatus]] = {
    Action.ADD: frozenset(),
    Action.UPDATE: frozenset({AssetStatus.ACTIVE}),
    Action.DELETE: frozenset({AssetStatus.ACTIVE, AssetStatus.SUSPENDED}),
    Action.SUSPEND: frozenset({AssetStatus.ACTIVE}),
    Action.RESUME: frozenset({AssetStatus.SUSPENDED}),
    Action.MOVE_ADD: frozenset(),
    Action.MOVE_DELETE: frozenset({AssetStatus.ACTIVE}),
    Action.NONE: frozenset(AssetStatus),
}
"""The states of an asset in which a line may ask for an action (2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What an asset has out of a pool of inventory, and the reservation and line it was taken for."""

    pool: str
    values: tuple[str, ...]
    reservation: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """An installed asset, as it stands or as it will.

    ``root`` and ``parent`` are assets, ``account`` is the customer who owns it; ``version`` is the catalog version that
    it was made from, ``created_by`` the order. It is there until ``service_end``, if that is set.
    """

    id: str
    product: str
    version: int
    account: str
    status: AssetStatus
    root: str
    parent: str | None = None
    service_account: str
    billing_account: str
    billing_profile: str
    service_id: str | None = None
    service_point: str | None = None
    quantity: int = 1
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    price: Money | None = None
    promotion_ref: str | None = None
    numbers: tuple[Numbers, ...] = ()
    service_start: datetime
    service_end: datetime | None = None
    created_by: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it runs, or is suspended."""
        return self.status is not AssetStatus.INACTIVE

    def said(self, field: str) -> Any:  # noqa: ANN401 - as a line says it
        """The value of a changeable field, as an order line says it: dates, not instants."""
        value = getattr(self, field)
        return value.date() if isinstance(value, datetime) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Why assets cannot be changed yet: the order of that number does so now, or comes first."""

    number: int


Tree = Mapping[str, Asset]
"""The assets of one root asset, by id."""

NO_TREE: Tree = {}


def asset_of(tree: Tree, line: OrderLine | None) -> Asset | None:
    """The asset of a tree that a line is about."""
    return tree.get(line.asset) if line and line.asset else None


def below(tree: Tree, asset: Asset) -> Iterator[Asset]:
    """The assets directly below one."""
    return (x for x in tree.values() if x.parent == asset.id)


def above(tree: Tree, asset: Asset) -> Iterator[Asset]:
    """The assets above one, nearest first."""
    while asset.parent is not None and asset.parent in tree:
        yield (asset := tree[asset.parent])


def carried(tree: Tree, service: Asset, is_service: Callable[[Asset], bool]) -> Iterator[Asset]:
    """The components that came with a service and are carried by it; what joined it later stands by itself."""
    for child in below(tree, service):
        if child.created_by == service.created_by and not is_service(child):
            yield child
            yield from carried(tree, child, is_service)


BECOMES: Mapping[Action, AssetStatus] = {
    Action.SUSPEND: AssetStatus.SUSPENDED,
    Action.RESUME: AssetStatus.ACTIVE,
    Action.DELETE: AssetStatus.INACTIVE,
    Action.MOVE_DELETE: AssetStatus.INACTIVE,
}
"""The state in which a completed line leaves an asset that was there before; any other action leaves it as it was."""


def changed(asset: Asset, line: OrderLine) -> Asset:
    """What a completed line about an asset makes of it (2.5)."""
    if line.action is Action.UPDATE:
        return replace(asset, **values(asset, line))
    return replace(asset, status=BECOMES.get(line.action, asset.status))


def values(asset: Asset, line: OrderLine) -> dict[str, Any]:
    """The fields that a line changes, as the asset has them afterwards: of the attributes those that the line names."""
    wanted = {name: _kept(getattr(line, name)) for name in line.changes or ()}
    return wanted | ({"attributes": {**asset.attributes, **line.attributes}} if "attributes" in wanted else {})


def with_assets_of(line: OrderLine, asset: Asset) -> dict[str, Any]:
    """The fields of a line as its asset has them."""
    fields = {name: asset.said(name) for name in CHANGEABLE}
    return fields | {"product": line.product or asset.product, "version": asset.version}


def ends(line: OrderLine) -> datetime | None:
    """When what a line is about ends by itself, if it does."""
    ending: datetime | None = _kept(line.service_end)
    return ending


def _kept(value: Any) -> Any:  # noqa: ANN401 - whatever the field holds
    """A line's value as an asset keeps it: a day begins at midnight UTC."""
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    return datetime.combine(value, time(), UTC) if is_day else value
