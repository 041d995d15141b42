"""Processes die at every place a story passes (A1, A2, A3, A6, A7, A12)."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.faults import worlds
from tests.faults.boundary import Boundary, Deed, Strike, When
from tests.faults.house import House
from tests.faults.stories import ALIKE_INSIDE, ORDER_TYPES, Story
from tests.faults.trials import Trial, Try, golden, shuffled, struck
from tests.faults.worlds import WORKER, World

PERSISTENCE = 3
"""How often a story is told until it passes a place where it is to be struck."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place in a story; ``stands_for`` counts the boundaries, its own too, at which the world is as it is there.

    Between the end of one thing and the beginning of the next nothing happens but in the memory of the process that is
    to die; and stories that begin alike are one story until they part.
    """

    story: str
    at: Boundary
    stands_for: int = 1


async def recorded(
    house: House, stories: Mapping[str, Story], *parts: str, part: str = WORKER, **joined: Any  # noqa: ANN401
) -> Sequence[Place]:  # fmt: skip
    """What the stories pass: each is told in two worlds, and what only one of them passes is chance."""
    places: dict[str, Sequence[Place]] = {}
    known: list[Sequence[Boundary]] = []
    async with worlds.opened(house, *parts, **joined) as one, worlds.opened(house, *parts, **joined) as other:

        async def both(story: Story) -> Sequence[Sequence[Boundary]]:
            return await asyncio.gather(golden(one, story), golden(other, story))

        await both(next(iter(stories.values())))  # what a process looks up only once, is looked up
        for name, story in stories.items():
            passed, again = await both(story)
            in_both = set(again)
            mine = [x for x in passed if x in in_both and x.part == part]
            places[name] = _places(name, mine, alike=max((_alike(mine, x) for x in known), default=0))
            known.append(mine)
    kinds = {x.at.signature for name, mine in places.items() if name not in ALIKE_INSIDE for x in mine}
    return [y for name, mine in places.items() for y in (_others(mine, kinds) if name in ALIKE_INSIDE else mine)]


def _others(found: Sequence[Place], kinds: Collection[object]) -> Sequence[Place]:
    """Each kind of place that is none of those known; what is of a known kind is counted with the first of these."""
    kept = each_signature([x for x in found if x.at.signature not in kinds])
    left_out = sum(x.stands_for for x in found if x.at.signature in kinds)
    return [replace(kept[0], stands_for=kept[0].stands_for + left_out), *kept[1:]] if kept else []


def _alike(one: Sequence[Boundary], other: Sequence[Boundary]) -> int:
    """How many boundaries two stories pass before they part."""
    parts = (place for place, (x, y) in enumerate(zip(one, other, strict=False)) if x != y)
    return next(parts, min(len(one), len(other)))


def _places(story: str, passed: Sequence[Boundary], *, alike: int) -> Sequence[Place]:
    """The places of a story that no story before it passes; those it shares with one are counted with the next."""
    groups = [*_groups(passed)]
    known = set(passed[:alike])
    shared = sum(len(x) for x in groups if known.issuperset(x))
    mine = [x for x in groups if not known.issuperset(x)]
    places = [Place(story=story, at=x[-1], stands_for=len(x)) for x in mine]
    return [replace(places[0], stands_for=places[0].stands_for + shared), *places[1:]] if places else []


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


def each_signature(found: Sequence[Place]) -> Sequence[Place]:
    """Each kind of place once, whichever story passes it; it stands for all of its kind."""
    kinds: dict[object, Place] = {}
    for x in found:
        first = kinds.setdefault(x.at.signature, replace(x, stands_for=0))
        kinds[x.at.signature] = replace(first, stands_for=first.stands_for + x.stands_for)
    return [*kinds.values()]


def some(found: Sequence[Place], seed: int, *, at_most: int) -> Sequence[Place]:
    """So many of the places, each kind of them among these; what is left out is counted with one of its kind."""
    mixed = shuffled(found, seed)
    one_of_each = {x.at.signature: x for x in mixed}
    others = [x for x in mixed if x is not one_of_each[x.at.signature]]
    number = max(0, at_most - len(one_of_each))
    left_out = Counter[object]()
    for x in others[number:]:
        left_out[x.at.signature] += x.stands_for
    stand_in = (replace(x, stands_for=x.stands_for + left_out[kind]) for kind, x in one_of_each.items())
    return [*stand_in, *others[:number]]


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
                return replace(trial, covers=place.stands_for)
        return replace(trial, violations=[f"N1: {trial.what} was never passed"])

    return attempt
