"""Runs that begin again and again by themselves. Kept from outside: by workers when they start; never by workflows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from workflows import reconciliation, service_ends, watch

RPC_TIMEOUT = timedelta(seconds=10)
SHORTEST_CATCHUP = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """What a schedule starts: the workflow, and what it is for, in a sentence."""

    workflow: str
    summary: str


RECURRING: Mapping[str, Recurring] = {
    "reconciliation": Recurring(workflow="Reconciliation", summary=reconciliation.SUMMARY),
    "service-ends": Recurring(workflow="ServiceEnds", summary=service_ends.SUMMARY),
    "watch": Recurring(workflow="Watch", summary=watch.SUMMARY),
}
"""By name."""


def schedule_id(name: str, *, task_queue: str) -> str:
    """The id of a schedule: one of each name for a task queue."""
    return f"{task_queue}-{name}"


async def keep(client: Client, *, task_queue: str, every: Mapping[str, timedelta]) -> None:
    """Make the schedules that are missing, and bring those that are there up to date; safe to repeat.

    A schedule that somebody has paused stays paused. ``every`` says how often, by name.
    """
    for name, interval in every.items():
        wanted = _schedule(name, interval, task_queue=task_queue)
        id_ = schedule_id(name, task_queue=task_queue)
        try:
            await client.create_schedule(id_, wanted, rpc_timeout=RPC_TIMEOUT)
        except ScheduleAlreadyRunningError:
            await _update(client.get_schedule_handle(id_), wanted)


async def _update(handle: ScheduleHandle, wanted: Schedule) -> None:
    def updated(given: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = given.description.schedule.state
        return ScheduleUpdate(schedule=wanted)

    await handle.update(updated, rpc_timeout=RPC_TIMEOUT)


async def described(client: Client, name: str, *, task_queue: str) -> ScheduleDescription | None:
    """What a schedule has done and will do; ``None`` when there is none."""
    try:
        handle = client.get_schedule_handle(schedule_id(name, task_queue=task_queue))
        return await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def jitter(every: timedelta) -> timedelta:
    """How much later than its time a run may begin: not everything begins at the same moment."""
    return every / 25


def _schedule(name: str, every: timedelta, *, task_queue: str) -> Schedule:
    """One run at a time, and none afterwards for those that were missed: the next one sees all there is to see."""
    recurring = RECURRING[name]
    return Schedule(
        action=ScheduleActionStartWorkflow(
            recurring.workflow,
            id=schedule_id(name, task_queue=task_queue),
            task_queue=task_queue,
            static_summary=recurring.summary,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)], jitter=jitter(every)),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=max(every, SHORTEST_CATCHUP)),
    )
