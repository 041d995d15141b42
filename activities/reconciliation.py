"""Comparing what the network runs with what billing bills: reads, writes down what it finds, and mends nothing."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from temporalio import activity

from activities.journal import failure
from activities.neighbours import Billing, Provisioning
from domain.money import Money
from domain.neighbour import OutcomeUnknown, Unacceptable, Unavailable, every
from domain.reconciliation import (
    Beside,
    Comparison,
    DifferenceClass,
    Judged,
    Ordered,
    Reconciled,
    RecordedService,
    Terms,
    beside,
    judge,
    summed_up,
)

AT_ONCE = 500
"""How many services are looked at between two signs of life."""


class Reconciliations(Protocol):
    """Our own record, as far as the comparison goes."""

    def recorded(self, *, after: str) -> Sequence[RecordedService]:
        """A page of our services by ascending key, with the billing object that each one's cross-reference names."""
        ...

    def ordered(self, services: Collection[str]) -> Mapping[str, Ordered]:
        """What our orders say of services, by key, without prices; those that no order is about are absent."""
        ...

    def price(self, service: str) -> Money | None:
        """What a service's subscriptions cost together for a month by our record; what leaves no asset, as ordered."""
        ...

    def store(self, id: str, comparison: Comparison) -> Reconciled:  # noqa: A002
        """Write a comparison down, and what it found on the work list. Twice is once."""
        ...


@dataclass(frozen=True)
class ReconciliationActivities:
    """``clock`` says as of when is compared; what an order did less than ``grace`` ago may still be under way."""

    network: Provisioning
    billing: Billing
    records: Reconciliations
    clock: Callable[[], datetime]
    grace: timedelta

    @activity.defn(name="reconcile", no_thread_cancel_exception=True)
    def reconcile(self, id: str) -> Reconciled:  # noqa: A002
        """Compare network, billing and our record as of now, and write down what came of it under an id (F06, F07).

        Every list is read in pages, so that any number of services can be compared.
        """
        terms = Terms(as_of=self.clock(), grace=self.grace)
        try:
            comparison = summed_up(self._judged(terms), as_of=terms.as_of)
        except (Unavailable, OutcomeUnknown, Unacceptable) as error:
            raise failure(error, "reconcile") from error
        return self.records.store(id, comparison)

    def _judged(self, terms: Terms) -> Iterator[Judged]:
        as_of = terms.as_of
        services = beside(
            every(lambda after: self.network.list_active(as_of=as_of, after=after)),
            every(lambda after: self.billing.list_active(as_of=as_of, after=after)),
            every(lambda after: self.records.recorded(after=after)),
        )
        for some in _batches(services):
            activity.heartbeat()
            ordered = self.records.ordered([x.service for x in some if not x.agrees])
            for found in some:
                yield self._judge(found, ordered.get(found.service), terms)

    def _judge(self, found: Beside, ordered: Ordered | None, terms: Terms) -> Judged:
        """What billing does not have is priced by our own record: that is looked up for leaks only."""
        judged = judge(found, ordered, terms)
        leaks = [x for x in judged.differences if x.of_class is DifferenceClass.ACTIVE_NOT_BILLED and not x.leakage]
        if ordered is None or not leaks:
            return judged
        return judge(found, replace(ordered, price=self.records.price(found.service)), terms)


def _batches(services: Iterable[Beside]) -> Iterator[Sequence[Beside]]:
    left = iter(services)
    while some := list(islice(left, AT_ONCE)):
        yield some
