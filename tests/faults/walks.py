"""At random, with a seed: orders, decisions, changes of mind, switches and deaths; what was said is kept (R11)."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.service import RPCError

from adapters.switches import Mode, Switch
from domain.order import FINAL, Order
from tests.builders import changed, line, order, without
from tests.faults import oracle
from tests.faults.trials import Trial, Try
from tests.faults.worlds import WORKER, World
from tests.workflows.catalog import INTERNET, WIRELESS
from workflows.start import Declined

STEPS = 30
WANTED = (
    order(WIRELESS),
    order(INTERNET),
    order(line("WIRELESS", line("RATE"), line("PHONE"))),
    order(INTERNET, WIRELESS),
)
OPERATIONS = (
    ("inventory", "reserve"), ("provisioning", "activate"), ("billing", "initiate"), ("billing", "fulfill"),
    ("billing", "void_initiated"), ("inventory", "release"), ("inventory", "commit"),
)  # fmt: skip
MODES = (Mode.REFUSE, Mode.FAIL_BEFORE, Mode.FAIL_AFTER, Mode.LOSE_ANSWER)
UNDOING = frozenset({"void_initiated", "release"})
"""What takes back is not refused: there is no refusing an undo."""
DECISIONS = ("retry", "abort", "skip")


@dataclass
class Walk:
    """One sequence of deeds in a world; what was answered is kept by the orderer, and looked at in the end."""

    world: World
    dice: random.Random
    orders: list[str] = field(default_factory=list)
    said: list[asyncio.Task[Any]] = field(default_factory=list)
    kills: int = 0

    async def step(self) -> None:
        """One deed, chosen by the dice."""
        deeds: Sequence[tuple[int, Callable[[], Awaitable[None]]]] = (
            (6, self.order), (3, self.cancel), (4, self.revise), (5, self.decide), (5, self.switch), (2, self.mend),
            (2, self.kill), (4, self.wait),
        )  # fmt: skip
        weights = [x for x, _ in deeds]
        (deed,) = self.dice.choices([x for _, x in deeds], weights=weights)
        await deed()

    async def order(self) -> None:
        """Somebody orders something."""
        handle = await self.world.shop.start(self.dice.choice(WANTED))
        self.orders.append(handle.id.removeprefix("order-"))

    async def cancel(self) -> None:
        """Somebody calls an order off; the answer may take a while."""
        if self.orders:
            self._say(self.world.shop.cancel(self.dice.choice(self.orders), force=self.dice.random() < 0.3))

    async def revise(self) -> None:
        """Somebody wants an order otherwise."""
        if self.orders:
            id_ = self.dice.choice(self.orders)
            self._say(self.world.shop.revise(id_, self._otherwise(self.world.shop.document(id_))))

    def _otherwise(self, now: Order) -> Order:
        some = self.dice.choice(now.lines)
        dropped = some.parent is not None and self.dice.random() < 0.4
        return without(now, some.id) if dropped else changed(now, some.id, quantity=self.dice.randint(1, 3))

    async def decide(self) -> None:
        """Somebody decides about what is on the work list."""
        if found := self.world.shop.rows("SELECT * FROM orderloom.fallouts WHERE state = 'open' AND step IS NOT NULL"):
            self._say(self.world.shop.decide(self.dice.choice(found), self.dice.choice(DECISIONS)))

    async def switch(self) -> None:
        """A neighbour misbehaves for a call or two."""
        system, operation = self.dice.choice(OPERATIONS)
        mode = self.dice.choice(MODES[1:] if operation in UNDOING else MODES)
        getattr(self.world.shop, system).switches.set(operation, Switch(mode=mode, remaining=self.dice.randint(1, 3)))

    async def mend(self) -> None:
        """All neighbours behave again."""
        self.world.shop.heal()

    async def kill(self) -> None:
        """The worker dies, and another one begins."""
        self.world.worker.kill()
        self.kills += 1
        await self.world.start(WORKER)

    async def wait(self) -> None:
        """Nothing happens for a moment."""
        await asyncio.sleep(self.dice.random() * 0.3)

    def _say(self, saying: Awaitable[object]) -> None:
        self.said.append(asyncio.ensure_future(_quietly(saying)))


async def _quietly(saying: Awaitable[object]) -> None:
    try:
        await saying
    except (Declined, RPCError, AssertionError, ValueError):
        return  # no is an answer


def walks(seed: int, count: int) -> Sequence[Try]:
    """So many sequences, each with a seed of its own."""
    return [_walk(seed * 10_000 + x) for x in range(count)]


def _walk(seed: int) -> Try:
    async def attempt(world: World) -> Trial:
        walk = Walk(world=world, dice=random.Random(seed))  # noqa: S311 - no secret
        for _ in range(STEPS):
            await walk.step()
        world.shop.heal()
        stuck = await oracle.quiet(world, walk.orders, within_s=60)
        await asyncio.wait_for(asyncio.gather(*walk.said), 30)
        open_ = [x for x in walk.orders if world.shop.state(x) not in FINAL]
        waiting = world.shop.one("SELECT count(*) FROM orderloom.order_revisions WHERE state IN ('queued', 'accepted')")
        violations = [*stuck, *(f"P3: {x} is open" for x in open_), *world.shop.broken_promises()]
        violations += [f"R11: {waiting} revisions wait for ever"] if waiting else []
        return Trial(
            what=f"walk {seed}",
            kills=walk.kills,
            effects=len(oracle.books(world, walk.orders)),
            violations=[*violations, *await oracle.broken(world)],
        )

    return attempt
