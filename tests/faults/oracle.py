# ruff: noqa: ANN401 - JSON of any shape
"""What must hold once everything is well again, and how one waits for that."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from cli.verify import verify
from domain.order import FINAL
from domain.plan import NO_RETURN
from tests.faults.journal import Passed
from tests.faults.worlds import World
from workflows.messages import workflow_id
from workflows.start import Declined

QUIET_WITHIN_S = 30.0

_BOOKS = " UNION ALL ".join(
    f"SELECT key, operation, at, ready_at IS NOT NULL AS slow FROM {schema}.calls WHERE request <> 'none'"  # noqa: S608
    for schema in ("inventory", "provisioning", "billing")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Something that a neighbour did, or refused, for us."""

    key: str
    operation: str
    at: datetime
    slow: bool

    @property
    def order(self) -> str:
        """The order it was for."""
        return self.key.partition(":")[0]


def books(world: World, orders: Iterable[str]) -> Mapping[str, Call]:
    """What the neighbours have on their books for these orders, by key."""
    found = (Call(**row) for row in world.shop.rows(_BOOKS))
    return {x.key: x for x in found if x.order in set(orders)}


async def quiet(world: World, orders: Sequence[str], *, within_s: float = QUIET_WITHIN_S) -> Sequence[str]:
    """Wait until orders have ended, answering ``retry`` wherever a person is asked; the offenders, if time runs out."""
    deadline = time.monotonic() + within_s
    while True:
        open_ = _open(world, orders)
        if not open_:
            break
        if time.monotonic() > deadline:
            return [await _told(world, x) for x in open_]
        for fallout in world.shop.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open'"):
            if str(fallout["order_id"]) in open_:
                await _retry(world, fallout)
        await asyncio.sleep(0.05)
    return [x for order in orders for x in await ended(_handle(world, order))]


async def ended(run: WorkflowHandle[Any, Any], *, within_s: float = QUIET_WITHIN_S) -> Sequence[str]:
    """Wait until a run has ended; what to say when it does not."""
    try:
        await asyncio.wait_for(run.result(), within_s)
    except TimeoutError:
        return [f"stuck: the run {run.id} does not end"]
    return []


def _open(world: World, orders: Sequence[str]) -> Sequence[str]:
    rows = world.shop.rows(
        "SELECT CAST(id AS text) AS id FROM orderloom.orders WHERE id = ANY(CAST(:o AS uuid[])) AND state <> ALL(:f)",
        o=list(orders),
        f=[x.value for x in FINAL],
    )
    return [x["id"] for x in rows]


async def _retry(world: World, fallout: dict[str, Any]) -> None:
    try:
        await world.shop.decide(fallout, "retry")
    except (Declined, RPCError):
        return  # somebody else was faster, or nobody is there to hear it; seen again if it is still open


async def _told(world: World, order: str) -> str:
    rows = world.shop.rows("SELECT number, state FROM orderloom.orders WHERE id = CAST(:o AS uuid)", o=order)
    try:
        found = await _handle(world, order).describe()
        pending = [x.activity_type.name for x in found.raw_description.pending_activities]
        run = f"its run is {found.status.name if found.status else 'nowhere'} with {pending} pending"
    except RPCError as error:
        run = f"its run: {error.message}"
    return f"stuck: order {rows[0]['number']} is {rows[0]['state']}, {run}"


def _handle(world: World, order: str) -> WorkflowHandle[Any, Any]:
    return world.shop.client.get_workflow_handle(workflow_id(order))


async def broken(world: World) -> Sequence[str]:
    """What is found of the invariants, everything being at rest."""
    findings = await verify(world.engine, world.shop.client, task_queue=world.shop.task_queue, grace_s=0)
    return [f"{x.id}: {offender}" for x in findings if not x.holds for offender in x.offenders]


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A worker died, at an instant."""

    pid: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What followed from the deaths: ``predicted`` from what runs had on record, ``repeated`` as neighbours saw it."""

    predicted: int
    repeated: int
    effects: int
    disturbed: bool
    """A worker that lived was too slow for Temporal, and was taken for dead as well: then nothing can be predicted."""
    violations: Sequence[str]


async def aftermath(
    world: World, orders: Sequence[str], deaths: Sequence[Death], passed: Sequence[Passed], *, part: str
) -> Aftermath:
    """What followed: each repetition that was to be seen was seen, and no other one."""
    done = books(world, orders)
    last = max((x.at for x in deaths), default=0.0)
    before = {key for key, x in done.items() if x.at.timestamp() <= last and not x.slow}
    violations: list[str] = []
    predicted, repeated = Counter[str](), Counter[str]()
    disturbed = False
    match part:
        case "worker":
            records = {x: await _record(world, x, by={death.pid for death in deaths}) for x in orders} if deaths else {}
            disturbed = any(x.attempts > len(deaths) + 1 for x in records.values())
            for order, record in records.items():
                mine = [key for key in before if done[key].order == order]
                predicted.update(record.unknown(mine))
                violations += [
                    f"past no return and not on record: {key}"
                    for key in mine
                    if _function(key) in NO_RETURN and not record.is_past_return(_subject(key))
                ]
            repeated = Counter(x.key for x in passed if _is_asked(x) and x.at > last and x.key in before)
        case "neighbours":
            answered = {x.key for x in passed if _is_answered(x) and x.at <= last}
            called = {x.key for x in passed if _is_asked(x) and x.at <= last}
            received = {x.key for x in passed if _is_received(x) and x.at > last}
            predicted, repeated = Counter(before & called - answered), Counter(before & received - answered)
        case _:
            pass
    predicted += _with_what_failed(repeated - predicted, [x for x in passed if x.at > last])
    given_up = Counter(x for x in predicted - repeated if any(y.startswith(f"{x}:") for y in done))
    predicted -= given_up  # called off before its turn came again: it was taken back, whatever had become of it
    if predicted != repeated and not disturbed:
        violations.append(f"N2: to be repeated were {_listed(predicted)}, and were {_listed(repeated)}")
    return Aftermath(
        predicted=predicted.total(),
        repeated=repeated.total(),
        effects=len(done),
        disturbed=disturbed,
        violations=violations,
    )


def _with_what_failed(keys: Counter[str], passed: Sequence[Passed]) -> Counter[str]:
    """Of keys, those of orders for which neighbours have failed so often: the steps sent with what failed go again."""
    failed = Counter(x.order for x in passed if _is_asked(x)) - Counter(x.order for x in passed if _is_answered(x))
    return Counter({key: times for key, times in keys.items() if times <= failed[key.partition(":")[0]]})


def _listed(keys: Counter[str]) -> str:
    return ", ".join(sorted(keys.elements())) or "none"


def asked(passed: Iterable[Passed]) -> int:
    """How often a neighbour was asked for something."""
    return sum(map(_is_asked, passed))


def _is_asked(passed: Passed) -> bool:
    return passed.boundary.what.startswith("call ") and passed.boundary.when == "before"


def _is_answered(passed: Passed) -> bool:
    return passed.boundary.what.startswith("call ") and passed.boundary.when == "after"


def _is_received(passed: Passed) -> bool:
    return passed.boundary.part == "neighbours" and passed.boundary.what == "request"


def _function(key: str) -> str:
    return key.split(":")[2]


def _subject(key: str) -> str:
    return key.split(":")[1]


class Record:
    """What a run's history has on record of some workers: steps sent durably, and how often it knows their outcome."""

    def __init__(self) -> None:
        self._roots_past_return: set[str] = set()
        self._outcomes: Counter[str] = Counter()
        self._undone: set[str] = set()
        self.attempts = 1
        """How often a workflow's task was given out, at most."""

    def sent(self, asked: Any) -> None:
        """Steps were sent durably, or something else was."""
        steps = asked.get("steps", ()) if isinstance(asked, dict) else ()
        self._roots_past_return |= {_root(x["id"]) for x in steps if x["id"].partition(":")[0] in NO_RETURN}

    def ended(self, asked: Any, outcomes: Any) -> None:
        """The outcome of an activity is known: of steps, of one taken back, of one done late, or of something else."""
        match asked, outcomes:
            case _, [*steps]:
                self._outcomes.update(x["step"] for x in steps if x.get("again_in_s") is None)
            case _, {"done": {"step": step}}:
                self._outcomes[step] += 1
            case {"step": {"id": step, "generation": generation}}, None:
                self._undone.add(f"{step}:{generation}")
            case _:
                pass

    def unknown(self, keys: Iterable[str]) -> Iterator[str]:
        """Of keys under which something was done, those whose outcome is not on record: the latest of each step."""
        steps: dict[str, list[str]] = defaultdict(list)
        for key in sorted(keys, key=lambda x: int(x.split(":")[3])):
            _, subject, function, generation, *undo = key.split(":")
            if undo and f"{function}:{subject}:{generation}" not in self._undone:
                yield key
            elif not undo:
                steps[f"{function}:{subject}"].append(key)
        for step, found in steps.items():
            yield from found[self._outcomes[step] :]

    def is_past_return(self, subject: str) -> bool:
        """Whether a step past which there is no return was sent durably for the bundle of a line."""
        return _root(subject) in self._roots_past_return


def _root(subject: str) -> str:
    return subject.rpartition(":")[2].partition(".")[0]


async def _record(world: World, order: str, *, by: set[int]) -> Record:
    """What these workers brought on record."""
    record = Record()
    history = await _handle(world, order).fetch_history()
    asked: dict[int, Any] = {}
    counts: dict[int, bool] = {}
    for event in history.events:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
                attempt = event.workflow_task_scheduled_event_attributes.attempt
                record.attempts = max(record.attempts, attempt)
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                identity = event.workflow_task_completed_event_attributes.identity
                counts[event.event_id] = _pid(identity) in by
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                asked[event.event_id] = _read(scheduled.input.payloads)
                if counts[scheduled.workflow_task_completed_event_id]:
                    record.sent(asked[event.event_id])
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                ended = event.activity_task_completed_event_attributes
                told = _read(ended.result.payloads)
                if _pid(ended.identity) in by or _is_late(told):
                    record.ended(asked[ended.scheduled_event_id], told)
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                marker = event.marker_recorded_event_attributes
                if counts[marker.workflow_task_completed_event_id] and "result" in marker.details:
                    record.ended(None, _read(marker.details["result"].payloads))
            case _:
                pass
    return record


def _is_late(told: Any) -> bool:
    """Whether a run was told, by whoever wanted to ask a person, that a step is done by now: nobody repeats it then."""
    return isinstance(told, dict) and told.get("done") is not None


def _pid(identity: str) -> int:
    return int(identity.partition("@")[0])


def _read(payloads: Any) -> Any:
    """The first payload as JSON; what holds nothing is nothing."""
    return next((json.loads(x.data) if x.data else None for x in payloads), None)
