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

UPGRADED = (
    "refused_and_retried", "refused_and_skipped", "refused_and_given_up", "undo_in_trouble", "exhausted_and_retried",
    "cancelled", "revised_price", "revised_smaller", "slow_network", "passing_fault", "future_start", "wireless_bundle",
)  # fmt: skip
AT_WORK_S = 0.4


async def replayed() -> Sequence[Trial]:
    """Every golden history agrees with today's workflow, and two of them with no careless edit of it (U1, U3)."""
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/replay")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    told_, _ = await process.communicate()
    passed = re.search(rb"(\d+) passed", told_)
    wrong = told_.decode().splitlines()[-20:] if process.returncode or not passed else []
    return [Trial(what=f"{passed[1].decode() if passed else 0} replays", violations=wrong)]


async def upgraded(there: House) -> Sequence[Trial]:
    """Orders in every situation when yesterday's worker is asked to end and today's takes over (U2)."""
    async with worlds.opened(there, plants=("before the patch",)) as world:
        telling = asyncio.gather(*(told(world, ORDER_TYPES[name], 0) for name in UPGRADED))
        await asyncio.sleep(AT_WORK_S)
        former = world.worker
        world.joining = worlds.planted_with(world.joining)
        await world.start(WORKER)
        former.signal(signal.SIGTERM)
        ended = await former.end(within_s=15)
        stuck = [y for x in await telling for y in x]
        violations = [*stuck, *await oracle.broken(world)]
        if ended != 0:
            violations.append(f"U2: yesterday's worker ended with {ended}")
        return [
            Trial(
                what=f"{len(UPGRADED)} stories", effects=len(oracle.books(world, world.orders())), violations=violations
            )
        ]
