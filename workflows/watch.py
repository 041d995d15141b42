"""One look for what waits unseen: begun every half minute by a schedule."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.messages import Look

AT_MOST = timedelta(seconds=20)
SUMMARY = "Orders that nobody carries out, runs in trouble, fallouts past their due date"


@workflow.defn(name="Watch")
class Watch:
    """One look. What it cannot see now, the next one sees."""

    @workflow.run
    async def run(self) -> Look:
        """Look, and say what it came to."""
        look: Look = await workflow.execute_local_activity(
            "watch",
            result_type=Look,
            start_to_close_timeout=AT_MOST,
            retry_policy=RetryPolicy(maximum_attempts=2),
            summary=SUMMARY,
        )
        return look
