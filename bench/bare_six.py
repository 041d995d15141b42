"""The reference workflow: six remote activities, one after the other, that do nothing."""

from datetime import timedelta

from temporalio import activity, workflow

NAME = "BareSix"
ACTIVITIES = 6


@activity.defn
def nothing(order: str) -> str:
    """Answer what was asked."""
    return order


@workflow.defn(name=NAME)
class BareSix:
    """Six durable steps without any work in them."""

    @workflow.run
    async def run(self, order: str) -> str:
        """Carry the six out."""
        for _ in range(ACTIVITIES):
            order = await workflow.execute_activity(nothing, order, start_to_close_timeout=timedelta(seconds=30))
        return order
