"""The synchronization of the catalog with the billing system: one run for each request (B18, B32, B62)."""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from domain.catalog_sync import SyncOutcome
    from workflows.requests import start_once

ATTEMPT = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=1)


@workflow.defn(name="CatalogSync")
class CatalogSync:
    """One synchronization: waits for a billing system that is away, and ends with what it came to."""

    @workflow.run
    async def run(self) -> SyncOutcome:
        """Synchronize, and say so."""
        outcome: SyncOutcome = await workflow.execute_activity(
            "synchronize_catalog",
            result_type=SyncOutcome,
            start_to_close_timeout=ATTEMPT,
            retry_policy=RetryPolicy(maximum_interval=LONGEST_PAUSE),
            summary="Ask billing for its products and publish the catalog with them",
        )
        workflow.set_current_details(_details(outcome))
        return outcome


async def start_sync(client: Client, *, request: str, task_queue: str) -> tuple[str, str | None]:
    """Start the run of a request, or find the one that was started for it before: its ids, workflow first."""
    return await start_once(
        client,
        "CatalogSync",
        workflow_id=f"catalog-sync-{request}",
        task_queue=task_queue,
        summary="Catalog synchronization with the billing system",
    )


def _details(outcome: SyncOutcome) -> str:
    """What an operator reads in the Temporal UI."""
    if outcome.violations:
        broken = "\n".join(f"- {x.product} `{x.code}` ({x.rule}): {x.message}" for x in outcome.violations[:50])
        return f"**Nothing was published.** With billing's products the catalog would break rules:\n\n{broken}"
    if not outcome.published:
        return f"Billing has nothing new; the catalog stays at version {outcome.version}."
    changes = f"{len(outcome.added)} products added, {len(outcome.changed)} changed"
    return f"Catalog version {outcome.version} is published: {changes}."
