"""The whole fault programme, part after part: what it does, what came of it, and the one table at the end."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.faults import (
    answers,
    changes,
    clocks,
    crashes,
    frozen,
    house,
    logs,
    outages,
    planted,
    poison,
    races,
    versions,
    walks,
    worlds,
)
from tests.faults.boundary import Deed, Place
from tests.faults.house import House
from tests.faults.logs import A_BUG, AWAY, CUT, ON_THE_WIRE, Logs
from tests.faults.planted import Caught
from tests.faults.stories import ORDER_TYPES, OVER_HTTP, submitted
from tests.faults.trials import SLOTS, Trial, Try, shuffled, side_by_side
from tests.faults.worlds import API, NEIGHBOURS, WORKER

KILLS_AT_LEAST = 1_000
NOT_AGAIN_AT_MOST = 0.01
"""The share of the points that may have been passed by chance when they were recorded."""
HUNTS_AT_ONCE = 4
TOLD_AT_ONCE = 3
"""Stories of one clock."""
MISSED_AT_MOST = 0.1
"""Of places that count already, and are struck once more."""
WITHIN_S = 25 * 60
"""All of it, on two cores that do nothing else."""
WALKS = 200
AGAIN = 40
"""Places where a worker dies twice: of all kinds, the seed chooses."""
NOT_CACHED = 60
"""Places where a worker dies that keeps no run in memory."""
FROZEN = 16
"""Places where a worker freezes: each costs the seconds that it takes to be taken for dead."""
WISHED = 20
"""Places where more than one thing is wished, in every order."""


Point = Callable[[Place], object]
"""What is counted of a place."""


def kind(place: Place) -> object:
    """A kind of place counts once, whichever order passes it."""
    return place.at.signature


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one part of the programme came to."""

    rows: str
    what: str
    trials: Sequence[Trial]
    seconds: float
    recorded: frozenset[object] = frozenset()
    """The points that were recorded for it, where it enumerates them."""
    point: Point = attrgetter("point")
    untried: Sequence[str] = ()
    """What all of it together should have come to, and did not."""

    @property
    def violations(self) -> Sequence[str]:
        """All that is wrong."""
        return [*(f"{x.what}: {y}" for x in self.trials for y in x.violations), *self.untried]

    def sum(self, name: str) -> int:
        """The sum of a figure over all trials."""
        return sum(int(getattr(x, name)) for x in self.trials)

    @property
    def covered(self) -> int:
        """At how many of the points something was struck, or asked, for real."""
        return len(self.recorded & {self.point(x.place) for x in self.trials if x.struck and x.place})

    @property
    def chance(self) -> int:
        """How many points were passed when they were recorded, and then never again."""
        missed = {self.point(x.place) for x in self.trials if x.place and not x.struck and not x.violations}
        return len(self.recorded & missed - {self.point(x.place) for x in self.trials if x.struck and x.place})

    @property
    def slowest_s(self) -> float | None:
        """The longest that it took until something moved again."""
        return max((x.recovered_s for x in self.trials if x.recovered_s is not None), default=None)


@dataclass(kw_only=True)
class Programme:
    """A run of the programme: the parts by a short name, in the order in which they are done."""

    seed: int
    console: Console
    folder: Path
    done: list[Part] = field(default_factory=list)
    caught: list[Caught] = field(default_factory=list)
    _places: Sequence[Place] = ()
    _logs: Logs = field(init=False)

    def __post_init__(self) -> None:
        """Read the logs of all worlds that are made below the folder."""
        self._logs = Logs(self.folder)

    async def run(self, chosen: Sequence[str]) -> None:
        """Do the parts that are chosen, or all."""
        parts: Mapping[str, Callable[[House], AsyncIterator[Part]]] = {
            "crashes": self._crashes,
            "again": self._again,
            "wire": self._wire,
            "changes": self._changes,
            "races": self._races,
            "walks": self._walks,
            "poison": self._poison,
            "time": self._time,
            "versions": self._versions,
        }
        inside = [x for name, x in parts.items() if not chosen or name in chosen]
        if inside or "planted" in chosen:
            (self.folder / "house").mkdir()
            async with house.opened(self.folder / "house") as there:
                for part in inside:
                    async for done in part(there):
                        self._tell(done)
                if not chosen or "planted" in chosen:
                    await self.hunt(there)
                    self._logs.unexpected()  # bugs say what they say
        if not chosen or "outages" in chosen:
            (self.folder / "outages").mkdir()
            async for done in self._outages(self.folder / "outages"):
                self._tell(done)

    def _tell(self, part: Part) -> None:
        self.done.append(part)
        wrong = f", [red]{len(part.violations)} violations[/]" if part.violations else ""
        self.console.print(f"{part.rows}: {part.what}: {len(part.trials)} in {part.seconds:.0f} s{wrong}")
        for untried in part.untried:
            self._complain(part.rows, untried)

    def _hear(self, trial: Trial) -> None:
        for violation in trial.violations:
            self._complain(trial.what, violation)

    def _complain(self, what: str, violation: str) -> None:
        self.console.print(f"[red]{escape(what)}[/]: {escape(violation)}", highlight=False, soft_wrap=True)

    async def _side_by_side(self, there: House, tries: Iterable[Try], *parts: str, **joined: object) -> Sequence[Trial]:
        mixed = shuffled([*tries], self.seed)
        slots = joined.pop("slots", SLOTS)
        assert isinstance(slots, int)
        return await side_by_side(there, mixed, *parts, heard=self._hear, slots=slots, **joined)

    async def _part(
        self,
        rows: str,
        what: str,
        doing: Awaitable[Sequence[Trial]],
        *,
        recorded: Sequence[Place] = (),
        point: Point = attrgetter("point"),
        among: Callable[[Trial], str] | None = None,
        expected: Sequence[str] = (),
    ) -> Part:
        began = time.monotonic()
        trials = await doing
        untried = [*changes.one_sided(trials, among=among)] if among else []
        missed = sum(x.place is not None and not x.struck for x in trials)
        if not recorded and missed > MISSED_AT_MOST * len(trials):
            untried.append(f"N1: {missed} of {len(trials)} places were never passed")
        return Part(
            rows=rows,
            what=what,
            trials=trials,
            seconds=time.monotonic() - began,
            recorded=frozenset(map(point, recorded)),
            point=point,
            untried=[*untried, *self._logs.unexpected(*expected)],
        )

    async def _embedded(self, there: House) -> Sequence[Place]:
        """The places of every order type, recorded once."""
        if not self._places:
            self._places = await crashes.recorded(there, ORDER_TYPES)
        return self._places

    async def _crashes(self, there: House) -> AsyncIterator[Part]:
        run = partial(self._side_by_side, there)
        places = await self._embedded(there)
        struck = crashes.each_point(places, self.seed)
        what = "the worker is killed at each kind of place of each order type"
        everywhere = await self._part("A1 A3 B9", what, run(crashes.deaths(struck)), recorded=places)
        yield replace(everywhere, untried=[*everywhere.untried, *crashes.never_passed(places)])
        known = frozenset(x.at.signature for x in places)
        for rows, what, stories, parts, part in (
            ("A1", "the worker is killed at what it only passes over HTTP", OVER_HTTP, ANOTHER, WORKER),
            ("A12", "the neighbours are killed at every kind of place", OVER_HTTP, ANOTHER, NEIGHBOURS),
            ("A6 A7", "the API is killed at every place", {"submitted": submitted}, (WORKER, API), API),
        ):
            found = crashes.others(await crashes.recorded(there, stories, *parts, part=part), known)
            doing = run(crashes.deaths(found, stories=stories), *parts)
            yield await self._part(rows, what, doing, recorded=found, point=kind, expected=ON_THE_WIRE)

    async def _again(self, there: House) -> AsyncIterator[Part]:
        run = partial(self._side_by_side, there)
        kinds = crashes.each_signature(await self._embedded(there))
        what = "the worker is killed, and again on the way back"
        twice = await self._part("A2", what, run(crashes.deaths(self._some(kinds, AGAIN), times=2)))
        yield _at_least(twice, "kills", math.ceil((1 - MISSED_AT_MOST) * 2 * len(twice.trials)))
        what = "the worker is killed, with no run kept in memory"
        yield await self._part("A3", what, run(crashes.deaths(self._some(kinds, NOT_CACHED)), cached_workflows=0))
        what = "the worker stands still, another takes over, it goes on"
        late = await self._part("A8", what, run(frozen.freezes(self._some(kinds, FROZEN))), expected=logs.FROZEN)
        yield _at_least(late, "repeated", 1)
        cuts = {(x.at.what, x.at.when): x for x in shuffled(kinds, self.seed) if _is_sent_to_postgres(x)}.values()
        what = "the connection to PostgreSQL is cut at every statement, in some activity"
        yield await self._part("B10", what, run(crashes.deaths([*cuts], deed=Deed.CUT)), expected=CUT)

    def _some(self, places: Sequence[Place], at_most: int) -> Sequence[Place]:
        return shuffled(places, self.seed)[:at_most]

    async def _wire(self, there: House) -> AsyncIterator[Part]:
        run = partial(self._side_by_side, there)
        async with answers.decoy() as decoy:
            operations = await answers.operations(there)
            tries = [*answers.mischiefs(operations, decoy)]
            what = f"{len(operations)} operations, whatever can go wrong on the wire"
            doing = run(tries, *answers.PARTS, **answers.IN_THESE)
            yield await self._part("B1 to B7", what, doing, expected=ON_THE_WIRE)
        for rows, trouble in (("B3", outages.never_slow_for_others), ("B8", outages.away_and_back)):
            yield await self._alone(there, rows, trouble, *ANOTHER, expected=ON_THE_WIRE)

    async def _alone(self, there: House, rows: str, attempt: Try, *parts: str, expected: Sequence[str] = ()) -> Part:
        """One trial that says by itself what happens."""
        part = await self._part(rows, "", self._side_by_side(there, [attempt], *parts, slots=1), expected=expected)
        return replace(part, what=part.trials[0].what)

    async def _changes(self, there: House) -> AsyncIterator[Part]:
        def run(tries: Iterable[Try]) -> Awaitable[Sequence[Trial]]:
            return self._side_by_side(there, tries, slots=changes.SLOTS, **changes.IN_THESE)

        recorded = await crashes.recorded(there, changes.STORIES)
        places = crashes.each_point(recorded, self.seed)
        everywhere = "at each kind of place of each order type"
        for rows, what, said in (
            ("R1", f"cancelled {everywhere}", (changes.CANCEL, changes.GO_ON)),
            ("R2 R4", f"revised {everywhere}", (changes.REVISE, changes.GO_ON)),
        ):
            doing = run(changes.wished(places, said))
            yield await self._part(rows, what, doing, recorded=recorded, among=_story, expected=CUT)
        some = self._some(places, WISHED)
        twice = run(changes.wished(some, (changes.REVISE, changes.AGAIN, changes.GO_ON)))
        yield await self._part(
            "R2", "revised, and then once more", twice, among=lambda _: "revised twice", expected=CUT
        )
        race = run([x for said in changes.IN_ANY_ORDER for x in changes.wished(some, said)])
        what = "cancelled, revised and gone on with, in every order"
        yield await self._part("R3", what, race, among=lambda _: "in whatever order", expected=CUT)

    async def _races(self, there: House) -> AsyncIterator[Part]:
        for rows, race, parts in (
            ("R5", races.same_key, (WORKER, API)),
            ("R6", partial(races.last_units, units=1, wanted=300), (WORKER,)),
            ("R6", partial(races.last_units, units=40, wanted=200), (WORKER,)),
            ("R7", races.one_asset, (WORKER,)),
            ("R10", races.late_commit, (WORKER, API)),
            ("R10", races.two_of_each, (WORKER, API)),
        ):
            yield await self._alone(there, rows, race, *parts)

    async def _walks(self, there: House) -> AsyncIterator[Part]:
        what = f"orders, decisions, changes and deaths at random, {walks.STEPS} deeds each"
        yield await self._part("R11", what, self._side_by_side(there, walks.walks(self.seed, WALKS)))

    async def _poison(self, there: House) -> AsyncIterator[Part]:
        what = "words that are too long"
        doing = self._side_by_side(there, poison.wordy(), slots=2)
        yield await self._part("D5", what, doing, expected=[logs.TOO_LONG])
        what = "bugs that some orders meet: others go on, these are seen, and go on when the bug is mended"
        part = await self._part("D6", what, poison.poisoned(there), expected=A_BUG)
        for trial in part.trials:
            self._hear(trial)
            self.console.print(f"D6: {trial.what}")
        yield part

    async def _time(self, there: House) -> AsyncIterator[Part]:
        async def together(tries: Callable[[], Sequence[Try]], worlds_: Iterable[Mapping[str, object]]) -> list[Trial]:
            doing = (self._side_by_side(there, tries(), slots=TOLD_AT_ONCE, **joined) for joined in worlds_)
            return [x for trials in await asyncio.gather(*doing) for x in trials]

        off = [{"ahead_s": x} for x in (clocks.YEARS_S, -clocks.YEARS_S)]
        yield await self._part("TI1", "the worker's clock is ten years off, both ways", together(clocks.dated, off))
        zones = [{"zone": x} for x in clocks.ZONES]
        what = f"the worker is in {', '.join(clocks.ZONES)}"
        yield await self._part("TI3", what, together(clocks.dated, zones))
        moments = [
            {"begins": datetime.fromisoformat(at) - clocks.BEFORE, "zone": zone} for at, zone in clocks.MOMENTS.values()
        ]
        what = f"{', '.join(clocks.MOMENTS)}, while orders are under way"
        yield await self._part("TI3", what, together(clocks.passing, moments))

    async def _versions(self, there: House) -> AsyncIterator[Part]:
        yield await self._part(
            "U1 U3", "golden histories are replayed, and a careless edit is caught", versions.replayed()
        )
        what = "orders begun under the code before a patch are carried out under today's"
        yield await self._part("U2", what, versions.upgraded(there))

    async def hunt(self, there: House) -> None:
        """Put bugs in, each in worlds of its own."""
        few = asyncio.Semaphore(HUNTS_AT_ONCE)

        async def one(plant: str) -> None:
            async with few:
                began = time.monotonic()
                caught = await planted.hunted(there, plant)
            self.caught.append(caught)
            outcome = (
                f"caught: {escape(caught.seen[0][:200])}" if caught.holds else f"[red]not caught[/]: {caught.seen[:1]}"
            )
            took = f"{time.monotonic() - began:.0f} s"
            self.console.print(f"{caught.by}: {plant} ({took}): {outcome}", highlight=False, soft_wrap=True)

        await asyncio.gather(*map(one, planted.HUNTS))

    async def _outages(self, folder: Path) -> AsyncIterator[Part]:
        async with outages.opened(folder) as (there, servers):
            for event in outages.events(self.seed):
                async with worlds.opened(there, WORKER, API) as world:
                    part = await self._part(event.rows, "", outages.under_load(world, servers, event), expected=AWAY)
                self._hear(part.trials[0])
                yield replace(part, what=part.trials[0].what)

    @property
    def results(self) -> Mapping[str, object]:
        """What is written down."""
        return {
            "points_recorded": sum(len(x.recorded) for x in self.done),
            "points_covered": sum(x.covered for x in self.done),
            "points_not_passed_again": sum(x.chance for x in self.done),
            "kills": self._sum("kills"),
            "redeliveries_predicted": self._sum("predicted"),
            "redeliveries_seen": sum(y.repeated for x in self.done for y in x.trials if y.kills),
            "effects": self._sum("effects"),
            "violations": sum(len(x.violations) for x in self.done),
            "planted": len(self.caught),
            "planted_caught": sum(x.holds for x in self.caught),
            "seeds": [self.seed],
            "seconds": round(sum(x.seconds for x in self.done)),
        }

    def _sum(self, name: str) -> int:
        return sum(x.sum(name) for x in self.done)

    def table(self) -> Table:
        """All parts, one row each."""
        drawn = Table(title=f"Fault programme, seed {self.seed}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for title in ("rows", "what happens"):
            drawn.add_column(title)
        for title in ("times", "kills", "repeated", "predicted", "effects", "moves again", "violations", "s"):
            drawn.add_column(title, justify="right")
        for x in self.done:
            slowest = "" if x.slowest_s is None else f"{x.slowest_s:.1f} s"
            figures = (len(x.trials), x.sum("kills"), x.sum("repeated"), x.sum("predicted"), x.sum("effects"))
            drawn.add_row(x.rows, x.what, *map(_figure, figures), slowest, str(len(x.violations)), f"{x.seconds:.0f}")
        return drawn


ANOTHER = (NEIGHBOURS, WORKER)
"""A world whose neighbours are other systems."""


def _at_least(part: Part, figure: str, least: int) -> Part:
    """The part, in which what it is about has to have happened at least so often (N1, N3)."""
    found = part.sum(figure)
    return part if found >= least else replace(part, untried=[*part.untried, f"N1: {found} {figure}, not {least}"])


def _is_sent_to_postgres(place: Place) -> bool:
    return place.at.what.startswith("sql ") or place.at.what == "commit"


def _story(trial: Trial) -> str:
    return trial.place.story if trial.place else trial.what


def _figure(number: int) -> str:
    return f"{number:,}" if number else ""
