"""What must hold of the runs, asked of Temporal from outside: used by the command line, never by workflows."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from temporalio.client import Client

from domain.invariant import Finding
from workflows.messages import workflow_id
from workflows.runs import TemporalRuns, described

SHOWN = 5
SIDE_BY_SIDE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of Temporal's own limits a run may use: 80 %, then somebody should look before it gets stuck (I6)."""

    events: int = 51_200 * 8 // 10
    bytes: int = 50 * 1024 * 1024 * 8 // 10
    pending: int = 2_000 * 8 // 10


async def examine(runs: TemporalRuns, orders: Collection[str], *, limits: Limits) -> list[Finding]:
    """What is found about the open runs of those orders, and about all others of their queue."""
    return [await _without_problems(runs, orders), await _far_from_limits(runs.client, orders, limits)]


async def _without_problems(runs: TemporalRuns, orders: Collection[str]) -> Finding:
    return finding(
        "I6",
        "No run reports problems with its own code",
        looked_at=len(orders),
        offenders=[f"run {x.workflow_id}: {', '.join(x.problems)}" for x in await runs.troubled()],
    )


async def _far_from_limits(client: Client, orders: Collection[str], limits: Limits) -> Finding:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def near(order: str) -> str | None:
        async with gate:
            found = await described(client, workflow_id(order))
        if found is None:
            return None
        info = found.workflow_execution_info
        events, size, pending = info.history_length, info.history_size_bytes, len(found.pending_activities)
        if events <= limits.events and size <= limits.bytes and pending <= limits.pending:
            return None
        return f"run {workflow_id(order)} has {events} events, {size} bytes, {pending} pending activities"

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
