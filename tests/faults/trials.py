# ruff: noqa: ANN401 - what a world is joined with
"""One story, struck once or several times; and many of them side by side."""

import asyncio
import random
import signal
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from temporalio.client import WorkflowHandle

from tests.faults import oracle, worlds
from tests.faults.boundary import Boundary, Deed, Place, Strike
from tests.faults.haste import PATIENCE
from tests.faults.house import House
from tests.faults.orderer import AnotherStory, Violated
from tests.faults.stories import PATIENCES, Story
from tests.faults.worlds import World
from workflows.start import Declined

OFTEN = 4
"""A place that is passed more often, because something is tried again and again, is struck the first few times."""
AFTER_AN_ATTEMPT_S = 5.0
STARTED_WITHIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a story that was struck."""

    what: str
    struck: bool = True
    """Whether it came to that; when it never did, the place was passed by chance."""
    place: Place | None = None
    """Where it was struck, or asked."""
    kills: int = 0
    predicted: int = 0
    repeated: int = 0
    effects: int = 0
    answers: Mapping[str, bool] = field(default_factory=dict)
    """What was wished, and whether it was agreed to."""
    recovered_s: float | None = None
    """How long after the last death something moved again."""
    violations: Sequence[str] = field(default_factory=tuple)

    def also(self, violations: Sequence[str]) -> "Trial":
        """The same, with more that is wrong."""
        return replace(self, violations=[*self.violations, *violations])


async def golden(world: World, story: Story) -> Sequence[Boundary]:
    """Every boundary that a story passes when nothing is wrong, in order."""
    mark, before = world.journal.mark(), len(world.orders())
    stuck = await told(world, story, before)
    assert not stuck, stuck
    return [x.boundary for x in world.journal.since(mark) if x.boundary.nth <= OFTEN]


async def struck(world: World, story: Story, strikes: Sequence[Strike], *, name: str) -> Trial:
    """A story, a process of which is struck at each of these places, one after the other; who dies is followed."""
    part, deadly = strikes[0].at.part, strikes[0].deed is Deed.KILL
    mark, before = world.journal.mark(), len(world.orders())
    await world.parts[part].arm(strikes[0])
    telling = asyncio.create_task(told(world, story, before))
    deaths = [*await _survived(world, strikes, until=telling)] if deadly else []
    violations = [*await telling]
    if len(deaths) < len(strikes) and (death := await _disarmed(world, part)):
        deaths.append(death)
    orders, passed = world.orders()[before:], world.journal.since(mark)
    after = await oracle.aftermath(world, orders, deaths, passed, part=part)
    again = [x.at for x in passed if deaths and x.at > deaths[-1].at and x.boundary.part == part]
    recovered_s = min(again) - deaths[-1].at if again else None
    if part == worlds.WORKER and (recovered_s or 0.0) > (limit_s := _recovers_within_s(name)):
        violations.append(f"P4: nothing moved for {recovered_s:.1f} s, {limit_s:.0f} s are allowed")
    if part == worlds.API and deaths:
        violations += _started_late(world, orders, since=deaths[-1].at)
    return Trial(
        what=f"{name}: {strikes[0].at}",
        struck=any(x.struck for x in passed) and not after.disturbed,
        kills=len(deaths),
        predicted=after.predicted,
        repeated=after.repeated,
        effects=after.effects,
        recovered_s=recovered_s,
        violations=[*violations, *after.violations, *await oracle.broken(world)],
    )


def _recovers_within_s(story: str) -> float:
    """Once its worker is dead: an attempt has to run out first, and where it is so meant, a pause (P4)."""
    patience = PATIENCES.get(story, PATIENCE)
    return max(patience.first_s, patience.attempt_s) + patience.pause_s + AFTER_AN_ATTEMPT_S


def _started_late(world: World, orders: Sequence[str], *, since: float) -> Sequence[str]:
    """Orders that nobody began soon after an API was there again (A6)."""
    late = """
        SELECT o.number FROM orderloom.orders AS o
          LEFT JOIN orderloom.order_events AS e ON e.order_id = o.id AND e.type = 'inProgress'
         WHERE o.id = ANY(CAST(:o AS uuid[]))
         GROUP BY o.id HAVING COALESCE(min(e.at), 'infinity') > to_timestamp(:since) + make_interval(secs => :within)
    """
    found = world.shop.rows(late, o=list(orders), since=since, within=STARTED_WITHIN_S)
    return [f"A6: order {x['number']} was begun more than {STARTED_WITHIN_S:.0f} s later" for x in found]


async def _survived(world: World, strikes: Sequence[Strike], *, until: asyncio.Task[Any]) -> Sequence[oracle.Death]:
    """The deaths, each followed by another process at once, until all have died or the story has ended."""
    part = strikes[0].at.part
    deaths: list[oracle.Death] = []
    while len(deaths) < len(strikes):
        process = world.parts[part]
        ended = asyncio.create_task(process.end())
        await asyncio.wait({ended, until}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            ended.cancel()
            break
        assert ended.result() == -signal.SIGKILL, f"the {part} ended with {ended.result()}"
        deaths.append(oracle.Death(pid=process.pid, at=time.time()))
        process.kill()
        following = strikes[len(deaths) :]
        await world.start(part, strike=following[0] if following else None)
    return deaths


async def _disarmed(world: World, part: str) -> oracle.Death | None:
    """Nothing befalls a process any more; its death, if it died when the story had ended, and another one begins."""
    process = world.parts[part]
    try:
        await process.arm(None)
    except (EOFError, OSError):
        status = await process.end(within_s=5)
        assert status == -signal.SIGKILL, f"the {part} ended with {status}"
    else:
        return None
    death = oracle.Death(pid=process.pid, at=time.time())
    process.kill()
    await world.start(part)
    return death


async def told(world: World, story: Story, before: int, *, within_s: float = oracle.QUIET_WITHIN_S) -> Sequence[str]:
    """The story is told, and people see to what it leaves open; what is stuck at the end."""
    found: list[str] = []
    run: object = None
    try:
        run = await story(world)
        world.shop.relent()
    except (AnotherStory, AssertionError, Declined, TimeoutError, ValueError):
        world.shop.heal()  # a worker that died took a switch with it: whatever became of the order, it must be right
    except Violated as violated:
        found.append(str(violated))
    found += await oracle.quiet(world, world.orders()[before:], within_s=within_s)
    if isinstance(run, WorkflowHandle):
        found += await oracle.ended(run)
    world.shop.heal()
    return [*found, *world.shop.broken_promises()]


Some = TypeVar("Some")
Try = Callable[[World], Awaitable[Trial]]
HARNESS = "the harness"
"""Begins what is wrong with these tests themselves."""
SLOTS = 12
OVER_WITHIN_S = 150.0
"""Any one of them."""
SHIFT = 30
"""A world is renewed after so many trials: what they left behind is looked at again after each."""


async def side_by_side(
    house: House, tries: Iterable[Try], *parts: str, heard: Callable[[Trial], object], slots: int = SLOTS, **joined: Any
) -> Sequence[Trial]:
    """All trials, in worlds of these parts that are new after a while, and after anything was wrong in them."""
    waiting, done = iter(tries), list[Trial]()

    async def slot() -> None:
        again = True
        while again:
            again = False
            async with worlds.opened(house, *parts, **joined) as world:
                for place, attempt in enumerate(waiting, 1):
                    trial = await _tried(world, attempt)
                    done.append(trial)
                    heard(trial)
                    again = place == SHIFT or bool(trial.violations)
                    if again:
                        break

    await asyncio.gather(*(slot() for _ in range(slots)))
    return done


async def _tried(world: World, attempt: Try) -> Trial:
    try:
        async with asyncio.timeout(OVER_WITHIN_S):
            return await attempt(world)
    except Exception as error:  # noqa: BLE001 - a harness that fails is a finding, not the end of all
        return Trial(what=str(attempt), violations=[f"{HARNESS}: {''.join(traceback.format_exception(error))}"])


def shuffled(found: Sequence[Some], seed: int) -> Sequence[Some]:
    """The same in another order, so that long stories do not stand in line behind one another."""
    mixed = [*found]
    random.Random(seed).shuffle(mixed)  # noqa: S311 - no secret
    return mixed
