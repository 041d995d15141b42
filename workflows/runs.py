"""Which runs are open, asked of Temporal from outside: by the command line and by the watch, never by workflows."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from domain.watch import Recurrence, TroubledRun
from workflows import schedules
from workflows.messages import workflow_id
from workflows.start import RPC_TIMEOUT

PROBLEMS = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
FORGOTTEN_AT_ONCE = 200
_ID_PREFIX = workflow_id("")
_GOES_ON = (Status.WORKFLOW_EXECUTION_STATUS_RUNNING, Status.WORKFLOW_EXECUTION_STATUS_PAUSED)
_ENDED_BADLY = "('Failed', 'Canceled', 'Terminated', 'TimedOut')"


@dataclass(frozen=True)
class TemporalRuns:
    """The runs of a task queue. Lists and counts may lag a moment behind; what is said of one run is true."""

    client: Client
    task_queue: str

    async def troubled(self) -> Sequence[TroubledRun]:
        """The open runs, of any workflow, that report problems with their own code."""
        found = self._listed(f"ExecutionStatus = 'Running' AND {PROBLEMS.name} IS NOT NULL")
        return [
            TroubledRun(
                workflow_id=x.id,
                problems=x.typed_search_attributes.get(PROBLEMS) or (),
                order=x.id.removeprefix(_ID_PREFIX) if x.workflow_type == "Order" else None,
            )
            async for x in found
        ]

    async def orders(self) -> frozenset[str]:
        """The orders that have an open run."""
        found = self._listed("WorkflowType = 'Order' AND ExecutionStatus = 'Running'")
        return frozenset([x.id.removeprefix(_ID_PREFIX) async for x in found])

    async def count(self, *, started_before: datetime) -> int:
        """How many orders have an open run that began before an instant."""
        counted = await self.client.count_workflows(
            f"WorkflowType = 'Order' AND ExecutionStatus = 'Running' AND TaskQueue = '{self.task_queue}' "
            f"AND StartTime < '{started_before.isoformat()}'",
            rpc_timeout=RPC_TIMEOUT,
        )
        return counted.count

    async def ended_badly(self, *, since: datetime) -> frozenset[str]:
        """The orders a run of which did not come to its own end since an instant."""
        query = f"WorkflowType = 'Order' AND ExecutionStatus IN {_ENDED_BADLY} AND CloseTime > '{since.isoformat()}'"
        return frozenset([x.id.removeprefix(_ID_PREFIX) async for x in self._listed(query)])

    async def ended(self, order: str) -> str | None:
        """How an order's run ended; ``None`` while it goes on."""
        found = await described(self.client, workflow_id(order))
        if found is None:
            return "Temporal does not know it"
        status = found.workflow_execution_info.status
        return None if status in _GOES_ON else f"it is {Status.Name(status).rpartition('_')[2].lower()}"

    async def forget(self, workflow: str, *, ended_before: datetime) -> None:
        """Delete runs of a workflow that came to their own end before an instant: some of them, the next time more."""
        ended = f"ExecutionStatus = 'Completed' AND CloseTime < '{ended_before.isoformat()}'"
        async for run in self._listed(f"WorkflowType = '{workflow}' AND {ended}", limit=FORGOTTEN_AT_ONCE):
            execution = Execution(workflow_id=run.id, run_id=run.run_id)
            request = DeleteWorkflowExecutionRequest(namespace=self.client.namespace, workflow_execution=execution)
            await self.client.workflow_service.delete_workflow_execution(request, timeout=RPC_TIMEOUT)

    async def schedule(self, name: str) -> Recurrence | None:
        """What recurs under a name."""
        found = await schedules.described(self.client, name, task_queue=self.task_queue)
        if found is None:
            return None
        return Recurrence(
            paused=found.schedule.state.paused,
            note=found.schedule.state.note,
            started=[x.started_at for x in found.info.recent_actions],
        )

    def _listed(self, query: str, *, limit: int | None = None) -> AsyncIterator[WorkflowExecution]:
        ours = f"TaskQueue = '{self.task_queue}' AND {query}"
        return self.client.list_workflows(ours, limit=limit, rpc_timeout=RPC_TIMEOUT)


async def described(client: Client, run: str) -> DescribeWorkflowExecutionResponse | None:
    """What Temporal knows of a run, as it says it: the client itself cannot read what it says of one that is paused."""
    request = DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=Execution(workflow_id=run))
    try:
        return await client.workflow_service.describe_workflow_execution(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
