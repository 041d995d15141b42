"""What may be asked of an asset now: what its customer is offered is what would be taken (A07, A19, A20)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.asset import Asset
from domain.catalog import Catalog
from domain.change import completed
from domain.facts import Facts
from domain.order import Action, Order, OrderLine
from domain.size import too_many_lines, too_many_steps
from domain.validation import validate
from domain.violation import Violation


class Change(StrEnum):
    """What can be done to an asset with nothing but itself to start from, in the order in which it is offered.

    To replace one is to disconnect it and to add something: it may be asked of a root that may be disconnected.
    """

    MODIFY = "modify"
    SUSPEND = "suspend"
    RESUME = "resume"
    DISCONNECT = "disconnect"
    MOVE = "move"


ACTION: Mapping[Change, Action] = {
    Change.SUSPEND: Action.SUSPEND,
    Change.RESUME: Action.RESUME,
    Change.DISCONNECT: Action.DELETE,
}
"""The changes that are one line about an asset, and its action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChange:
    """What an open order will do to an asset, from ``due`` on."""

    order: str
    number: int
    line: str
    action: Action
    due: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an asset stands: what may be asked of it, and what has been asked and not been done yet."""

    allowed: tuple[Change, ...]
    pending: tuple[PendingChange, ...]


def refused(order: Order, catalog: Catalog, facts: Facts) -> tuple[Violation, ...]:
    """Why a whole order is not taken; nothing when it is."""
    asked = (order, catalog, facts)
    return validate(*asked) or too_many_lines(order) or too_many_steps(*asked)


def is_conflict(violation: Violation) -> bool:
    """Whether what is installed, or open on it, contradicts what is asked, rather than what is asked itself."""
    is_state = violation.code == "ASSET_STATE" and violation.field in ("action", "asset")
    return is_state or violation.code == "OPEN_DELETE"


def standings(catalog: Catalog, facts: Facts) -> Mapping[str, Standing]:
    """Where each asset of the facts stands, by id: an action is allowed when the least order of it would be taken."""
    found: dict[str, Standing] = {}
    for tree in _trees(facts.assets.values()):
        own = tuple(x for x in facts.pending if any(y.asset in tree for y in x.lines))
        known = replace(facts, assets=tree, pending=own)
        for asset in tree.values():
            found[asset.id] = Standing(allowed=_allowed(asset, catalog, known), pending=_pending(asset, known))
    return found


def _trees(assets: Iterable[Asset]) -> Iterable[Mapping[str, Asset]]:
    trees: dict[str, dict[str, Asset]] = {}
    for asset in assets:
        trees.setdefault(asset.root, {})[asset.id] = asset
    return trees.values()


def _allowed(asset: Asset, catalog: Catalog, facts: Facts) -> tuple[Change, ...]:
    asked = ((x, Order(account=asset.account, lines=tuple(_least(x, asset)))) for x in Change)
    return tuple(x for x, order in asked if not refused(completed(order, catalog, facts), catalog, facts))


def _pending(asset: Asset, facts: Facts) -> tuple[PendingChange, ...]:
    return tuple(
        PendingChange(order=x.order, number=x.number, line=line.id, action=line.action, due=x.due)
        for x in facts.pending
        for line in x.lines
        if line.asset == asset.id and line.action is not Action.NONE
    )


def _least(change: Change, asset: Asset) -> Iterator[OrderLine]:
    """The lines of an order that asks for a change of an asset and for nothing else."""
    match change:
        case Change.MODIFY:  # no attribute has an empty name: it is a new one
            yield OrderLine(id="1", root="1", action=Action.UPDATE, asset=asset.id, attributes={"": True},
                            changes=("attributes",))  # fmt: skip
        case Change.MOVE:
            yield OrderLine(id="1", root="1", action=Action.MOVE_DELETE, asset=asset.id)
            yield OrderLine(id="2", root="2", action=Action.MOVE_ADD, product=asset.product,
                            service_point=f"not {asset.service_point}", changes=("service_point",))  # fmt: skip
        case _:
            yield OrderLine(id="1", root="1", action=ACTION[change], asset=asset.id)
