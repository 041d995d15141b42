"""The whole fault programme, part after part: what it does, what came of it, and the one table at the end."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.faults import (
    answers,
    changes,
    clocks,
    crashes,
    frozen,
    house,
    outages,
    planted,
    poison,
    races,
    versions,
    walks,
    worlds,
)
from tests.faults.boundary import Deed
from tests.faults.crashes import Place
from tests.faults.house import House
from tests.faults.planted import Caught
from tests.faults.stories import ORDER_TYPES, OVER_HTTP, submitted
from tests.faults.trials import SLOTS, Trial, Try, shuffled, side_by_side
from tests.faults.worlds import API, NEIGHBOURS, WORKER

KILLS_AT_LEAST = 1_000
WALKS = 200
STRUCK = 700
"""Places of all order types where the worker dies; of more there are, seeds choose, and each kind is among them."""
FROZEN = 40
"""Places where a worker freezes: each costs the seconds that it takes to be taken for dead."""
ASKED = 250
"""Places where somebody cancels or revises; of more there are, seeds choose, and each kind is among them."""
WISHED = 40
"""Places where something else is wished."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one part of the programme came to."""

    rows: str
    what: str
    trials: Sequence[Trial]
    seconds: float
    recorded: int = 0
    """How many boundaries were recorded for it, where it enumerates."""

    @property
    def violations(self) -> Sequence[str]:
        """All that is wrong."""
        return [f"{x.what}: {y}" for x in self.trials for y in x.violations]

    def sum(self, name: str) -> int:
        """The sum of a figure over all trials."""
        return sum(int(getattr(x, name)) for x in self.trials)

    @property
    def covered(self) -> int:
        """How many of the boundaries were struck, or stand for one that was."""
        return sum(x.covers for x in self.trials if x.struck)

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

    async def run(self, chosen: Sequence[str]) -> None:
        """Do the parts that are chosen, or all."""
        parts: Mapping[str, Callable[[House], AsyncIterator[Part]]] = {
            "crashes": self._crashes,
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
        if not chosen or "outages" in chosen:
            (self.folder / "outages").mkdir()
            async for done in self._outages(self.folder / "outages"):
                self._tell(done)

    def _tell(self, part: Part) -> None:
        self.done.append(part)
        wrong = f", [red]{len(part.violations)} violations[/]" if part.violations else ""
        self.console.print(f"{part.rows}: {part.what}: {len(part.trials)} in {part.seconds:.0f} s{wrong}")

    def _hear(self, trial: Trial) -> None:
        for violation in trial.violations:
            self.console.print(f"[red]{trial.what}[/]: {violation}", markup=True, highlight=False, soft_wrap=True)

    async def _side_by_side(self, there: House, tries: Iterable[Try], *parts: str, **joined: object) -> Sequence[Trial]:
        mixed = shuffled([*tries], self.seed)
        slots = joined.pop("slots", SLOTS)
        assert isinstance(slots, int)
        return await side_by_side(there, mixed, *parts, heard=self._hear, slots=slots, **joined)

    async def _part(
        self, rows: str, what: str, doing: Awaitable[Sequence[Trial]], *, recorded: Sequence[Place] = ()
    ) -> Part:
        began = time.monotonic()
        trials = await doing
        boundaries = sum(x.stands_for for x in recorded)
        return Part(rows=rows, what=what, trials=trials, seconds=time.monotonic() - began, recorded=boundaries)

    async def _embedded(self, there: House) -> Sequence[Place]:
        """The places of every order type, recorded once."""
        if not self._places:
            self._places = await crashes.recorded(there, ORDER_TYPES)
        return self._places

    async def _crashes(self, there: House) -> AsyncIterator[Part]:
        run = partial(self._side_by_side, there)
        places = await self._embedded(there)
        kinds = crashes.each_signature(places)
        struck = crashes.some(places, self.seed, at_most=STRUCK)
        what = f"the worker is killed at {len(struck)} of {len(places)} places of all order types, each kind among them"
        yield await self._part("A1 A3 B9", what, run(crashes.deaths(struck)), recorded=places)
        yield await self._part("A2", "… and again on the way back", run(crashes.deaths(kinds, times=2)))
        what = "… with no run kept in memory"
        yield await self._part("A3", what, run(crashes.deaths(kinds), cached_workflows=0))
        what = "the worker stands still, another takes over, it goes on"
        still = shuffled(kinds, self.seed)[:FROZEN]
        yield await self._part("A8", what, run(frozen.freezes(still)))
        cuts = [x for x in kinds if x.at.what.startswith("sql ") or x.at.what == "commit"]
        what = "the connection to PostgreSQL is cut at every statement"
        yield await self._part("B10", what, run(crashes.deaths(cuts, deed=Deed.CUT)))
        for rows, what, stories, parts, part in (
            ("A1", "the worker is killed at every kind of place, neighbours over HTTP", OVER_HTTP, ANOTHER, WORKER),
            ("A12", "the neighbours are killed at every kind of place", OVER_HTTP, ANOTHER, NEIGHBOURS),
            ("A6 A7", "the API is killed at every place", {"submitted": submitted}, (WORKER, API), API),
        ):
            found = crashes.each_signature(await crashes.recorded(there, stories, *parts, part=part))
            yield await self._part(rows, what, run(crashes.deaths(found, stories=stories), *parts), recorded=found)

    async def _wire(self, there: House) -> AsyncIterator[Part]:
        run = partial(self._side_by_side, there)
        async with answers.decoy() as decoy:
            operations = await answers.operations(there)
            tries = [*answers.mischiefs(operations, decoy)]
            what = f"{len(operations)} operations, whatever can go wrong on the wire"
            yield await self._part("B1 to B7", what, run(tries, *answers.PARTS, **answers.IN_THESE))
        one = partial(run, slots=1)
        yield await self._part(
            "B3", "nobody waits for another's slow answer", one([outages.never_slow_for_others], *ANOTHER)
        )
        yield await self._part("B8", "the neighbours are away", one([outages.away_and_back], *ANOTHER))

    async def _changes(self, there: House) -> AsyncIterator[Part]:
        run = partial(self._side_by_side, there)
        places = [x for x in await crashes.recorded(there, changes.STORIES) if x.story in changes.STORIES]
        many, some = crashes.some(places, self.seed, at_most=ASKED), shuffled(places, self.seed)[:WISHED]
        for rows, wish, where in (
            ("R1", "cancelled", many),
            ("R2 R4", "revised", many),
            ("R2", "revised twice", some),
            ("R3", "cancelled and revised", some),
            ("R3", "revised and cancelled", some),
        ):
            what = f"{wish} at {len(where)} of {len(places)} places of {len(changes.STORIES)} order types"
            done = await self._part(rows, what, run(changes.wished(where, wish)))
            yield done

    async def _races(self, there: House) -> AsyncIterator[Part]:
        one = partial(self._side_by_side, there, slots=1)
        for rows, race, parts in (
            ("R5", races.same_key, (WORKER, API)),
            ("R6", partial(races.last_units, units=1, wanted=40), (WORKER,)),
            ("R6", partial(races.last_units, units=20, wanted=60), (WORKER,)),
            ("R7", races.one_asset, (WORKER,)),
            ("R10", races.late_commit, (WORKER, API)),
            ("R10", races.two_of_each, (WORKER, API)),
        ):
            part = await self._part(rows, "", one([race], *parts))
            yield Part(rows=rows, what=part.trials[0].what, trials=part.trials, seconds=part.seconds)

    async def _walks(self, there: House) -> AsyncIterator[Part]:
        what = f"orders, decisions, changes and deaths at random, {walks.STEPS} deeds each"
        yield await self._part("R11", what, self._side_by_side(there, walks.walks(self.seed, WALKS)))

    async def _poison(self, there: House) -> AsyncIterator[Part]:
        what = "words that are too long"
        yield await self._part("D5", what, self._side_by_side(there, poison.wordy(), slots=2))
        part = await self._part("D6", "", poison.poisoned(there))
        for trial in part.trials:
            self._hear(trial)
            yield Part(rows="D6", what=trial.what, trials=[trial], seconds=part.seconds / len(part.trials))

    async def _time(self, there: House) -> AsyncIterator[Part]:
        run = partial(self._side_by_side, there, slots=len(clocks.TOLD))
        for ahead_s in (clocks.YEARS_S, -clocks.YEARS_S):
            what = f"the worker's clock is {ahead_s / clocks.YEARS_S * 10:+.0f} years off"
            yield await self._part("TI1", what, run(clocks.dated(), ahead_s=ahead_s))
        for zone in clocks.ZONES:
            yield await self._part("TI3", f"the worker is in {zone}", run(clocks.dated(), zone=zone))

    async def _versions(self, there: House) -> AsyncIterator[Part]:
        yield await self._part(
            "U1 U3", "golden histories are replayed, and a careless edit is caught", versions.replayed()
        )
        what = "orders begun under the code before a patch are carried out under today's"
        yield await self._part("U2", what, versions.upgraded(there))

    async def hunt(self, there: House) -> None:
        """Put bugs in, one after the other."""
        for plant in planted.HUNTS:
            began = time.monotonic()
            caught = await planted.hunted(there, plant)
            self.caught.append(caught)
            outcome = f"caught: {caught.seen[0][:200]}" if caught.holds else "[red]not caught[/]"
            self.console.print(f"{caught.by}: {plant} ({time.monotonic() - began:.0f} s): {outcome}", soft_wrap=True)

    async def _outages(self, folder: Path) -> AsyncIterator[Part]:
        async with outages.opened(folder) as (there, servers):
            events: Sequence[tuple[str, str, outages.Outage]] = (
                ("A4", "Temporal is killed", partial(outages.of_a_server, name=outages.TEMPORAL)),
                ("A5", "PostgreSQL is killed", partial(outages.of_a_server, name=outages.POSTGRES)),
                ("A9 U2", "workers are replaced one by one", outages.of_workers),
                *(
                    ("A10", f"power cut, back come {', '.join(x)}", partial(outages.of_everything, following=x))
                    for x in outages.power_cuts(self.seed)
                ),
            )
            for rows, what, outage in events:
                async with worlds.opened(there, WORKER, API) as world:
                    began = time.monotonic()
                    trial = await outages.under_load(world, servers, outage, what=what)
                    self._hear(trial)
                yield Part(rows=rows, what=trial.what, trials=[trial], seconds=time.monotonic() - began)

    @property
    def results(self) -> Mapping[str, object]:
        """What is written down."""
        return {
            "points_recorded": sum(x.recorded for x in self.done),
            "points_covered": sum(x.covered for x in self.done if x.recorded),
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


def _figure(number: int) -> str:
    return f"{number:,}" if number else ""
