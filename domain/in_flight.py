"""An order under way, as every step sees it: the document, the catalog it pins, and the plan that follows from both."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from domain.catalog import Catalog
from domain.decomposed import Decomposed
from domain.decomposition import decompose
from domain.facts import BEFORE_ALL
from domain.order import Order, OrderLine, Scalar, asset_id
from domain.plan import Function, Plan, PlanItem

CORRECTABLE = frozenset({"service_id", "service_point", "location", "attributes"})
"""The fields of a line that an operator may correct while the order is under way: technical ones, never money."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """An operator's correction of one line: new values by field name; attributes are merged into the line's own."""

    line: str
    fields: Mapping[str, str | None] = field(default_factory=dict)
    attributes: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InFlight:
    """An order that came at ``arrived``, under way.

    :attr:`items` are its plan items by id, but for the account synchronizations.
    """

    id: str
    number: int
    decomposed: Decomposed
    revision: int = 0
    arrived: datetime = BEFORE_ALL

    @property
    def order(self) -> Order:
        """The order."""
        return self.decomposed.order

    @property
    def catalog(self) -> Catalog:
        """The catalog version the order pins."""
        return self.decomposed.catalog

    @cached_property
    def items(self) -> Mapping[str, PlanItem]:
        """The plan items that follow from order and catalog alone."""
        return {item.id: item for item in self._plan.items}

    @cached_property
    def _plan(self) -> Plan:
        return self._decompose()

    def plan(self, *, unsynced_accounts: frozenset[str]) -> Plan:
        """The whole plan, with the synchronizations of accounts that billing has not been told of yet (F34)."""
        if not unsynced_accounts:
            return self._plan
        return self._decompose(unsynced_accounts)

    def _decompose(self, unsynced_accounts: frozenset[str] = frozenset()) -> Plan:
        versions = self.decomposed.versions
        return decompose(self.order, self.catalog, versions=versions, unsynced_accounts=unsynced_accounts)

    def item(self, id: str) -> PlanItem:  # noqa: A002
        """The plan item of that id."""
        return self.items.get(id) or self._synchronization(id)

    def _synchronization(self, id: str) -> PlanItem:  # noqa: A002
        account = id.removeprefix(f"{Function.SYNC_CUSTOMER}:")
        lines = tuple(x.id for x in self.order.lines if x.billing_account == account)
        return PlanItem(function=Function.SYNC_CUSTOMER, subject=account, root=lines[0], lines=lines)

    def asset(self, line: OrderLine) -> str:
        """The id of the asset a line is about."""
        return self._assets[line.id]

    @cached_property
    def _assets(self) -> Mapping[str, str]:
        return {line.id: asset_id(self.id, line) for line in self.order.lines}

    def lines(self, item: PlanItem) -> tuple[OrderLine, ...]:
        """The lines an item covers."""
        return tuple(self.order.by_id[x] for x in item.lines)


def corrected(order: Order, corrections: tuple[Correction, ...]) -> Order:
    """The order with an operator's corrections applied, the later ones last."""
    for correction in corrections:
        lines = (
            replace(x, attributes={**x.attributes, **correction.attributes}, **cast("Any", correction.fields))
            if x.id == correction.line
            else x
            for x in order.lines
        )
        order = replace(order, lines=tuple(lines))
    return order
