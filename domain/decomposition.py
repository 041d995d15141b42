"""From an order to its plan: a pure function of order and catalog (W2, B01, B34, 2.7)."""

from collections.abc import Iterable, Iterator, Mapping
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
        return self._services[line.id]

    @cached_property
    def _services(self) -> Mapping[str, OrderLine | None]:
        found: dict[str, OrderLine | None] = {}
        for line in self.order.lines:
            above = found[line.parent] if line.parent is not None else None
            found[line.id] = line if self.product(line).is_service else above
        return found

    def added_service_of(self, line: OrderLine) -> OrderLine | None:
        """The service a line comes into being with; ``None`` when it stands alone or joins a service that exists."""
        service = self.service_of(line)
        return service if service and service.action is Action.ADD else None

    def own_lines(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines that come into being with a service, itself first; a nested service's lines are not among them."""
        return self._own_lines.get(service.id, ())

    @cached_property
    def _own_lines(self) -> Mapping[str, tuple[OrderLine, ...]]:
        found: dict[str, list[OrderLine]] = {}
        for line in self.order.lines:
            if line.action is Action.ADD and (service := self.added_service_of(line)):
                found.setdefault(service.id, []).append(line)
        return {service: tuple(lines) for service, lines in found.items()}

    @cached_property
    def services(self) -> tuple[OrderLine, ...]:
        """The lines that own a billing service instance: one each, whatever their quantity (B02, B47)."""
        return tuple(x for x in self.order.lines if x.action is Action.ADD and self.product(x).is_service)

    def phase(self, line: OrderLine) -> BillingPhase:
        """How a billed line is billed: as its service's product says; on its own always in one call (5.3)."""
        service = self.added_service_of(line)
        if service is None or self.billed_alone(line):
            return BillingPhase.SINGLE
        return self.product(service).billing_phase

    def is_billed(self, line: OrderLine) -> bool:
        """Whether billing ever hears of the line: non-billing products and Events never reach it (B14, B37)."""
        return line.action is Action.ADD and self.product(line).kind not in (Kind.NON_BILLING, Kind.EVENT)

    def billed_alone(self, line: OrderLine) -> bool:
        """Whether the line is a billing line of its own.

        So are physical goods (F25), what is billed to the account (B19), and what joins a service that exists already.
        """
        product = self.product(line)
        return (
            self.is_billed(line)
            and not product.is_service
            and (
                product.delivery_kind is DeliveryKind.PHYSICAL
                or product.billing_service_type == ACCOUNT_LEVEL
                or self.added_service_of(line) is None
            )
        )

    def billed_with(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines that one service's billing calls carry: itself and its own components, parents first (5.3)."""
        return tuple(x for x in self.own_lines(service) if self.is_billed(x) and not self.billed_alone(x))

    def initiated_with(self, service: OrderLine) -> tuple[OrderLine, ...]:
        """The lines of a two-phase service that exist in billing before activation; Items are charged at the end."""
        return tuple(x for x in self.billed_with(service) if self.product(x).billing_type is not BillingType.ITEM)


def decompose(order: Order, catalog: Catalog, *, unsynced_accounts: frozenset[str] = frozenset()) -> Plan:
    """The plan of an order: deterministic, and without side effects; each item stands after those it depends on.

    ``unsynced_accounts`` are the billing accounts that billing has not been told of yet (F34).
    """
    decomposed = Decomposed(order, catalog)
    synced = {item.subject: item for item in _synchronizations(decomposed, unsynced_accounts)}
    items = list(synced.values())
    for root in order.roots:
        lines = tuple(x for x in (root, *order.descendants(root)) if x.action is Action.ADD)
        items.extend(_Bundle(decomposed, root, lines, synced).items())
    return Plan(items=tuple(items), in_a_row=True)


def _synchronizations(decomposed: Decomposed, unsynced_accounts: frozenset[str]) -> Iterator[PlanItem]:
    """Billing is told of an account before its first call."""
    lines = decomposed.order.lines
    billed = {x.billing_account for x in lines if decomposed.is_billed(x) and x.billing_account}
    for account in sorted(billed & unsynced_accounts):
        of_account = tuple(x for x in lines if x.billing_account == account)
        yield _item(Function.SYNC_CUSTOMER, account, of_account[0].root, of_account)


@dataclass(frozen=True)
class _Bundle:
    """One root and the lines added with it; ``synced`` are the account synchronizations of the order."""

    decomposed: Decomposed
    root: OrderLine
    lines: tuple[OrderLine, ...]
    synced: Mapping[str, PlanItem]

    def items(self) -> Iterator[PlanItem]:
        """The steps of the bundle (2.7)."""
        synced = self._synced()
        reserve = self._reserve()
        initiate = self._initiate(after=(*reserve, *synced))
        deliver = self._deliver(after=initiate or reserve)
        provision = self._provision(after=initiate or reserve)
        bills = self._bills(deliver, provision, after=initiate or (*reserve, *synced))
        commit = self._commit(reserve, after=(*deliver, *provision))
        asset = self._asset(after=(*(commit or (*deliver, *provision)), *bills))
        yield from (*reserve, *initiate, *deliver, *provision, *bills, *commit, *asset)

    def _synced(self) -> tuple[PlanItem, ...]:
        accounts = {x.billing_account for x in self.lines if self.decomposed.is_billed(x)}
        return tuple(item for account, item in self.synced.items() if account in accounts)

    def _reserve(self) -> tuple[PlanItem, ...]:
        """Stock and numbers of the whole bundle, all or none."""
        demanding = [x for x in self.lines if self.decomposed.product(x).pool or self.decomposed.product(x).sku]
        return self._one(Function.RESERVE, demanding)

    def _initiate(self, *, after: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
        """Billing's first phase for all services of the bundle that have two: the guard of what follows (5.3)."""
        services = (x for x in self.lines if self.decomposed.product(x).is_service)
        two_phase = (x for x in services if self.decomposed.phase(x) is BillingPhase.TWO)
        covered = [line for service in two_phase for line in self.decomposed.initiated_with(service)]
        return self._one(Function.INITIATE_BILLING, covered, after)

    def _deliver(self, *, after: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
        """One delivery for each physical line (F03)."""
        physical = (x for x in self.lines if self.decomposed.product(x).delivery_kind is DeliveryKind.PHYSICAL)
        return tuple(self._item(Function.DELIVER, x, (x,), after) for x in physical)

    def _provision(self, *, after: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
        """One activation for each service with its own logical lines, after that of the service it stands in (F02)."""
        groups: dict[str, list[OrderLine]] = {}
        for line in self.lines:
            if self.decomposed.product(line).delivery_kind is DeliveryKind.LOGICAL:
                groups.setdefault((self.decomposed.added_service_of(line) or line).id, []).append(line)
        items: dict[str, PlanItem] = {}
        for line in (x for x in self.lines if x.id in groups):
            above = next((items[x.id] for x in self.decomposed.order.ancestors(line) if x.id in groups), None)
            waits = (above,) if above else ()
            items[line.id] = self._item(Function.PROVISION, line, groups[line.id], (*after, *waits))
        return tuple(items.values())

    def _bills(
        self, deliver: tuple[PlanItem, ...], provision: tuple[PlanItem, ...], *, after: tuple[PlanItem, ...]
    ) -> tuple[PlanItem, ...]:
        """The closing billing call of each service and of each line billed alone, each on its own proof (F25, 5.3)."""
        proofs = _Proofs(
            self.decomposed,
            delivered={x.subject: x for x in deliver},
            running={line: item for item in provision for line in item.lines},
        )
        bills: list[PlanItem] = []
        for line in self.lines:
            if self.decomposed.product(line).is_service:
                two = self.decomposed.phase(line) is BillingPhase.TWO
                function = Function.FULFILL_BILLING if two else Function.PURCHASE
                waits, covered = proofs.of_service(line), self.decomposed.billed_with(line)
                bills.append(self._item(function, line, covered, (*after, *waits)))
            elif self.decomposed.billed_alone(line):
                bills.append(self._item(Function.PURCHASE, line, (line,), (*after, *proofs.of_line(line))))
        return tuple(bills)

    def _commit(self, reserve: tuple[PlanItem, ...], *, after: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
        """What was reserved is taken for good once all is delivered."""
        demanding = [self.decomposed.order.by_id[x] for item in reserve for x in item.lines]
        return self._one(Function.COMMIT, demanding, (*reserve, *after))

    def _asset(self, *, after: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
        """All lines added with the bundle become assets together, or have done their part (A02, A03)."""
        return self._one(Function.ASSET, self.lines, after)

    def _one(
        self, function: Function, lines: Iterable[OrderLine], after: tuple[PlanItem, ...] = ()
    ) -> tuple[PlanItem, ...]:
        """The one item of a function for the whole bundle; none when no line needs it."""
        covered = tuple(lines)
        return (self._item(function, self.root, covered, after),) if covered else ()

    def _item(
        self, function: Function, subject: OrderLine, lines: Iterable[OrderLine], after: tuple[PlanItem, ...]
    ) -> PlanItem:
        return _item(function, subject.id, self.root.id, lines, after)


@dataclass(frozen=True)
class _Proofs:
    """What must have happened before something may be billed: ``delivered`` and ``running`` by line id."""

    decomposed: Decomposed
    delivered: Mapping[str, PlanItem]
    running: Mapping[str, PlanItem]

    def of_service(self, service: OrderLine) -> tuple[PlanItem, ...]:
        """A service is billed once it runs, whatever goods are still on their way; off the network, once they came."""
        lines = self.decomposed.own_lines(service)
        found = [self.running[x.id] for x in lines if x.id in self.running]
        return tuple({item.id: item for item in found}.values()) or tuple(
            self.delivered[x.id] for x in lines if x.id in self.delivered
        )

    def of_line(self, line: OrderLine) -> tuple[PlanItem, ...]:
        """A line billed alone waits for its own delivery only; what is not delivered, for the service it comes with."""
        own = self.delivered.get(line.id) or self.running.get(line.id)
        service = self.decomposed.added_service_of(line)
        if own is None and service is not None:
            return self.of_service(service)
        return (own,) if own else ()


def _item(
    function: Function,
    subject: str,
    root: str,
    lines: Iterable[OrderLine],
    after: tuple[PlanItem, ...] = (),
) -> PlanItem:
    return PlanItem(
        function=function,
        subject=subject,
        root=root,
        lines=tuple(x.id for x in lines),
        depends_on=tuple(dict.fromkeys(x.id for x in after)),
    )
