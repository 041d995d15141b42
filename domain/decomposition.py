"""From an order to its plan: a pure function of order and catalog (W2, B01, B34, 2.7)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from domain.catalog import ACCOUNT_LEVEL, BillingPhase, BillingType, Catalog, DeliveryKind, Kind, Product
from domain.order import Action, Order, OrderLine
from domain.plan import Function, Plan, PlanItem


@dataclass(frozen=True)
class Decomposed:
    """An order read with the catalog it pins: who belongs to which service, and who is billed how."""

    order: Order
    catalog: Catalog

    def product(self, line: OrderLine) -> Product:
        """The line's product."""
        return self.catalog[line.product]

    def service_of(self, line: OrderLine) -> OrderLine | None:
        """The service bundle or simple service bundle a line belongs to: itself or its nearest ancestor (B06, B10)."""
        return next((x for x in (line, *self.order.ancestors(line)) if self.product(x).is_service), None)

    @cached_property
    def services(self) -> tuple[OrderLine, ...]:
        """The lines that own a billing service instance: one each, whatever their quantity (B02, B47)."""
        return tuple(x for x in self.order.lines if x.action is Action.ADD and self.product(x).is_service)

    def phase(self, line: OrderLine) -> BillingPhase:
        """How a billed line is billed: physical goods on their own delivery, all else with its service (F25, 5.3)."""
        product, service = self.product(line), self.service_of(line)
        if product.delivery_kind is DeliveryKind.PHYSICAL or service is None:
            return BillingPhase.SINGLE
        return self.product(service).billing_phase

    def is_billed(self, line: OrderLine) -> bool:
        """Whether billing ever hears of the line: non-billing products and Events never reach it (B14, B37)."""
        return line.action is Action.ADD and self.product(line).kind not in (Kind.NON_BILLING, Kind.EVENT)

    def billed_alone(self, line: OrderLine) -> bool:
        """Whether the line is a billing line of its own: physical goods, and what is billed to the account (F25, B19)."""
        product = self.product(line)
        return (
            self.is_billed(line)
            and not product.is_service
            and (
                product.delivery_kind is DeliveryKind.PHYSICAL
                or product.billing_service_type == ACCOUNT_LEVEL
                or self.service_of(line) is None
            )
        )

    def billed_with(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines that one service's billing calls carry: itself and its own components, parents first (5.3)."""
        own = (x for x in self.order.descendants(service) if self.service_of(x) is service)
        return (service, *(x for x in own if self.is_billed(x) and not self.billed_alone(x)))

    def initiated_with(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines of a two-phase service that exist in billing before activation; Items are charged at the end."""
        return tuple(x for x in self.billed_with(service) if self.product(x).billing_type is not BillingType.ITEM)


def decompose(order: Order, catalog: Catalog, *, unsynced_accounts: frozenset[str] = frozenset()) -> Plan:
    """The plan of an order: deterministic, and without side effects.

    ``unsynced_accounts`` are the billing accounts that billing has not been told of yet (F34).
    """
    decomposed = Decomposed(order, catalog)
    items: list[PlanItem] = []
    for account in sorted(_billed_accounts(decomposed) & unsynced_accounts):
        lines = tuple(x for x in order.lines if x.billing_account == account)
        items.append(_item(Function.SYNC_CUSTOMER, account, lines[0].root, lines))
    synced = tuple(item.id for item in items)
    for root in order.roots:
        items.extend(_root_items(decomposed, root, synced))
    return Plan(items=tuple(items))


def _billed_accounts(decomposed: Decomposed) -> set[str]:
    return {x.billing_account for x in decomposed.order.lines if decomposed.is_billed(x) and x.billing_account}


def _root_items(decomposed: Decomposed, root: OrderLine, synced: tuple[str, ...]) -> Iterator[PlanItem]:
    """The steps of one root bundle, in an order in which each stands after what it depends on."""
    lines = [x for x in (root, *decomposed.order.descendants(root)) if x.action is Action.ADD]
    services = [x for x in lines if decomposed.product(x).is_service]
    before: tuple[str, ...] = ()
    if demanding := [x for x in lines if decomposed.product(x).pool or decomposed.product(x).sku]:
        yield (reserve := _item(Function.RESERVE, root.id, root.id, demanding))
        before = (reserve.id,)
    initiated: tuple[str, ...] = ()
    if two_phase := [x for x in services if decomposed.phase(x) is BillingPhase.TWO]:
        covered = [y for x in two_phase for y in decomposed.initiated_with(x)]
        yield (initiate := _item(Function.INITIATE_BILLING, root.id, root.id, covered, (*before, *synced)))
        initiated = (initiate.id,)
    delivered: dict[str, str] = {}
    for kind, function in ((DeliveryKind.PHYSICAL, Function.DELIVER), (DeliveryKind.LOGICAL, Function.PROVISION)):
        for item in _deliveries(decomposed, root, lines, kind=kind, function=function, after=(*before, *initiated)):
            delivered |= dict.fromkeys(item.lines, item.id)
            yield item
    bills = list(_bills(decomposed, root, lines, delivered, (*before, *synced, *initiated)))
    yield from bills
    done = tuple(dict.fromkeys((*before, *delivered.values())))
    if before:
        yield (commit := _item(Function.COMMIT, root.id, root.id, demanding, done))
        done = (commit.id,)
    if lines:
        yield _item(Function.ASSET, root.id, root.id, lines, (*done, *(bill.id for bill in bills)))


def _deliveries(
    decomposed: Decomposed,
    root: OrderLine,
    lines: list[OrderLine],
    *,
    kind: DeliveryKind,
    function: Function,
    after: tuple[str, ...],
) -> Iterator[PlanItem]:
    """One delivery for each physical line, one activation for each service with its own logical components (F02, F03).

    A nested service is activated after the service it stands in (2.7).
    """
    wanted = [x for x in lines if decomposed.product(x).delivery_kind is kind]
    groups: dict[str, list[OrderLine]] = {}
    for line in wanted:
        service = decomposed.service_of(line) if kind is DeliveryKind.LOGICAL else None
        groups.setdefault((service or line).id, []).append(line)
    for subject, covered in groups.items():
        above = [x.id for x in decomposed.order.ancestors(decomposed.order.by_id[subject]) if x.id in groups]
        waits = (*after, f"{function}:{above[0]}") if above and kind is DeliveryKind.LOGICAL else after
        yield _item(function, subject, root.id, covered, waits)


def _bills(
    decomposed: Decomposed, root: OrderLine, lines: list[OrderLine], delivered: dict[str, str], before: tuple[str, ...]
) -> Iterator[PlanItem]:
    """The closing billing call of each service and of each line billed alone, when its own lines are delivered (5.3)."""
    for line in lines:
        if decomposed.product(line).is_service:
            covered = decomposed.billed_with(line)
            two = decomposed.phase(line) is BillingPhase.TWO
            function = Function.FULFILL_BILLING if two else Function.PURCHASE
        elif decomposed.billed_alone(line):
            covered, function = (line,), Function.PURCHASE
        else:
            continue
        own = (line, *(x for x in decomposed.order.descendants(line) if decomposed.service_of(x) is line))
        waits = [delivered[x.id] for x in own if x.id in delivered and not (x is not line and decomposed.billed_alone(x))]
        holder = decomposed.service_of(line)
        if function is Function.PURCHASE and holder is not None and holder is not line and not waits:
            waits = [delivered[holder.id]] if holder.id in delivered else []
        yield _item(function, line.id, root.id, covered, tuple(dict.fromkeys((*before, *waits))))


def _item(
    function: Function,
    subject: str,
    root: str,
    lines: list[OrderLine] | tuple[OrderLine, ...],
    depends_on: tuple[str, ...] = (),
) -> PlanItem:
    return PlanItem(
        function=function, subject=subject, root=root, lines=tuple(x.id for x in lines), depends_on=depends_on
    )
