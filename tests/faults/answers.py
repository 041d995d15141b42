"""Everything that can go wrong on the wire, with every operation of every neighbour (B1 to B7)."""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.plan import Undo
from tests.faults import oracle, worlds
from tests.faults.boundary import When
from tests.faults.haste import SHORT_ATTEMPTS
from tests.faults.house import House
from tests.faults.journal import Passed
from tests.faults.mischief import FALLS_OUT, PAUSE_S, Mischief, Mode
from tests.faults.stories import ORDER_TYPES
from tests.faults.trials import Trial, Try, golden, told
from tests.faults.worlds import NEIGHBOURS, WORKER, World

PARTS = (NEIGHBOURS, WORKER)
QUERIES = ("/inventory/query", "/provisioning/query", "/billing/query")
"""What is asked only when an answer was lost; which is why no story passes it by itself."""
DOUBTED = {"inventory": "/inventory/reserve", "provisioning": "/provisioning/activate", "billing": "/billing/initiate"}
LATER_S = 1.0
"""A pause that a neighbour asks for may be so much longer (B4)."""
SEEN_WITHIN_S = 2.0
"""After a definite no somebody is asked (B5)."""
DOUBTFUL = frozenset({Mode.LOST, Mode.REFUSED_CONNECTION, Mode.E500, Mode.E503, Mode.HTML_AFTER, Mode.OTHER_KEY_AFTER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a neighbour is asked, and a story in which that happens."""

    path: str
    story: str
    asked: int = 0
    """How many persons are asked in that story when nothing is wrong on the wire."""

    @property
    def takes_back(self) -> bool:
        """Whether it undoes something: that is tried for as long as it takes, and no person is asked."""
        return self.path.rpartition("/")[2] in set(Undo)


async def operations(house: House) -> Sequence[Operation]:
    """Every operation that changes something at a neighbour, with the first story that comes by."""
    found: dict[str, Operation] = {}
    async with worlds.opened(house, *PARTS) as world:
        await golden(world, next(iter(ORDER_TYPES.values())))  # what is asked only once has been asked
        for name, story in ORDER_TYPES.items():
            before = len(world.orders())
            passed = await golden(world, story)
            asked = _fallouts(world, world.orders()[before:])
            for place in passed:
                method, _, path = place.what.removeprefix("http ").partition(" ")
                if method == "POST" and path not in found:
                    found[path] = Operation(path=path, story=name, asked=asked)
    return [*found.values()]


def mischiefs(found: Sequence[Operation], decoy: "Decoy") -> Iterator[Try]:
    """A trial for each operation and each thing that can go wrong, and some where the question about it fails too."""
    for operation in found:
        for mode in Mode:
            yield _wronged(operation, [Mischief(path=operation.path, mode=mode, decoy=decoy.url)], decoy)
    for query in QUERIES:
        doubted = DOUBTED[query.split("/")[1]]
        operation = next(x for x in found if x.path == doubted)
        for mode in DOUBTFUL:
            lost = Mischief(path=operation.path, mode=Mode.LOST_AFTER)
            yield _wronged(operation, [lost, Mischief(path=query, mode=mode)], decoy)


def _wronged(operation: Operation, mischief: Sequence[Mischief], decoy: "Decoy") -> Try:
    async def attempt(world: World) -> Trial:
        return await wronged(world, operation, mischief, decoy)

    return attempt


async def wronged(world: World, operation: Operation, mischief: Sequence[Mischief], decoy: "Decoy") -> Trial:
    """A story in which this happens to an operation: it heals by itself, or a person is asked at once."""
    mark, before, seen = world.journal.mark(), len(world.orders()), decoy.hits
    await world.worker.tell(mischief)
    violations = [*await told(world, ORDER_TYPES[operation.story], before)]
    await world.worker.tell([])
    orders, passed = world.orders()[before:], world.journal.since(mark)
    last = mischief[-1].mode
    asked = _fallouts(world, orders) - operation.asked
    if asked != (last in FALLS_OUT and not operation.takes_back):
        violations.append(f"B5: {asked} persons were asked")
    if last.endswith("_after") and last is not Mode.DRIP_AFTER and len(mischief) == 1 and not operation.takes_back:
        again = [key for key, times in _received(passed, operation.path).items() if times > 1]
        violations += [f"B7: {key} was sent again, though the neighbour had it" for key in again]
    if last is Mode.E429 and not PAUSE_S * 0.9 <= (pause_s := _pause(passed, operation.path)) <= PAUSE_S + LATER_S:
        violations.append(f"B4: asked again after {pause_s:.2f} s, {PAUSE_S} s were asked for")
    if asked > 0 and (seen_s := _seen_after_s(world, orders, passed, mischief[-1].path)) > SEEN_WITHIN_S:
        violations.append(f"B5: a person was asked after {seen_s:.2f} s")
    reached = any(x.boundary.what.startswith("http ") and x.boundary.what.endswith(mischief[-1].path) for x in passed)
    if not reached:
        violations.append(f"N1: nobody asked {mischief[-1].path}")
    if decoy.hits > seen:
        violations.append("B6: a redirect was followed")
    return Trial(
        what=f"{operation.path}: {', '.join(x.mode for x in mischief)}",
        repeated=max(_received(passed, operation.path).total() - 1, 0),
        effects=len(oracle.books(world, orders)),
        violations=[*violations, *await oracle.broken(world)],
    )


def _fallouts(world: World, orders: Sequence[str]) -> int:
    count = "SELECT count(*) FROM orderloom.fallouts WHERE order_id = ANY(CAST(:o AS uuid[]))"
    return int(world.shop.one(count, o=list(orders)))


def _seen_after_s(world: World, orders: Sequence[str], passed: Sequence[Passed], path: str) -> float:
    """How long after the wrong answer somebody was asked; infinite when nobody was."""
    answered = min(x.at for x in passed if x.boundary.what.endswith(path) and x.boundary.when is When.AFTER)
    opened = (
        "SELECT extract(epoch FROM opened_at) AS at FROM orderloom.fallouts WHERE order_id = ANY(CAST(:o AS uuid[]))"
    )
    after = (float(x["at"]) - answered for x in world.shop.rows(opened, o=list(orders)))
    return min((x for x in after if x >= 0), default=math.inf)


def _received(passed: Sequence[Passed], path: str) -> Counter[str | None]:
    """How often a neighbour was asked to do something under a key."""
    return Counter(
        x.key
        for x in passed
        if x.boundary.part == NEIGHBOURS and x.boundary.what == "request" and x.boundary.within == f"POST {path}"
    )


def _pause(passed: Sequence[Passed], path: str) -> float:
    """How long after the first answer there was a second question, about the same or about what became of it."""
    sent = [
        x.at
        for x in passed
        if x.boundary.part == WORKER
        and x.boundary.what in (f"http POST {path}", f"http GET {path.rpartition('/')[0]}/query")
        and x.boundary.when is When.BEFORE
    ]
    return sent[1] - sent[0] if len(sent) > 1 else math.inf


class Decoy:
    """A server of somebody else's, which counts who comes."""

    def __init__(self) -> None:
        self.hits = 0
        self.url = ""

    async def _greet(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        writer.close()


@contextlib.asynccontextmanager
async def decoy() -> AsyncIterator[Decoy]:
    """A decoy that listens for as long as the block lasts."""
    found = Decoy()
    server = await asyncio.start_server(found._greet, "127.0.0.1", 0)  # noqa: SLF001 - its own
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/elsewhere"
    async with server:
        yield found


IN_THESE: Mapping[str, object] = {"patience": SHORT_ATTEMPTS}
"""How the worlds of these trials are joined."""
