"""A worker stands still in the middle of something, another takes over, and then the first one goes on (A8)."""

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults import oracle
from tests.faults.boundary import Boundary, Deed, Place, Strike
from tests.faults.stories import ORDER_TYPES, Story
from tests.faults.trials import Trial, Try, told
from tests.faults.worlds import WORKER, World

QUIET_S = 0.5
AT_REST_WITHIN_S = 60.0
"""Temporal hands tasks to a worker that stands still for as long as it holds its questions open: up to five, each lost
for the time of an attempt, which is 8 s in the longest story. PostgreSQL ends its transaction after 10 s."""


def freezes(found: Sequence[Place]) -> Sequence[Try]:
    """A trial for each place: the worker freezes there."""
    return [_freeze(x) for x in found]


def _freeze(x: Place) -> Try:
    async def attempt(world: World) -> Trial:
        return await frozen(world, ORDER_TYPES[x.story], x.at, name=x.story)

    return attempt


async def frozen(world: World, story: Story, at: Boundary, *, name: str) -> Trial:
    """A story whose worker stands still at a place until another has brought the order to its end."""
    mark, before = world.journal.mark(), len(world.orders())
    zombie = world.worker
    await zombie.arm(Strike(at=at, deed=Deed.FREEZE))
    telling = asyncio.create_task(told(world, story, before, within_s=AT_REST_WITHIN_S))
    while not telling.done() and not _stands_still(zombie.pid):  # noqa: ASYNC110 - nobody in this process could set an event
        await asyncio.sleep(0.02)
    struck = _stands_still(zombie.pid)
    if struck:
        await world.start(WORKER)
    violations = [*await telling]
    woken = time.time()
    if struck:
        zombie.signal(signal.SIGCONT)
        await _exhausted(world, zombie.pid)
        zombie.kill()
    else:
        await zombie.arm(None)
    orders = world.orders()[before:]
    late = [x for x in world.journal.since(mark) if x.at > woken and x.pid == zombie.pid]
    return Trial(
        what=f"{name}: {at}",
        struck=struck,
        repeated=oracle.asked(late),
        effects=len(oracle.books(world, orders)),
        violations=[*violations, *await oracle.broken(world)],
    )


def _stands_still(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def _exhausted(world: World, pid: int, *, within_s: float = 5.0) -> None:
    """Wait until a process does nothing any more."""
    deadline = time.monotonic() + within_s
    mark = world.journal.mark()
    while time.monotonic() < deadline:
        await asyncio.sleep(QUIET_S)
        if not any(x.pid == pid for x in world.journal.since(mark)):
            return
        mark = world.journal.mark()
