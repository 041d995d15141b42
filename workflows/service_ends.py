"""Services that reach their end with no order: looked for every minute by a schedule (2.5)."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.messages import EndingsSeen

AT_MOST = timedelta(seconds=60)
SUMMARY = "Services that have reached their end are disconnected"


@workflow.defn(name="ServiceEnds")
class ServiceEnds:
    """One look. What it does not come to, the next one does."""

    @workflow.run
    async def run(self) -> EndingsSeen:
        """Disconnect what has reached its end, and say how much that was."""
        seen: EndingsSeen = await workflow.execute_local_activity(
            "end_services",
            result_type=EndingsSeen,
            start_to_close_timeout=AT_MOST,
            retry_policy=RetryPolicy(maximum_attempts=2),
            summary=SUMMARY,
        )
        return seen
