"""Runs that somebody asks for: one for each request, however often it is sent. Asked for from outside workflows."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

RPC_TIMEOUT = timedelta(seconds=10)


async def start_once(
    client: Client, workflow: str, *, workflow_id: str, task_queue: str, summary: str
) -> tuple[str, str | None]:
    """Start a run, or find the one that was started under that id before: its ids, workflow first."""
    try:
        handle = await client.start_workflow(
            workflow,
            id=workflow_id,
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=summary,
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError as already:
        return workflow_id, already.run_id
    return workflow_id, handle.result_run_id
