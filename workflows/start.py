"""How a run is started and spoken to from outside: used by the API and the command line, never by workflows."""

from datetime import datetime, timedelta
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.approval import Approval
from domain.progress import Cancellation, Resolution
from workflows import search_attributes
from workflows.details import first_shown
from workflows.messages import OrderRun, RevisionWish, workflow_id

RPC_TIMEOUT = timedelta(seconds=10)


class Declined(Exception):  # noqa: N818
    """What the run did not agree to; ``code`` says why: NOT_OPEN, NOT_ALLOWED, NO_REASON, INPUT or NO_RETURN."""

    def __init__(self, code: str, message: str, *details: str) -> None:
        """Keep the code apart from the sentence; ``details`` are line and step where there are such."""
        super().__init__(message)
        self.code = code
        self.details = details


class NoRun(Declined):
    """Nobody could be asked: the order's run has ended, or was never started."""

    def __init__(self) -> None:
        """Keep the code that the end of an order has too."""
        super().__init__("NOT_OPEN", "the order has no open run")


class Forgotten(Declined):
    """Temporal knows nothing of an order's run any more: it was deleted, or lost with Temporal's own data."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("NO_HISTORY", "Temporal knows nothing of the order's run any more")


class CutShort(RuntimeError):  # noqa: N818 - neither yes nor no
    """The run was reset, or ended, before it answered: what it was told may still happen."""


_CUT_SHORT = "AcceptedUpdateCompletedWorkflow"
"""What Temporal answers for a run that has gone."""


async def start_order(
    client: Client, run: OrderRun, *, task_queue: str, now: datetime, due: datetime | None = None
) -> str | None:
    """Start an order's run; without effect when it has been started before. The run's id, where Temporal tells it."""
    attributes: list[SearchAttributePair] = [  # type: ignore[type-arg]
        SearchAttributePair(search_attributes.ORDER, run.order),
        SearchAttributePair(search_attributes.ACCOUNT, run.account),
        SearchAttributePair(search_attributes.STATE, first_shown(run, now).state.value),
        SearchAttributePair(search_attributes.ATTENTION, False),  # noqa: FBT003 - a value, not a switch
    ]
    if due is not None:
        attributes.append(SearchAttributePair(search_attributes.DUE, due))
    try:
        handle = await client.start_workflow(
            "Order",
            run,
            id=workflow_id(run.order),
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"Order {run.number} of {run.account}: {run.title}"[:200],
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError as already:
        return already.run_id
    return handle.result_run_id


async def carry_on(client: Client, order: str) -> str:
    """Let the ended run of an order go on from its last task: what was done is found again under its keys.

    The id of the run that goes on; :class:`Declined` with NOT_GONE when it has not ended, :class:`Forgotten` when
    Temporal knows nothing of it any more.
    """
    last = 0
    try:
        description = await client.get_workflow_handle(workflow_id(order)).describe(rpc_timeout=RPC_TIMEOUT)
        if description.status is WorkflowExecutionStatus.RUNNING:
            raise Declined("NOT_GONE", "the order's run goes on")
        ended = client.get_workflow_handle(workflow_id(order), run_id=description.run_id)
        async for event in ended.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                last = event.event_id
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED and not last:
                last = event.event_id + 1  # it ended before a worker had taken its first task
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Forgotten from error
        raise
    if not last:
        raise Declined("NO_TASK", "the order's run ended before its first task was there")
    reset = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id(order), run_id=description.run_id),
        reason="the order was open without a run",
        workflow_task_finish_event_id=last,
        request_id=str(uuid4()),
    )
    answer = await client.workflow_service.reset_workflow_execution(reset, timeout=RPC_TIMEOUT)
    return str(answer.run_id)


async def resolve(client: Client, order: str, resolution: Resolution) -> str:
    """Hand a person's decision to the run; :class:`Declined` when it does not take it."""
    return await _tell(client, order, "resolve", resolution)


async def cancel(client: Client, order: str, cancellation: Cancellation) -> str:
    """Have the run cancel the order: its state then; :class:`Declined` past the point of no return, with line and step.

    Cancelling what is cancelled already is answered as before.
    """
    return await _tell(client, order, "cancel", cancellation)


async def approve(client: Client, order: str, approval: Approval) -> str:
    """Hand a person's verdict to the run: the order's state then; :class:`Declined` when it waits for none."""
    return await _tell(client, order, "approval", approval)


async def revise(client: Client, order: str, wish: RevisionWish) -> str:
    """Have the run let a stored revision be in force; :class:`Declined` past the point of no return, or when outdated.

    Asking twice is asking once.
    """
    return await _tell(client, order, "revise", wish, id=f"revision-{wish.revision}")


async def _tell(client: Client, order: str, update: str, said: object, id: str | None = None) -> str:  # noqa: A002
    handle = client.get_workflow_handle(workflow_id(order))
    try:
        answer: str = await handle.execute_update(update, said, id=id, result_type=str, rpc_timeout=RPC_TIMEOUT)
    except WorkflowUpdateFailedError as error:
        if isinstance(cause := error.cause, ApplicationError):
            if cause.type == _CUT_SHORT:
                raise CutShort from error
            raise Declined(cause.type or "REJECTED", cause.message, *map(str, cause.details)) from error
        raise
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NoRun from error
        raise
    return answer
