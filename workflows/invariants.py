"""What must hold of the runs, asked of Temporal from outside: used by the command line, never by workflows."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from domain.invariant import Finding
from workflows.start import RPC_TIMEOUT, workflow_id

SHOWN = 5
SIDE_BY_SIDE = 20
_PROBLEMS = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
_ID_PREFIX = workflow_id("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of Temporal's own limits a run may use: 80 %, then somebody should look before it gets stuck (I6)."""

    events: int = 51_200 * 8 // 10
    bytes: int = 50 * 1024 * 1024 * 8 // 10
    pending: int = 2_000 * 8 // 10


async def running(client: Client, *, task_queue: str) -> frozenset[str]:
    """The orders that have an open run."""
    return frozenset([x.id.removeprefix(_ID_PREFIX) async for x in _open_runs(client, task_queue)])


async def is_running(client: Client, order: str) -> bool:
    """Whether an order has an open run at this very moment; the list of runs may lag behind."""
    found = await _described(client, workflow_id(order))
    return found is not None and found.status is WorkflowExecutionStatus.RUNNING


async def examine(client: Client, orders: Collection[str], *, task_queue: str, limits: Limits) -> list[Finding]:
    """What is found about the open runs of those orders."""
    return [await _without_problems(client, orders, task_queue), await _far_from_limits(client, orders, limits)]


async def _without_problems(client: Client, orders: Collection[str], task_queue: str) -> Finding:
    troubled = [x async for x in _open_runs(client, task_queue, f"AND {_PROBLEMS.name} IS NOT NULL")]
    return finding(
        "I6",
        "No run reports problems with its own code",
        looked_at=len(orders),
        offenders=[f"run {x.id}: {', '.join(x.typed_search_attributes.get(_PROBLEMS) or ())}" for x in troubled],
    )


async def _far_from_limits(client: Client, orders: Collection[str], limits: Limits) -> Finding:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def near(order: str) -> str | None:
        async with gate:
            found = await _described(client, workflow_id(order))
        if found is None:
            return None
        size = found.raw_description.workflow_execution_info.history_size_bytes
        pending = len(found.raw_description.pending_activities)
        if found.history_length <= limits.events and size <= limits.bytes and pending <= limits.pending:
            return None
        return f"run {found.id} has {found.history_length} events, {size} bytes, {pending} pending activities"

    answers = await asyncio.gather(*map(near, orders))
    return finding(
        "I6-limits",
        "No run is near a limit of Temporal's",
        looked_at=len(answers),
        offenders=[x for x in answers if x is not None],
    )


def finding(id: str, statement: str, *, looked_at: int, offenders: Sequence[str]) -> Finding:  # noqa: A002
    """A finding with the first few of its offenders."""
    return Finding(
        id=id,
        statement=statement,
        looked_at=looked_at,
        broken=len(offenders),
        offenders=tuple(sorted(offenders)[:SHOWN]),
    )


def _open_runs(client: Client, task_queue: str, more: str = "") -> AsyncIterator[WorkflowExecution]:
    return client.list_workflows(
        f"WorkflowType = 'Order' AND ExecutionStatus = 'Running' AND TaskQueue = '{task_queue}' {more}",
        rpc_timeout=RPC_TIMEOUT,
    )


async def _described(client: Client, run: str) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(run).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
