"""Somebody wants an order cancelled or otherwise, exactly when it passes a place: every answer is true (R1 to R4)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from temporalio.service import RPCError

from domain.money import Money
from domain.order import FINAL, Action, Order
from tests.builders import changed, without
from tests.faults import oracle
from tests.faults.boundary import Deed, Strike
from tests.faults.crashes import PERSISTENCE, Place
from tests.faults.stories import Story
from tests.faults.trials import Trial, Try, told
from tests.faults.worlds import World
from tests.replay.paths import PATHS
from workflows.start import Declined

HEARD_WITHIN_S = 0.3
"""A run that is between two steps answers at once, and another one later: then what it was asked at goes on first."""
Otherwise = Callable[[Order], Order]


def _as_it_is(now: Order) -> Order:
    """Nothing else: then it is only asked whether a revision may come into force."""
    return now


def _costs(line_id: str) -> Otherwise:
    return lambda now: changed(now, line_id, price=Money(700, "USD"))


def _elsewhere(now: Order) -> Order:
    """Another place to move to."""
    (new,) = (x for x in now.roots if x.action is Action.MOVE_ADD)
    return changed(now, new.id, service_point="SP-3")


OTHERWISE: Mapping[str, Otherwise] = {
    "wireless_bundle": lambda now: without(now, "1.5"),
    "simple_service_bundle": _costs("1"),
    "physical_goods": lambda now: changed(now, "1.2", quantity=2),
    "two_bundles": lambda now: without(now, "2"),
    "passing_fault": _costs("1.1"),
    "slow_network": lambda now: changed(now, "1", quantity=3),
    "suspended": _as_it_is,
    "resumed": _as_it_is,
    "disconnected": _as_it_is,
    "updated": _costs("1.1"),
    "moved": _elsewhere,
    "replaced": _costs("1.1"),
    "promoted": _as_it_is,
    "change_refused_and_retried": _as_it_is,
    "waits_for_its_day": _as_it_is,
}
"""Stories, and how somebody wants the order instead: of every order type and every change of what is installed."""
STORIES: Mapping[str, Story] = {name: lambda world, path=PATHS[name]: path(world.shop) for name in OTHERWISE}  # type: ignore[misc]

Wish = Callable[[World, str, Otherwise], Awaitable[object]]


async def cancel(world: World, order_id: str, _: Otherwise) -> object:
    """Have it cancelled."""
    return await world.shop.cancel(order_id)


async def revise(world: World, order_id: str, desired: Otherwise) -> object:
    """Have it otherwise."""
    return await world.shop.revise(order_id, desired(world.shop.document(order_id)))


async def revise_and_cancel(world: World, order_id: str, desired: Otherwise) -> object:
    """Both at once."""
    return await asyncio.gather(revise(world, order_id, desired), cancel(world, order_id, desired))


async def cancel_and_revise(world: World, order_id: str, desired: Otherwise) -> object:
    """Both at once, the other first."""
    return await asyncio.gather(cancel(world, order_id, desired), revise(world, order_id, desired))


async def revise_twice(world: World, order_id: str, desired: Otherwise) -> object:
    """Otherwise, and then as it was: only the latest is in force."""
    as_it_was = world.shop.document(order_id)
    first = asyncio.create_task(revise(world, order_id, desired))
    await asyncio.sleep(0.02)
    return await asyncio.gather(first, revise(world, order_id, lambda _: as_it_was), return_exceptions=True)


WISHES: Mapping[str, Wish] = {
    "cancelled": cancel,
    "revised": revise,
    "cancelled and revised": cancel_and_revise,
    "revised and cancelled": revise_and_cancel,
    "revised twice": revise_twice,
}


def wished(found: Sequence[Place], wish: str) -> Sequence[Try]:
    """A trial for each place: that is wished when the order is there."""
    return [_wished(x, wish) for x in found]


def _wished(place: Place, wish: str) -> Try:
    async def attempt(world: World) -> Trial:
        for _ in range(PERSISTENCE):
            trial = await _met(world, place, wish)
            if trial.struck or trial.violations:
                return trial
        return replace(trial, violations=[f"N1: {trial.what} was never passed"])

    return attempt


async def _met(world: World, place: Place, wish: str) -> Trial:
    before, worker = len(world.orders()), world.worker
    await worker.arm(Strike(at=place.at, deed=Deed.MEET))
    telling = asyncio.create_task(told(world, STORIES[place.story], before))
    arrival = asyncio.create_task(worker.here(within_s=60))
    await asyncio.wait({telling, arrival}, return_when=asyncio.FIRST_COMPLETED)
    accepted = False
    if arrival.done():
        saying = asyncio.create_task(_said(world, place, wish, before))
        await asyncio.wait({saying}, timeout=HEARD_WITHIN_S)
        worker.go()
        accepted = await saying
    else:
        arrival.cancel()
        await asyncio.wait({arrival})
        await worker.arm(None)
    violations = [*await telling]
    orders = world.orders()[before:]
    violations += [x for order_id in orders for x in _untrue(world, order_id)]
    return Trial(
        what=f"{place.story}, {wish} at {place.at}",
        struck=not arrival.cancelled(),
        effects=len(oracle.books(world, orders)),
        reached=accepted,
        violations=[*violations, *world.shop.broken_promises(), *await oracle.broken(world)],
    )


async def _said(world: World, place: Place, wish: str, before: int) -> bool:
    """Whether it was agreed to."""
    order_id = world.orders()[before:][-1]  # what is changed was ordered before
    try:
        await WISHES[wish](world, order_id, OTHERWISE[place.story])
    except (Declined, AssertionError, RPCError):
        return False
    return True


def _untrue(world: World, order_id: str) -> Sequence[str]:
    """What was said of revisions and is not true: at the end none is waiting, and the last is in force."""
    found = world.shop.rows(
        "SELECT revision, state FROM orderloom.order_revisions WHERE order_id = :o AND revision > 0 ORDER BY revision",
        o=order_id,
    )
    in_force = [x["revision"] for x in found if x["state"] == "active"]
    now = world.shop.one("SELECT revision FROM orderloom.orders WHERE id = :o", o=order_id)
    waiting = [x["revision"] for x in found if x["state"] == "queued"]
    ended = world.shop.state(order_id) in FINAL
    violations = [f"R2: revision {x} of order {order_id} waits for ever" for x in waiting if ended]
    if (in_force[-1] if in_force else 0) != now:
        violations.append(f"R2: order {order_id} is at revision {now}, in force were {in_force}")
    return violations
