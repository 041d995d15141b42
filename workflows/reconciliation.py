"""One comparison of what the network runs with what billing bills: on a schedule, or because somebody asked."""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from domain.reconciliation import Reconciled
    from workflows.bugs import BUGS
    from workflows.requests import start_once

AT_MOST = timedelta(hours=1)
SIGN_OF_LIFE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=1)
SUMMARY = "What the network runs, held against what billing bills"


@workflow.defn(name="Reconciliation")
class Reconciliation:
    """One comparison: waits for a neighbour that is away, and ends with what it came to."""

    @workflow.run
    async def run(self) -> Reconciled:
        """Compare, and say so."""
        outcome: Reconciled = await workflow.execute_activity(
            "reconcile",
            workflow.info().workflow_id,
            result_type=Reconciled,
            start_to_close_timeout=AT_MOST,
            heartbeat_timeout=SIGN_OF_LIFE,
            retry_policy=RetryPolicy(maximum_interval=LONGEST_PAUSE, non_retryable_error_types=BUGS),
            summary=SUMMARY,
        )
        workflow.set_current_details(_details(outcome))
        return outcome


async def start_reconciliation(client: Client, *, request: str, task_queue: str) -> tuple[str, str | None]:
    """Start the run of a request, or find the one that was started for it before: its ids, workflow first."""
    return await start_once(
        client,
        "Reconciliation",
        workflow_id=f"{task_queue}-reconciliation-{request}",
        task_queue=task_queue,
        summary=SUMMARY,
    )


def _details(outcome: Reconciled) -> str:
    """What an operator reads in the Temporal UI."""
    if outcome.overtaken:
        return "A later comparison was faster; this one changed nothing."
    found = "\n".join(f"- {number} {of_class}" for of_class, number in sorted(outcome.by_class.items()))
    counts = f"{outcome.active} services are active, {outcome.billed} are billed"
    return f"As of {outcome.as_of:%Y-%m-%d %H:%M:%S} UTC {counts}.\n\n{found or 'They are the same ones.'}"
