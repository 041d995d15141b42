"""Code changes while orders are under way: golden histories, a careless edit, and an upgrade (U1 to U3)."""

import asyncio
import re
import signal
import sys
from collections.abc import Sequence

from tests.faults import oracle, worlds
from tests.faults.house import House
from tests.faults.stories import ORDER_TYPES
from tests.faults.trials import Trial, told
from tests.faults.worlds import WORKER

IN_TROUBLE = (
    "refused_and_retried", "refused_and_skipped", "refused_and_given_up", "undo_in_trouble", "exhausted_and_retried",
    "cancelled", "revised_price", "revised_smaller", "slow_network", "passing_fault", "future_start", "wireless_bundle",
)  # fmt: skip
PLAIN = ("slow_network", "future_start", "waits_for_its_day", "wireless_bundle", "two_bundles", "physical_goods")
"""Stories in which nothing happens that the code of before would do otherwise: it may go on with them as well."""
YESTERDAY, TODAY = ("before the patch",), ()
AT_WORK_S = 0.4
ENDS_WITHIN_S = 10.0


async def replayed() -> Sequence[Trial]:
    """Every golden history agrees with today's workflow, and two of them with no careless edit of it (U1, U3)."""
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/replay")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    told_, _ = await process.communicate()
    passed = re.search(rb"(\d+) passed", told_)
    wrong = told_.decode().splitlines()[-20:] if process.returncode or not passed else []
    return [Trial(what=f"{passed[1].decode() if passed else 0} replays", violations=wrong)]


async def upgraded(there: House) -> Sequence[Trial]:
    """Orders are under way when another version takes over: today's, and back where that is lawful (U2)."""
    return [
        await _handed_over(there, IN_TROUBLE, (YESTERDAY, TODAY)),
        await _handed_over(there, PLAIN, (YESTERDAY, TODAY, YESTERDAY)),
        await _handed_over(there, PLAIN, (TODAY, YESTERDAY, TODAY)),
    ]


async def _handed_over(there: House, stories: Sequence[str], versions: Sequence[tuple[str, ...]]) -> Trial:
    """Workers of these versions, one after the other; while one ends, the next is there."""
    violations: list[str] = []
    async with worlds.opened(there, plants=versions[0]) as world:
        telling = asyncio.gather(*(told(world, ORDER_TYPES[name], 0) for name in stories))
        for version in versions[1:]:
            await asyncio.sleep(AT_WORK_S)
            under_way = world.shop.one("SELECT count(*) FROM orderloom.orders WHERE completed_at IS NULL")
            violations += [] if under_way else ["N3: no order was under way when another version took over"]
            former = world.worker
            world.joining = worlds.planted_with(world.joining, version)
            await world.start(WORKER)
            former.signal(signal.SIGTERM)
            ended = await former.end(within_s=ENDS_WITHIN_S)
            former.kill()
            violations += [] if ended == 0 else [f"U2: a worker ended with {ended}"]
        violations += [y for x in await telling for y in x]
        violations += await oracle.broken(world)
        names = ", then ".join("yesterday's" if x == YESTERDAY else "today's" for x in versions)
        return Trial(
            what=f"{names}: {len(stories)} stories",
            effects=len(oracle.books(world, world.orders())),
            violations=violations,
        )
