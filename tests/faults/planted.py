"""Every planted bug is caught by the faults that are there for it (4.5): what cannot fail proves nothing."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from adapters.switches import Mode as Refusing
from adapters.switches import Switch
from tests.builders import order, without
from tests.faults import answers, changes, clocks, crashes, oracle, races
from tests.faults.house import House
from tests.faults.mischief import Mischief, Mode
from tests.faults.stories import ORDER_TYPES, OVER_HTTP, submitted
from tests.faults.trials import HARNESS, Trial, side_by_side, told
from tests.faults.worlds import API, WORKER, World
from tests.workflows.catalog import INTERNET, WIRELESS

SLOTS = 4
AT_MOST = 8
"""Where a bug is hunted by kills, so many places are enough."""
CANARY = "canary-5f0c1d"


@dataclass(frozen=True, kw_only=True)
class Caught:
    """Whether a bug was caught, by what it was, and what was seen first."""

    plant: str
    by: str
    seen: Sequence[str]

    @property
    def holds(self) -> bool:
        """It was caught, and is not merely broken itself."""
        return bool(self.seen) and not any(map(_BROKEN.search, self.seen))


_BROKEN = re.compile(r"\b(Attribute|Import|Name|Type)Error\b|the harness")


Hunt = Callable[[House, str], Awaitable[Sequence[Trial]]]
"""Runs some of the faults where a bug is planted."""


def _killed(
    story: str, *, within: str, parts: Sequence[str] = (WORKER,), part: str = WORKER, is_between: bool = False
) -> Hunt:
    """Processes die at the places of a story whose name holds a word; recorded where nothing is planted.

    Unless the bug ``is_between`` two things that are one without it.
    """

    async def hunt(house: House, plant: str) -> Sequence[Trial]:
        stories = {**OVER_HTTP, "submitted": submitted}
        planted = (plant,) if is_between else ()
        found = await crashes.recorded(house, {story: stories[story]}, *parts, part=part, plants=planted)
        places = [x for x in found if within in str(x.at)][:AT_MOST]
        assert places, f"no place of {story} is called {within}"
        tries = crashes.deaths(places, stories=stories)
        return await side_by_side(house, tries, *parts, heard=_nobody, slots=SLOTS, plants=(plant,))

    return hunt


def _told(story: str) -> Hunt:
    """A story in which nothing else goes wrong."""

    async def hunt(house: House, plant: str) -> Sequence[Trial]:
        async def attempt(world: World) -> Trial:
            stuck = await told(world, ORDER_TYPES[story], 0)
            return Trial(what=story, violations=[*stuck, *await oracle.broken(world)])

        return await side_by_side(house, [attempt], heard=_nobody, slots=1, plants=(plant,))

    return hunt


def _dated(story: str, **joined: object) -> Hunt:
    """A story whose dates are looked at."""

    async def hunt(house: House, plant: str) -> Sequence[Trial]:
        tries = clocks.dated([story])
        return await side_by_side(house, tries, heard=_nobody, slots=1, plants=(plant,), **joined)

    return hunt


def _wronged(path: str, story: str, mode: Mode) -> Hunt:
    """Something goes wrong on the wire."""

    async def hunt(house: House, plant: str) -> Sequence[Trial]:
        async with answers.decoy() as decoy:
            operation = answers.Operation(path=path, story=story)

            async def attempt(world: World) -> Trial:
                mischief = Mischief(path=path, mode=mode, decoy=decoy.url)
                return await answers.wronged(world, operation, [mischief], decoy)

            return await side_by_side(
                house, [attempt], *answers.PARTS, heard=_nobody, slots=1, plants=(plant,), **answers.IN_THESE
            )

    return hunt


def _raced(race: Callable[[World], Awaitable[Trial]], *parts: str) -> Hunt:
    """Many at once."""

    async def hunt(house: House, plant: str) -> Sequence[Trial]:
        return await side_by_side(house, [race], *parts, heard=_nobody, slots=1, plants=(plant,))

    return hunt


def _wished(story: str, *, within: str, at_most: int = AT_MOST) -> Hunt:
    """An order is called off while an activity is under way, which then takes its time."""

    async def hunt(house: House, plant: str) -> Sequence[Trial]:
        found = await crashes.recorded(house, {story: changes.STORIES[story]})
        places = [x for x in found if x.at.within.startswith(within)][-at_most:]
        assert places, f"no place of {story} is called {within}"
        tries = changes.wished(places, (changes.CANCEL, changes.REST, changes.GO_ON))
        return await side_by_side(house, tries, heard=_nobody, slots=SLOTS, plants=(plant,), **changes.IN_THESE)

    return hunt


async def _cascades(house: House, plant: str) -> Sequence[Trial]:
    """The tables are otherwise; a revision drops a bundle, some steps of which were done."""

    async def attempt(world: World) -> Trial:
        house.alter(world.engine.url.database, _EVENTS_CASCADE)
        shop = world.shop
        shop.provisioning.switches.set("activate", Switch(mode=Refusing.REFUSE, match='"INTERNET"', remaining=1))
        wanted = order(WIRELESS, INTERNET)
        handle = await shop.start(wanted)
        id_ = handle.id.removeprefix("order-")
        await shop.fallout(id_)
        await shop.revise(id_, without(wanted, "2"))
        stuck = await oracle.quiet(world, [id_])
        return Trial(what="a bundle is dropped", violations=[*stuck, *await oracle.broken(world)])

    return await side_by_side(house, [attempt], heard=_nobody, slots=1, plants=(plant,))


_EVENTS_CASCADE = """
    ALTER TABLE orderloom.order_events DISABLE TRIGGER order_events_kept,
        ADD COLUMN step text GENERATED ALWAYS AS (body ->> 'step') STORED,
        ADD CONSTRAINT order_events_step_fk FOREIGN KEY (order_id, step)
            REFERENCES orderloom.plan_items (order_id, id) ON DELETE CASCADE
"""


async def _last_unit(world: World) -> Trial:
    return await races.last_units(world, units=1, wanted=6)


async def _echoed(world: World) -> Trial:
    async with httpx.AsyncClient(base_url=world.api, trust_env=False, timeout=10) as http:
        for _ in range(100):
            try:
                answer = await http.post("/v1/orders", json={"account": {"name": CANARY}, "lines": CANARY})
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
            else:
                found = [f"D1: {answer.status_code} tells the input back"] if CANARY in answer.text else []
                return Trial(what="an error", violations=found)
    raise TimeoutError


HUNTS: Mapping[str, tuple[str, Hunt]] = {
    "attempt in the key": ("A1", _killed("wireless_bundle", within="after activity")),
    "no point of no return": ("A1", _killed("wireless_bundle", within="provision")),
    "no barrier": ("R1", _wished("wireless_bundle", within="provision", at_most=2)),
    "try cancel": ("R1", _wished("passing_fault_in_billing", within="initiate_billing")),
    "events cascade": ("I23", _cascades),
    "unguarded stock": ("R6", _raced(_last_unit)),
    "billed before it runs": ("I15", _told("wireless_bundle")),
    "void forgotten": ("I14", _told("refused_and_given_up")),
    "key apart": ("A6", _killed("submitted", within="POST /v1/orders", parts=(WORKER, API), part=API, is_between=True)),
    "started by cursor": ("R10", _raced(races.late_commit, WORKER, API)),
    "retry on 422": ("B5", _wronged("/inventory/reserve", "wireless_bundle", Mode.E422)),
    "timeout as failure": ("B1", _wronged("/inventory/reserve", "wireless_bundle", Mode.LOST_AFTER)),
    "redirects followed": ("B6", _wronged("/inventory/reserve", "wireless_bundle", Mode.REDIRECT)),
    "echo": ("D1", _raced(_echoed, API)),
    "float money": ("I13", _told("physical_goods")),
    "naive time": ("TI3", _dated("physical_goods", zone="Pacific/Kiritimati")),
    "planned anew": ("A1", _killed("new_customer", within="sync_customer")),
    "no pause": ("B4", _wronged("/inventory/reserve", "wireless_bundle", Mode.E429)),
}
"""Where each bug is hunted, by the part of the catalogue that is to catch it."""


async def hunted(house: House, plant: str) -> Caught:
    """A bug, hunted where it is to be caught."""
    by, hunt = HUNTS[plant]
    seen = [violation for trial in await hunt(house, plant) for violation in trial.violations]
    return Caught(plant=plant, by=by, seen=[x for x in seen if not x.startswith(HARNESS)])


def _nobody(_: Trial) -> None:
    """What is caught here is told as a whole."""
