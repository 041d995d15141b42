"""From an order to its plan: a pure function of order and catalog (W2, B01, B34, 2.7)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from domain.catalog import BillingPhase, Catalog, DeliveryKind
from domain.change_plan import Changes
from domain.decomposed import Decomposed
from domain.order import Action, Order, OrderLine
from domain.plan import ON_THE_NETWORK, Function, Plan, PlanItem


def decompose(
    order: Order,
    catalog: Catalog,
    *,
    versions: Mapping[int, Catalog] = MappingProxyType({}),
    unsynced_accounts: frozenset[str] = frozenset(),
) -> Plan:
    """The plan of an order: deterministic, and without side effects; each item stands after those it depends on.

    ``unsynced_accounts`` are the billing accounts that billing has not been told of yet (F34), ``versions`` the
    catalogs of the assets that the order changes.
    """
    decomposed = Decomposed(order, catalog, versions)
    synced = {item.subject: item for item in _synchronizations(decomposed, unsynced_accounts)}
    items = list(synced.values())
    for root, lines in order.bundles.items():
        items.extend(_Bundle(decomposed, order.by_id[root], lines, synced).items())
    return Plan(items=tuple(items), in_a_row=True)


def _synchronizations(decomposed: Decomposed, unsynced_accounts: frozenset[str]) -> Iterator[PlanItem]:
    """Billing is told of an account before its first call."""
    lines = decomposed.order.lines
    billed = {x.billing_account for x in lines if _is_told_of(decomposed, x) and x.billing_account}
    for account in sorted(billed & unsynced_accounts):
        of_account = tuple(x for x in lines if x.billing_account == account)
        yield _item(Function.SYNC_CUSTOMER, account, of_account[0].root, of_account)


def _is_told_of(decomposed: Decomposed, line: OrderLine) -> bool:
    """Whether billing hears of the line's account: with something new, or for what is billed to it from now on."""
    return decomposed.is_billed(line) or "billing_account" in (line.changes or ())


@dataclass(frozen=True)
class _Bundle:
    """One root and all that is carried out with it; ``synced`` are the account synchronizations of the order."""

    decomposed: Decomposed
    root: OrderLine
    whole: tuple[OrderLine, ...]
    synced: Mapping[str, PlanItem]

    @cached_property
    def lines(self) -> tuple[OrderLine, ...]:
        """The lines of new products."""
        return tuple(x for x in self.whole if x.action is Action.ADD and not x.is_charge)

    def items(self) -> Iterator[PlanItem]:
        """The steps of the bundle (2.7): what is new first, then what changes.

        A revision may have the reservation made anew and leave billing's first phase alone: the rest waits for both.
        """
        changes = Changes(self.decomposed, self.root.id, self.whole)
        claim, synced = changes.claim(), self._synced()
        reserve = self._reserve(after=claim)
        held = reserve or claim
        initiate = self._initiate(after=(*held, *synced))
        guard = (*held, *initiate)
        deliver, provision = self._deliver(after=guard), self._provision(after=guard)
        bills = self._bills(deliver, provision, after=guard if initiate else (*held, *synced))
        new = (*guard, *deliver, *provision, *bills)
        changed = changes.items(after=(*new, *synced)) if changes.asked else ()
        network = tuple(x for x in changed if x.function in ON_THE_NETWORK)
        commit = self._commit(reserve, after=(*deliver, *provision, *bills, *network))
        asset = self._asset(after=(*(commit or (*deliver, *provision)), *bills, *changed) or held)
        yield from (*claim, *reserve, *initiate, *deliver, *provision, *bills, *changed, *commit, *asset)

    def _synced(self) -> tuple[PlanItem, ...]:
        accounts = {x.billing_account for x in self.whole if _is_told_of(self.decomposed, x)}
        return tuple(item for account, item in self.synced.items() if account in accounts)

    def _reserve(self, *, after: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
        """Stock and numbers of the whole bundle, all or none; what is installed may get another number."""
        new = [x for x in self.lines if self.decomposed.product(x).pool or self.decomposed.product(x).sku]
        renumbered = [x for x in self.whole if "service_id" in (x.changes or ()) and x.action is Action.UPDATE]
        return self._one(Function.RESERVE, [*new, *(x for x in renumbered if self.decomposed.product(x).pool)], after)

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
        """What was reserved is taken for good once all is delivered and billed: until then it can be taken back."""
        demanding = [self.decomposed.order.by_id[x] for item in reserve for x in item.lines]
        return self._one(Function.COMMIT, demanding, (*reserve, *after))

    def _asset(self, *, after: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
        """All lines of the bundle become or change assets together, or have done their part (A02, A03, C21)."""
        return self._one(Function.ASSET, [x for x in self.whole if x.action is not Action.NONE], after)

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
