"""Synchronizing the catalog with the billing system, as one effect: whole or not at all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from temporalio import activity

from activities.journal import failure
from domain.catalog import Catalog, Product
from domain.catalog_document import ReadDocument
from domain.catalog_sync import BillingProduct, SyncOutcome, flagged, merge
from domain.neighbour import OutcomeUnknown, Unacceptable, Unavailable
from domain.publishing import Proposal, Source, check


class BillingCatalog(Protocol):
    """The billing system, as far as its catalog goes."""

    def products(self, *, service_instances: Sequence[str]) -> Sequence[BillingProduct]:
        """Billing's own products; those named come with the codes of their Events."""
        ...


class Catalogs(Protocol):
    """Our own published catalogs."""

    def current(self) -> Catalog:
        """The newest version."""
        ...

    def publish(self, products: Iterable[Product], *, after: Catalog, source: str) -> Catalog:
        """Publish products that were checked against ``after``; raises when another version has followed it already."""
        ...


@dataclass(frozen=True)
class CatalogActivities:
    """What synchronization does; ``clock`` dates what it brings."""

    billing: BillingCatalog
    catalogs: Catalogs
    clock: Callable[[], datetime]

    @activity.defn(name="synchronize_catalog", no_thread_cancel_exception=True)
    def synchronize(self) -> SyncOutcome:
        """Ask billing for its products, and publish the catalog with them if it breaks no rule (B18, B32, B62).

        The second time there is nothing new, and so no new version. Whoever publishes meanwhile makes it start over.
        """
        before = self.catalogs.current()
        try:
            billed = self.billing.products(service_instances=flagged(before))
        except (Unavailable, OutcomeUnknown, Unacceptable) as error:
            raise failure(error, "synchronize_catalog") from error
        merged = merge(before, billed, now=self.clock())
        outcome = SyncOutcome(
            version=before.version, added=merged.added, changed=merged.changed, conflicts=merged.conflicts
        )
        if not merged.added and not merged.changed:
            return outcome
        proposal = Proposal(document=ReadDocument(merged.products), previous=before, source=Source.SYNC)
        if violations := check(proposal).violations:
            return replace(outcome, violations=violations)
        after = self.catalogs.publish(merged.products, after=before, source=Source.SYNC)
        return replace(outcome, version=after.version, published=after.version != before.version)
