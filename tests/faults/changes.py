"""Somebody wants an order cancelled or otherwise, exactly when it passes a place: every answer is true (R1 to R4)."""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from domain.money import Money
from domain.order import FINAL, Action, Order
from tests.builders import changed, without
from tests.faults import oracle
from tests.faults.boundary import Deed, Place, Strike
from tests.faults.crashes import PERSISTENCE
from tests.faults.haste import LONG
from tests.faults.stories import ORDER_TYPES, Story
from tests.faults.trials import Trial, Try, told
from tests.faults.worlds import World
from workflows.start import Declined

HEARD_WITHIN_S = 2.4
"""A run takes no message while it attempts something quickly, unless that takes most of a workflow task's time: whoever
is not answered after so long is answered when what the run was asked at has gone on.
"""
SLOTS = 20
"""Most of the time somebody waits for an answer."""
DECIDING_S = 0.3
"""In the middle of its own code a run hears nothing, however long it waits."""
IN_THESE: Mapping[str, object] = {"patience": LONG}
"""How the worlds of these trials are joined: nobody gives an attempt up because it waits for what is said."""
Otherwise = Callable[[Order], Order]


def _costs(line_id: str) -> Otherwise:
    return lambda now: changed(now, line_id, price=Money(700, "USD"))


def _due_today(now: Order) -> Order:
    """Due today, and not whenever: nothing waits for that, and whoever was told is told anew."""
    return changed(now, now.roots[0].id, due_date=datetime.now(UTC).date())


def _elsewhere(now: Order) -> Order:
    """Another place to move to."""
    (new,) = (x for x in now.roots if x.action is Action.MOVE_ADD)
    return changed(now, new.id, service_point="SP-3")


def _promoted_for_less(now: Order) -> Order:
    (new,) = (x for x in now.lines if x.action is Action.ADD)
    return changed(now, new.id, price=Money(700, "USD"))


OTHERWISE: Mapping[str, Otherwise] = {
    "wireless_bundle": lambda now: without(now, "1.5"),
    "simple_service_bundle": _costs("1"),
    "physical_goods": lambda now: changed(now, "1.2", quantity=2),
    "two_bundles": lambda now: without(now, "2"),
    "passing_fault": _costs("1.1"),
    "passing_fault_in_billing": _costs("1"),
    "slow_network": lambda now: changed(now, "1", quantity=3),
    "suspended": _due_today,
    "resumed": _due_today,
    "disconnected": _due_today,
    "updated": _costs("1.1"),
    "moved": _elsewhere,
    "replaced": _costs("1.1"),
    "promoted": _promoted_for_less,
    "change_refused_and_retried": _due_today,
    "waits_for_its_day": lambda now: without(now, "2") if "2" in now.by_id else _costs("1")(now),
}
"""Stories, and how somebody wants the order instead: of every order type and every change of what is installed."""
CANCEL, REVISE, AGAIN, REST, GO_ON = "cancel", "revise", "revise again", "rest", "go on"
TOO_LATE = {
    *itertools.product(
        ("slow_network", "physical_goods", "suspended", "resumed", "disconnected", "promoted"), (CANCEL, REVISE)
    ),
    ("two_bundles", CANCEL),
}
"""It is too late for this where a story is on its own: until something is sent that is not taken back it is as others
are; a change that is due is sent as soon as it is found to be right, and so is one of two bundles.
"""
STORIES: Mapping[str, Story] = {name: ORDER_TYPES[name] for name in OTHERWISE}


async def _cancel(world: World, order_id: str, _: Otherwise) -> None:
    await world.shop.cancel(order_id)


async def _revise(world: World, order_id: str, desired: Otherwise) -> None:
    await world.shop.revise(order_id, desired(world.shop.document(order_id)))


_SAY: Mapping[str, Callable[[World, str, Otherwise], Awaitable[None]]] = {
    CANCEL: _cancel, REVISE: _revise, AGAIN: _revise,
}  # fmt: skip
Said = Sequence[str]
"""What is said one after the other; ``GO_ON`` is what lets the worker go on meanwhile, which may end the order."""
IN_ANY_ORDER: Sequence[Said] = [*itertools.permutations((CANCEL, REVISE, GO_ON))]
"""Who is first: whoever cancels, whoever revises, or who completes it (R3)."""


def wished(found: Sequence[Place], said: Said) -> Sequence[Try]:
    """A trial for each place: that is said when the order is there."""
    return [_wished(x, said) for x in found]


def _wished(place: Place, said: Said) -> Try:
    async def attempt(world: World) -> Trial:
        for _ in range(PERSISTENCE):
            trial = await _met(world, place, said)
            if trial.struck or trial.violations:
                return trial
        return trial

    return attempt


async def _met(world: World, place: Place, said: Said) -> Trial:
    before, worker = len(world.orders()), world.worker
    await worker.arm(Strike(at=place.at, deed=Deed.MEET))
    telling = asyncio.create_task(told(world, STORIES[place.story], before))
    arrival = asyncio.create_task(worker.here(within_s=60))
    await asyncio.wait({telling, arrival}, return_when=asyncio.FIRST_COMPLETED)
    answers: Mapping[str, bool] = {}
    try:
        if arrival.done():
            order_id = world.orders()[before:][-1]  # what is changed was ordered before
            answers = await _said(world, place, said, order_id)
        else:
            arrival.cancel()
            await asyncio.wait({arrival})
            await worker.arm(None)
        violations = [*await telling]
    finally:
        telling.cancel()
    orders = world.orders()[before:]
    violations += [x for order_id in orders for x in _untrue(world, order_id)]
    return Trial(
        what=f"{place.story}: {', '.join(said)} at {place.at}",
        place=place,
        struck=not arrival.cancelled(),
        effects=len(oracle.books(world, orders)),
        answers=answers,
        violations=[*violations, *world.shop.broken_promises(), *await oracle.broken(world)],
    )


async def _said(world: World, place: Place, said: Said, order_id: str) -> Mapping[str, bool]:
    """Say it; to what it was agreed."""
    saying: dict[str, asyncio.Task[bool]] = {}
    within_s = DECIDING_S if place.at.within == "workflow" else HEARD_WITHIN_S
    wanted = dict.fromkeys(_SAY, OTHERWISE[place.story]) | {AGAIN: lambda now: replace(now, priority=2)}
    for word in said:
        if word == GO_ON:
            world.worker.go()
        elif word == REST:
            await asyncio.sleep(within_s)
        else:
            saying[word] = asyncio.create_task(
                _agreed(_SAY[word](world, order_id, wanted.get(word, OTHERWISE[place.story])))
            )
            await asyncio.wait({saying[word]}, timeout=within_s)
    return {word: await answer for word, answer in saying.items()}


async def _agreed(saying: Awaitable[None]) -> bool:
    try:
        await saying
    except Declined:
        return False
    return True


def one_sided(trials: Sequence[Trial], *, among: Callable[[Trial], str]) -> Sequence[str]:
    """Where a wish was agreed to each time, or never: of both answers, one was not tried (N3)."""
    heard: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    for x in trials:
        for word, agreed in x.answers.items():
            heard[among(x), word][agreed] += 1
    return [
        f"N3: {where}: {word} was answered {sum(answers.values())} times, and never {'no' if answers[True] else 'yes'}"
        for (where, word), answers in heard.items()
        if len(answers) < len((True, False)) and not ((where, word) in TOO_LATE and answers[False])
    ]


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
