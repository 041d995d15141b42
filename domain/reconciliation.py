"""What the network runs held against what billing bills, service by service (F05, F06, F07; billing.md 5.8).

Three lists are held side by side by service key, which is the asset: what the network runs, what billing bills, and our
own record between the two, whose cross-reference says which billing object belongs to which asset. Equal numbers prove
nothing: of {1, 2, 3} running and {1, 2, 4} billed there are as many, and two differences.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import merge
from itertools import groupby

from domain.asset import Asset, Tree, below
from domain.billing import BilledService, InstanceState
from domain.catalog import ACCOUNT_LEVEL, BillingType, Product
from domain.decomposed import Decomposed
from domain.fallout import MORE_THAN_LISTED, FalloutType, Finding
from domain.money import Money
from domain.order import OrderLine
from domain.provisioning import RunningService, ServiceState

LISTED = 1_000
"""How many differences a comparison lists; beyond them it only counts, for then one thing is wrong, not thousands."""
SAME_DATE = timedelta(minutes=1)
"""Dates that are no further apart are the same: clocks differ, and so do roundings."""


class DifferenceClass(StrEnum):
    """In which way a service differs (5.8). Of the first four it has at most one: the one that costs most."""

    ACTIVE_NOT_BILLED = "ACTIVE_NOT_BILLED"
    """It runs, and nobody pays for it: revenue leaks."""
    BILLED_NOT_ACTIVE = "BILLED_NOT_ACTIVE"
    """Somebody pays for it, and it does not run: a customer will call."""
    STALE_INITIATED = "STALE_INITIATED"
    """It was initiated in billing for an order that is over."""
    ORPHAN_XREF = "ORPHAN_XREF"
    """A cross-reference without its billing object, or a billing object without its cross-reference."""
    DATE_MISMATCH = "DATE_MISMATCH"
    """It is billed from another date than it began."""
    QTY_MISMATCH = "QTY_MISMATCH"
    """Another quantity is billed than the customer has."""
    ACCOUNT_MISMATCH = "ACCOUNT_MISMATCH"
    """It is billed to, or runs for, another account than the customer's order said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedService:
    """A service in our own record: an asset that is not inactive, with the instance its cross-reference names.

    ``account`` is the customer's. It is billed ``since`` it was activated, whatever start its profile is given later.
    """

    service: str
    service_instance: str
    product: str
    account: str
    service_account: str
    billing_account: str
    quantity: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What our orders say of a service that the three do not agree about.

    ``on_network`` is false where the network has no part in it, or a person has skipped its activation; ``changed_at``
    says when a step about it was last begun or done; ``price`` what its subscriptions cost together, for a month.
    """

    order: str
    number: int
    account: str
    product: str
    is_open: bool
    on_network: bool
    leaves_asset: bool
    changed_at: datetime | None = None
    billing_service_type: str | None = None
    price: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """As of when a comparison is made, and how long ago what an order did may still be under way."""

    as_of: datetime
    grace: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which a service differs.

    ``value`` is what differs, where that is a value: with another value it is another difference. ``leakage`` estimates
    what was not billed so far. ``account`` is the customer's, where we know the customer; ``order`` an order's id.
    """

    of_class: DifferenceClass
    service: str
    account: str
    message: str
    value: str = ""
    product: str | None = None
    order: str | None = None
    leakage: Money | None = None

    @property
    def subject(self) -> str:
        """What its fallout is about: one is open for the same difference at most."""
        return ":".join((self.of_class, self.service, *([self.value] if self.value else [])))

    def finding(self) -> Finding:
        """What a person is told of it (F07)."""
        leaks = f" About {self.leakage} {self.leakage.currency} was not billed so far." if self.leakage else ""
        return Finding(
            subject=self.subject,
            type=FalloutType.RECONCILIATION,
            code=self.of_class,
            message=f"{self.product or 'Service'} {self.service}: {self.message}{leaks}",
            order=self.order,
            account=self.account,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One service, as each of the three has it; ``None`` where one does not have it."""

    service: str
    running: RunningService | None = None
    billed: BilledService | None = None
    recorded: RecordedService | None = None

    @property
    def is_billed(self) -> bool:
        """Whether billing has it active: what is initiated or suspended is in neither side's number (Q20)."""
        return self.billed is not None and self.billed.state is InstanceState.ACTIVE

    @property
    def is_suspended(self) -> bool:
        """Whether billing has it suspended, and the network does not run it: then nothing is wrong with it (Q20)."""
        return self.running is None and self.billed is not None and self.billed.state is InstanceState.SUSPENDED

    @property
    def resolves(self) -> bool:
        """Whether our cross-reference and billing's object are the same."""
        ours = self.recorded and self.recorded.service_instance
        return ours == (self.billed and self.billed.service_instance)

    @property
    def agrees(self) -> bool:
        """Whether all three have it, as the same: then nobody has to be asked about it."""
        is_there = self.is_suspended or (self.running is not None and self.is_billed)
        return is_there and self.resolves and not any(_mismatches(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one service adds to the comparison: whether it counts as active and as billed, and how it differs."""

    account: str
    billing_service_type: str
    active: bool
    billed: bool
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """How many services are active, and how many are billed."""

    active: int = 0
    billed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came out: how many are active and billed, in all and by (account, billing service type); what differs.

    ``differences`` are the first :data:`LISTED` by service key; ``by_class`` counts all, and ``leakage`` adds all up,
    an amount for each currency.
    """

    as_of: datetime
    totals: Mapping[tuple[str, str], Sides]
    by_class: Mapping[DifferenceClass, int]
    leakage: tuple[Money, ...]
    differences: tuple[Difference, ...] = field(repr=False)

    @property
    def sides(self) -> Sides:
        """In all."""
        return Sides(
            active=sum(x.active for x in self.totals.values()), billed=sum(x.billed for x in self.totals.values())
        )

    @property
    def is_complete(self) -> bool:
        """Whether every difference is listed."""
        return len(self.differences) == sum(self.by_class.values())


TOO_MANY = "reconciliation:too_many"
"""The subject of the one fallout that says that not all differences are listed."""


def too_many(comparison: Comparison) -> Finding:
    """What a person is told when there are more differences than are listed: then look at the neighbours first."""
    found = ", ".join(f"{number} {of_class}" for of_class, number in sorted(comparison.by_class.items()))
    message = (
        f"There are more differences than the {LISTED} that are listed: {found}. Does a neighbour list too little?"
    )
    return Finding(subject=TOO_MANY, type=FalloutType.RECONCILIATION, code=MORE_THAN_LISTED, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a comparison came to, and how many fallouts it opened and closed; nothing if a later one was faster."""

    as_of: datetime
    active: int
    billed: int
    by_class: Mapping[DifferenceClass, int]
    opened: int = 0
    closed: int = 0
    overtaken: bool = False


def beside(
    running: Iterable[RunningService], billed: Iterable[BilledService], recorded: Iterable[RecordedService]
) -> Iterator[Beside]:
    """The three lists side by side by key, each in ascending order; none of them need be in memory as a whole.

    What is not billable is no service in this sense (B04), and neither is what stands on an account alone (B19). What
    the network has suspended it does not run (Q20). A service that billing lists twice comes twice.
    """
    sides = merge(
        (Beside(service=x.service, running=x) for x in running if x.billable and x.state is ServiceState.ACTIVE),
        (Beside(service=x.service, billed=x) for x in billed if x.service_instance is not None),
        (Beside(service=x.service, recorded=x) for x in recorded),
        key=_service,
    )
    for service, together in groupby(sides, key=_service):
        found = tuple(together)
        here = next((x.running for x in found if x.running), None)
        ours = next((x.recorded for x in found if x.recorded), None)
        for theirs in tuple(x.billed for x in found if x.billed) or (None,):
            yield Beside(service=service, running=here, billed=theirs, recorded=ours)


def _service(found: Beside) -> str:
    return found.service


def judge(found: Beside, ordered: Ordered | None, terms: Terms) -> Judged:
    """How a service counts and differs; ``ordered`` is what our orders say of it: not needed when it ``agrees``.

    What an order has just done, or is doing, is no difference yet, and counts only once both sides have it.
    """
    active, billed = found.running is not None, found.is_billed
    if billed and not active and ordered is not None and not ordered.on_network:
        billed = False  # the network has no part in it
    differences = () if found.agrees else tuple(_differences(found, ordered, terms))
    if differences and ordered is not None and _is_under_way(found, ordered, terms):
        differences, active, billed = (), active and billed, active and billed
    typed = found.billed or ordered
    return Judged(
        account=_account(found, ordered),
        billing_service_type=(typed.billing_service_type if typed else None) or "",
        active=active,
        billed=billed,
        differences=differences,
    )


def _is_under_way(found: Beside, ordered: Ordered, terms: Terms) -> bool:
    """Whether an order did something about the service less than the grace ago, as its steps or the neighbours say."""
    begins = terms.as_of - terms.grace
    dates = [x.since for x in (found.running, found.billed) if x is not None] if ordered.is_open else []
    return any(x >= begins for x in (*dates, *([ordered.changed_at] if ordered.changed_at else [])))


def _differences(found: Beside, ordered: Ordered | None, terms: Terms) -> Iterator[Difference]:
    """The first of the four ways not to be on both sides, or else all mismatches."""
    running, billed = found.running, found.billed
    orders = f"order {ordered.number} is {'open' if ordered.is_open else 'over'}" if ordered else "no order is about it"
    if running is not None and not found.is_billed:
        state = f"billing has it {billed.state}" if billed else "billing does not have it"
        message = f"The network runs it since {running.since:{_MINUTE}}, {state}; {orders}."
        leak = leakage(_price(found, ordered), since=_unbilled_since(running, billed), until=terms.as_of)
        yield _difference(DifferenceClass.ACTIVE_NOT_BILLED, found, ordered, message, leakage=leak)
    elif running is None and billed is not None and found.is_billed and (ordered is None or ordered.on_network):
        message = f"It is billed since {billed.since:{_MINUTE}}, the network does not run it; {orders}."
        yield _difference(DifferenceClass.BILLED_NOT_ACTIVE, found, ordered, message)
    elif billed is not None and billed.state is InstanceState.INITIATED and not (ordered and ordered.is_open):
        message = f"It is initiated in billing since {billed.since:{_MINUTE}}; {orders}."
        yield _difference(DifferenceClass.STALE_INITIATED, found, ordered, message)
    elif not found.resolves and not _has_no_reference_yet(found, ordered):
        ours, theirs = found.recorded and found.recorded.service_instance, billed and billed.service_instance
        message = f"Our cross-reference names {ours or 'nothing'}, billing has {theirs or 'nothing'}; {orders}."
        yield _difference(DifferenceClass.ORPHAN_XREF, found, ordered, message, value=f"{ours} {theirs}")
    else:
        for of_class, value in _mismatches(found):
            yield _difference(of_class, found, ordered, f"{_MISMATCH[of_class]} {value}; {orders}.", value=value)


def _unbilled_since(running: RunningService, billed: BilledService | None) -> datetime:
    """Since when it runs and is not billed: since it began, or since only one of the two was suspended or resumed."""
    dates = (running.since, running.state_since, billed.state_since if billed else None)
    return max(x for x in dates if x is not None)


def _has_no_reference_yet(found: Beside, ordered: Ordered | None) -> bool:
    """A service that is not tracked leaves no asset, so no cross-reference (A03); an open order has yet to write it."""
    return found.recorded is None and ordered is not None and (ordered.is_open or not ordered.leaves_asset)


def _mismatches(found: Beside) -> Iterator[tuple[DifferenceClass, str]]:
    """In what a billed service differs: from our record, which says what is right, or without one from the network."""
    running, billed, recorded = found.running, found.billed, found.recorded
    if billed is None or not found.is_billed:
        return
    began = recorded or running
    if began is not None and abs(billed.since - began.since) > SAME_DATE:
        yield DifferenceClass.DATE_MISMATCH, f"{billed.since:{_MINUTE}}, not {began.since:{_MINUTE}}"
    if recorded is None:
        return
    if billed.quantity != recorded.quantity:
        yield DifferenceClass.QTY_MISMATCH, f"{billed.quantity}, not {recorded.quantity}"
    if billed.account != recorded.billing_account:
        yield DifferenceClass.ACCOUNT_MISMATCH, f"{billed.account}, not {recorded.billing_account}"
    elif running is not None and running.account != recorded.service_account:
        yield DifferenceClass.ACCOUNT_MISMATCH, f"{running.account} on the network, not {recorded.service_account}"


_MINUTE = "%Y-%m-%d %H:%M:%SZ"
_MISMATCH = {
    DifferenceClass.DATE_MISMATCH: "It is billed from",
    DifferenceClass.QTY_MISMATCH: "The quantity is",
    DifferenceClass.ACCOUNT_MISMATCH: "The account is",
}


def _difference(
    of_class: DifferenceClass,
    found: Beside,
    ordered: Ordered | None,
    message: str,
    *,
    value: str = "",
    leakage: Money | None = None,
) -> Difference:
    return Difference(
        of_class=of_class,
        service=found.service,
        account=_account(found, ordered),
        message=message,
        value=value,
        product=known.product if (known := found.recorded or ordered) else None,
        order=ordered.order if ordered else None,
        leakage=leakage,
    )


def _account(found: Beside, ordered: Ordered | None) -> str:
    """The customer; of what nobody ordered, the account that it is billed to or runs for."""
    known = found.recorded or ordered or found.billed or found.running
    assert known is not None
    return known.account


def _price(found: Beside, ordered: Ordered | None) -> Money | None:
    return next((x.price for x in (found.billed, ordered) if x is not None and x.price is not None), None)


def leakage(price: Money | None, *, since: datetime, until: datetime) -> Money | None:
    """What a monthly price comes to over a time: a twelfth of 365 days for it, rounded once; ``None`` without one."""
    if price is None:
        return None
    return price.share(12 * max((until - since) // _SECOND, 0), 365 * _DAY_S)


_SECOND = timedelta(seconds=1)
_DAY_S = 24 * 60 * 60


def as_ordered(decomposed: Decomposed, service: OrderLine) -> Mapping[str, Money]:
    """What each of a service's own subscriptions costs a month, by line, as it was ordered."""
    return {
        line.id: price.times(line.quantity)
        for line in decomposed.billed_with(service)
        if (product := decomposed.product(line)).billing_type is BillingType.SUBSCRIPTION
        and (price := line.price or product.price) is not None
    }


def as_recorded(tree: Tree, service: Asset, product: Callable[[Asset], Product]) -> Iterator[Money]:
    """What each of a service's own subscriptions costs a month by our record: as it has been changed since."""
    own = product(service)
    if own.billing_type is BillingType.SUBSCRIPTION and (price := service.price or own.price) is not None:
        yield price.times(service.quantity)
    for part in below(tree, service):
        of_part = product(part)
        if part.is_live and not of_part.is_service and of_part.billing_service_type != ACCOUNT_LEVEL:
            yield from as_recorded(tree, part, product)


def together(prices: Iterable[Money]) -> Money | None:
    """What prices come to; ``None`` without any, or in several currencies."""
    priced = tuple(prices)
    currencies = {x.currency for x in priced}
    return Money(sum(x.minor for x in priced), currencies.pop()) if len(currencies) == 1 else None


def summed_up(judged: Iterable[Judged], *, as_of: datetime) -> Comparison:
    """All services together; consumes ``judged`` one by one."""
    active: Counter[tuple[str, str]] = Counter()
    billed: Counter[tuple[str, str]] = Counter()
    by_class: Counter[DifferenceClass] = Counter()
    leaks: Counter[str] = Counter()
    listed: list[Difference] = []
    for one in judged:
        group = (one.account, one.billing_service_type)
        active[group] += one.active
        billed[group] += one.billed
        for difference in one.differences:
            by_class[difference.of_class] += 1
            if difference.leakage is not None:
                leaks[difference.leakage.currency] += difference.leakage.minor
            if len(listed) < LISTED:
                listed.append(difference)
    return Comparison(
        as_of=as_of,
        totals={x: Sides(active=active[x], billed=billed[x]) for x in sorted(active) if active[x] or billed[x]},
        by_class=by_class,
        leakage=tuple(Money(minor, currency) for currency, minor in sorted(leaks.items())),
        differences=tuple(listed),
    )
