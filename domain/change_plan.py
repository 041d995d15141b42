"""The steps by which what is installed is changed, in their order of effects (5.6)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from domain.catalog import ACCOUNT_LEVEL, BillingType
from domain.decomposed import Decomposed
from domain.order import CHANGEABLE, TECHNICAL, Action, OrderLine
from domain.plan import PROVING, Function, PlanItem

_OF_SERVICE = frozenset({"service_id", "billing_account", "billing_profile"})
_OF_PRODUCT = frozenset({"price", "promotion_ref", "quantity"})
_PURCHASED = frozenset({BillingType.SUBSCRIPTION, BillingType.DISCOUNT})
_OFF = {Action.SUSPEND: Function.SUSPEND, Action.DELETE: Function.DISCONNECT, Action.MOVE_DELETE: Function.DISCONNECT}
_IN_BILLING = {
    Action.SUSPEND: Function.SUSPEND_BILLING,
    Action.RESUME: Function.RESUME_BILLING,
    Action.DELETE: Function.CLOSE_BILLING,
}
Items = tuple[PlanItem, ...]


def told(decomposed: Decomposed, line: OrderLine) -> tuple[str, ...]:
    """Which of a line's changes billing is told of: a service's accounts and id, and what a product costs (B54, B56).

    A component has its accounts from its service; what stands on an account, one of its own.
    """
    product = decomposed.product(line)
    alone = product.billing_service_type == ACCOUNT_LEVEL
    of_service = _OF_SERVICE if product.is_service else {"billing_account"} if alone else frozenset()
    of_product = _OF_PRODUCT if product.billing_type in _PURCHASED else frozenset()
    return tuple(x for x in CHANGEABLE if x in (of_service | of_product) & {*(line.changes or ())})


@dataclass(frozen=True)
class Changes:
    """The lines of one bundle that are about assets, and what they cost.

    The network comes before billing; nested services go off first and come on last. A move activates at the new place,
    and only then is there no way back.
    """

    decomposed: Decomposed
    root: str
    lines: tuple[OrderLine, ...]

    @cached_property
    def asked(self) -> tuple[OrderLine, ...]:
        """The lines that ask for something: neither new products, which come first, nor context."""
        return tuple(x for x in self.lines if x.action not in (Action.ADD, Action.NONE))

    def claim(self) -> Items:
        """Nobody else changes these assets meanwhile (I20)."""
        about = [x for x in self.lines if x.asset is not None]
        asks = any(x.action is not Action.NONE for x in self.lines)
        return self._one(Function.CLAIM, about, ()) if about and asks else ()

    def items(self, after: Items) -> Items:
        """All that is done to the assets, after what comes first."""
        relocate = self._relocations(after)
        network = (*relocate, *self._off((*after, *relocate)), *self._resumptions(after), *self._modifications(after))
        repoint = self._one(Function.REPOINT, self._moved(), (*after, *network)) if self._moved() else ()
        charge = self._charges((*after, *network, *repoint))
        proofs = [x for x in (*after, *network) if x.function in PROVING]
        bills = tuple(_dated(x, proofs) for x in self._bills((*after, *network, *charge)))
        retired = self._retired()
        retire = self._one(Function.RETIRE, retired, (*after, *network, *bills)) if retired else ()
        return (*network, *repoint, *charge, *bills, *retire)

    # on the network

    @cached_property
    def _on_network(self) -> Mapping[str, list[OrderLine]]:
        """The lines about what the network runs, by what it runs as."""
        found: dict[str, list[OrderLine]] = {}
        for line in self.lines:
            if line.network is not None and line.asset is not None:
                found.setdefault(line.network, []).append(line)
        return found

    def _heads(self, *actions: Action) -> dict[str, list[OrderLine]]:
        """Of the services that the network runs, those with a line of their own that has such an action."""
        heads = {x.asset: x for x in self.lines if x.asset in self._on_network}
        return {
            heads[key].id: lines
            for key, lines in self._on_network.items()
            if key in heads and heads[key].action in actions
        }

    def _off(self, after: Items) -> Items:
        """Services go down, or rest, each after those nested in it."""
        items: dict[str, PlanItem] = {}
        heads = self._heads(*_OFF)
        for line in reversed([x for x in self.lines if x.id in heads]):
            nested = (item for id_, item in items.items() if line in self._ancestors(id_))
            items[line.id] = self._item(_OFF[line.action], line, heads[line.id], (*after, *nested))
        return tuple(items.values())

    def _resumptions(self, after: Items) -> Items:
        return self._on(Function.RESUME, self._heads(Action.RESUME), after)

    def _relocations(self, after: Items) -> Items:
        """What moves is brought up at the new place, while the old one still runs (5.6)."""
        groups: dict[str, list[OrderLine]] = {}
        for line in (x for x in self.lines if x.action is Action.MOVE_ADD and x.network is not None):
            groups.setdefault((self.decomposed.service_of(line) or line).id, []).append(line)
        return self._on(Function.RELOCATE, groups, after)

    def _on(self, function: Function, groups: Mapping[str, list[OrderLine]], after: Items) -> Items:
        """Services come up, each after the one it is nested in."""
        items: dict[str, PlanItem] = {}
        for line in (x for x in self.lines if x.id in groups):
            above = next((items[x.id] for x in self._ancestors(line.id) if x.id in items), None)
            items[line.id] = self._item(function, line, groups[line.id], (*after, *((above,) if above else ())))
        return tuple(items.values())

    def _modifications(self, after: Items) -> Items:
        """A service that stays is told once of all that is otherwise with it: itself, or what it carries."""
        by_asset = {x.asset: x for x in self.lines if x.asset}
        items = []
        for key, lines in self._on_network.items():
            head = by_asset.get(key)
            stays = head is None or head.action in (Action.UPDATE, Action.NONE)
            otherwise = [x for x in lines if x.action is Action.DELETE or TECHNICAL & {*(x.changes or ())}]
            if stays and otherwise:
                items.append(self._item(Function.MODIFY, head or otherwise[0], otherwise, after))
        return tuple(items)

    def _ancestors(self, line: str) -> list[OrderLine]:
        return list(self.decomposed.order.ancestors(self.decomposed.order.by_id[line]))

    # in billing

    def _moved(self) -> list[OrderLine]:
        """What billing knows of what moves, also what was charged once: it is only to know it otherwise (B53)."""
        known = {BillingType.SERVICE_BUNDLE, BillingType.ITEM} | _PURCHASED
        moved = (x for x in self.lines if x.action is Action.MOVE_ADD)
        return [x for x in moved if self.decomposed.product(x).billing_type in known]

    def _charges(self, after: Items) -> Items:
        return tuple(self._item(Function.CHARGE, x, (x,), after) for x in self.lines if x.is_charge)

    def _bills(self, after: Items) -> Iterator[PlanItem]:
        """Each service with all that comes with it; a component by itself where its service stays (B42, B50, B52)."""
        updated: dict[str, list[OrderLine]] = {}
        for line in (x for x in self.asked if self._is_billed(x)):
            service = self.decomposed.service_of(line)
            if line.action is Action.UPDATE:
                if told(self.decomposed, line):
                    updated.setdefault(self._billed_as(line, service), []).append(line)
            elif line.action in _IN_BILLING and (service is line or not self._goes_with(line, service)):
                own = (x for x in self.asked if x is line or (self._goes_with(x, line) and self._is_billed(x)))
                yield self._item(_IN_BILLING[line.action], line, own, after)
        for key, lines in updated.items():
            head = next((x for x in lines if x.asset == key), lines[0])
            yield self._item(Function.UPDATE_BILLING, head, lines, after)

    def _billed_as(self, line: OrderLine, service: OrderLine | None) -> str:
        """The asset by which billing knows what a line is about: its service, unless it is billed to the account."""
        if self.decomposed.product(line).billing_service_type == ACCOUNT_LEVEL:
            return line.asset or ""
        return (service.asset if service else line.service) or line.asset or ""

    def _goes_with(self, line: OrderLine, service: OrderLine | None) -> bool:
        """Whether what is done to a service in billing is done to a component too."""
        return (
            service is not None
            and line is not service
            and line.action is service.action
            and self.decomposed.service_of(line) is service
            and self.decomposed.product(line).billing_service_type != ACCOUNT_LEVEL
        )

    def _is_billed(self, line: OrderLine) -> bool:
        """Whether billing has something of it that goes on: what was charged once is over (B14, B37)."""
        return self.decomposed.product(line).billing_type in {BillingType.SERVICE_BUNDLE} | _PURCHASED

    def _retired(self) -> list[OrderLine]:
        """What gives a number or an address back: disconnected, or with another one from now on."""
        gone = (x for x in self.asked if x.action is Action.DELETE or "service_id" in (x.changes or ()))
        return [x for x in gone if self.decomposed.product(x).pool and x.action in (Action.DELETE, Action.UPDATE)]

    def _one(self, function: Function, lines: Iterable[OrderLine], after: Items) -> Items:
        return (self._item(function, self.decomposed.order.by_id[self.root], lines, after),)

    def _item(self, function: Function, subject: OrderLine, lines: Iterable[OrderLine], after: Items) -> PlanItem:
        return PlanItem(
            function=function,
            subject=subject.id,
            root=self.root,
            lines=tuple(x.id for x in lines),
            depends_on=tuple(dict.fromkeys(x.id for x in after)),
        )


def _dated(bill: PlanItem, proofs: list[PlanItem]) -> PlanItem:
    """A service is billed from what happened to itself, though all waits for the last of them (5.6)."""
    own = tuple(x.id for x in proofs if not {*x.lines}.isdisjoint(bill.lines))
    return replace(bill, own_proofs=own) if len(own) < len(proofs) else bill
