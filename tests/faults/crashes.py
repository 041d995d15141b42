"""Processes die at every place a story passes (A1, A2, A3, A6, A7, A12)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import worker
from domain.plan import Function
from sql.connections import connect
from tests.faults import worlds
from tests.faults.boundary import Boundary, Deed, Place, Strike, When
from tests.faults.house import House
from tests.faults.stories import ALIKE_INSIDE, ORDER_TYPES, Story
from tests.faults.trials import Trial, Try, golden, shuffled, struck
from tests.faults.worlds import WORKER, World

PERSISTENCE = 4
"""How often a story is told until it passes a place where it is to be struck; if it never does, it did by chance."""
TELLINGS = 4
"""How often, at most, each of two worlds hears a story until both agree about what it passes."""


async def recorded(
    house: House, stories: Mapping[str, Story], *parts: str, part: str = WORKER, **joined: Any  # noqa: ANN401
) -> Sequence[Place]:  # fmt: skip
    """What the stories pass: each is told in two worlds, and what it passes once, however often told, is chance.

    Between the end of one thing and the beginning of the next nothing happens but in the memory of the process that is
    to die: one place stands for both. And stories that begin alike are one story until they part.
    """
    places: dict[str, Sequence[Place]] = {}
    known: list[Sequence[Boundary]] = []
    async with worlds.opened(house, *parts, **joined) as one, worlds.opened(house, *parts, **joined) as other:

        async def both(story: Story) -> Sequence[Sequence[Boundary]]:
            found = await asyncio.gather(golden(one, story), golden(other, story))
            return [[x for x in passed if x.part == part] for passed in found]

        await both(next(iter(stories.values())))  # what a process looks up only once, is looked up
        for name, story in stories.items():
            mine = await _steady(lambda story=story: both(story))  # type: ignore[misc]
            places[name] = _places(name, mine, alike=max((_alike(mine, x) for x in known), default=0))
            known.append(mine)
    kinds = {x.at.signature for name, mine in places.items() if name not in ALIKE_INSIDE for x in mine}
    return [y for name, mine in places.items() for y in (others(mine, kinds) if name in ALIKE_INSIDE else mine)]


async def _steady(both: Callable[[], Awaitable[Sequence[Sequence[Boundary]]]]) -> Sequence[Boundary]:
    """What is passed more than once, in the order in which most of it was."""
    tellings = [*await both()]
    while {*tellings[-1]} != {*tellings[-2]} and len(tellings) < 2 * TELLINGS:
        tellings += await both()
    times = Counter(x for passed in tellings for x in set(passed))
    return max(([x for x in passed if times[x] > 1] for passed in tellings), key=len)


ASKED_FOR_ONCE = {"decompose"}
"""Only orders that began under former code still ask for it (U2)."""


def never_passed(found: Iterable[Place]) -> Sequence[str]:
    """What a worker can be asked to do, activities and steps of a plan, and is asked in none of the stories."""
    nowhere = connect("postgresql+psycopg2://", pool_size=1)  # it is not asked to do anything
    activities = worker.activities(nowhere, worker.embedded(nowhere))
    names = {getattr(x, "__temporal_activity_definition").name for x in activities} - {None}
    passed = {name for x in found for name in x.at.within.split(", ")}
    return [f"N1: no story asks for {x}" for x in sorted((names | {*Function}) - passed - ASKED_FOR_ONCE)]


def others(found: Sequence[Place], kinds: Collection[object]) -> Sequence[Place]:
    """Each kind of place that is none of those known."""
    return each_signature([x for x in found if x.at.signature not in kinds])


def _alike(one: Sequence[Boundary], other: Sequence[Boundary]) -> int:
    """How many boundaries two stories pass before they part."""
    parts = (place for place, (x, y) in enumerate(zip(one, other, strict=False)) if x != y)
    return next(parts, min(len(one), len(other)))


def _places(story: str, passed: Sequence[Boundary], *, alike: int) -> Sequence[Place]:
    """The places of a story that no story before it passes."""
    known = set(passed[:alike])
    return [Place(story=story, at=x[-1]) for x in _groups(passed) if not known.issuperset(x)]


def _groups(passed: Iterable[Boundary]) -> Iterator[Sequence[Boundary]]:
    """Boundaries between which nothing happens outside the memory of the one that passes them."""
    groups: dict[tuple[str, str], list[Boundary]] = {}
    for x in passed:
        within = x.within, x.about
        begins = x.what in ("activity", "request") and x.when is When.BEFORE
        happened = x.when is When.AFTER and x.what != "activity" and not x.what.startswith("call ")
        if within in groups and (begins or happened or x.within == "workflow"):
            yield groups.pop(within)
        groups.setdefault(within, []).append(x)
    yield from groups.values()


def each_signature(found: Iterable[Place]) -> Sequence[Place]:
    """Each kind of place once, whichever story passes it."""
    return [*{x.at.signature: x for x in reversed([*found])}.values()][::-1]


def each_point(found: Sequence[Place], seed: int) -> Sequence[Place]:
    """Each kind of place once in each story: which of those that are alike, the seed chooses."""
    return [*{x.point: x for x in shuffled(found, seed)}.values()]


def deaths(
    found: Sequence[Place], *, stories: Mapping[str, Story] = ORDER_TYPES, times: int = 1, deed: Deed = Deed.KILL
) -> Sequence[Try]:
    """A trial for each place: the process dies there, and again when the one after it comes by; or another deed."""
    return [_death(x, stories[x.story], times, deed) for x in found]


def _death(place: Place, story: Story, times: int, deed: Deed) -> Try:
    strikes = [Strike(at=place.at, deed=deed), *[Strike(at=place.at.unnumbered, deed=deed)] * (times - 1)]

    async def attempt(world: World) -> Trial:
        for _ in range(PERSISTENCE):
            trial = await struck(world, story, strikes, name=place.story)
            if trial.struck or trial.violations:
                return replace(trial, place=place)
        return replace(trial, place=place)

    return attempt
