"""Orders that a bug makes fail, and words that are too long: on the work list, and a trouble to no other (D5, D6)."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import RPCTimeoutOrCancelledError, WorkflowHandle
from temporalio.service import RPCError

from adapters.switches import Mode, Switch
from tests.builders import order
from tests.faults import oracle, worlds
from tests.faults.house import House
from tests.faults.plants import POISON
from tests.faults.trials import Trial, Try
from tests.faults.worlds import WORKER, World
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, WIRELESS
from workflows.start import Declined

SEEN_WITHIN_S = 30.0
OTHERS = 5
SIZES = (300_000, 1_900_000, 2_000_000, 2_100_000, 4_500_000)
"""Around what Temporal takes as one payload, and as one message."""
GUARD = 256 * 1024
"""No payload of ours is larger."""


async def poisoned(there: House) -> Sequence[Trial]:
    """Each kind of bug, in a world of its own."""
    return await asyncio.gather(*(_poisoned(there, kind) for kind in POISON))


async def _poisoned(there: House, kind: str) -> Trial:
    """Orders for INTERNET are hit by a bug; others go on; the bug is mended, and then these go on as well."""
    begins_well = kind == "another order of commands"
    async with worlds.opened(there, plants=() if begins_well else (kind,)) as world:
        shop = world.shop
        if begins_well:
            shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1))
        sick = await shop.start(order(INTERNET))
        sick_id = sick.id.removeprefix("order-")
        if begins_well:
            fallout = await shop.fallout(sick_id)
            await _replaced(world, (kind,))
            telling = asyncio.create_task(shop.decide(fallout, "retry"))
        began = time.monotonic()
        others = await asyncio.gather(*(shop.start(order(WIRELESS)) for _ in range(OTHERS)))
        await asyncio.wait_for(asyncio.gather(*(x.result() for x in others)), SEEN_WITHIN_S)
        others_took_s = time.monotonic() - began
        seen = await _seen(world, sick_id, since=began)
        violations = [] if seen else [f"D6: {kind} is on no work list after {SEEN_WITHIN_S:.0f} s"]
        violations += [f"D6: a stack is shown: {x}" for x in seen if 'File "' in x or "Traceback" in x]
        seen_after_s = time.monotonic() - began
        await _replaced(world, ())
        if begins_well:
            await telling
        violations += [*await oracle.quiet(world, world.orders(), within_s=60)]
        await shop.look()
        return Trial(
            what=f"{kind}: others took {others_took_s:.1f} s, seen after {seen_after_s:.1f} s",
            effects=len(oracle.books(world, world.orders())),
            violations=[*violations, *await oracle.broken(world)],
        )


async def _seen(world: World, order_id: str, *, since: float) -> Sequence[str]:
    """What the work list says of an order, looked for as the schedule does."""
    asked = "SELECT message FROM orderloom.fallouts WHERE order_id = :o AND state = 'open' AND code <> 'REFUSED'"
    while time.monotonic() - since < SEEN_WITHIN_S:
        await world.shop.look()
        if found := world.shop.rows(asked, o=order_id):
            return [x["message"] for x in found]
        await asyncio.sleep(1)
    return []


async def _replaced(world: World, plants: tuple[str, ...]) -> None:
    """Another worker, with these plants, in the place of the one that is there."""
    former = world.worker
    world.joining = worlds.planted_with(world.joining, plants)
    await world.start(WORKER)
    former.signal(signal.SIGKILL)
    await former.end()
    former.kill()


def wordy() -> Sequence[Try]:
    """What neighbours and people say is too long: nothing of that size reaches Temporal, and no order is stuck."""
    return [partial(_refused_at_length, size=x) for x in SIZES] + [partial(_decided_at_length, size=x) for x in SIZES]


async def _refused_at_length(world: World, size: int) -> Trial:
    world.shop.inventory.switches.set("reserve", Switch(mode=Mode.REFUSE, remaining=1, message="x" * size))
    handle = await world.shop.start(order(WIRELESS))
    await world.shop.fallout(handle.id.removeprefix("order-"))
    return await _judged(world, handle, f"a neighbour refuses in {size:,} bytes")


async def _decided_at_length(world: World, size: int) -> Trial:
    world.shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1))
    handle = await world.shop.start(order(INTERNET))
    fallout = await world.shop.fallout(handle.id.removeprefix("order-"))
    with contextlib.suppress(Declined, RPCError, RPCTimeoutOrCancelledError):
        await Shop.decide(world.shop, fallout, "retry", note="x" * size)
    return await _judged(world, handle, f"a person decides in {size:,} bytes")


async def _judged(world: World, handle: WorkflowHandle[Any, Any], what: str) -> Trial:
    stuck = await oracle.quiet(world, [handle.id.removeprefix("order-")])
    history = await handle.fetch_history()
    largest = max((len(x.data) for event in history.events for x in payloads(event)), default=0)
    violations = [*stuck, *([f"D5: a payload of {largest:,} bytes"] if largest > GUARD else [])]
    return Trial(what=what, violations=[*violations, *await oracle.broken(world)])


def payloads(message: Message) -> Iterator[Payload]:
    """All payloads in a message."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        within: Any = value.values() if isinstance(value, Mapping) else value if field.is_repeated else (value,)
        for x in within:
            if isinstance(x, Message):
                yield from payloads(x)
