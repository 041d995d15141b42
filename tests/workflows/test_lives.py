"""Whatever is asked of what is installed, on whatever day, and whatever fails: the lawful happens, and nothing else."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from adapters.switches import Mode, Switch, Switches
from domain.asset import AssetStatus
from domain.order import FINAL, Action, Order, State
from models import submissions
from tests.builders import ACCOUNTS, Line, line, order, raw, simple_bundle
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, PRODUCTS, WIRELESS
from workflows.messages import workflow_id
from workflows.start import Declined

ACTIVE, SUSPENDED, INACTIVE = AssetStatus.ACTIVE, AssetStatus.SUSPENDED, AssetStatus.INACTIVE
UPDATE, SUSPEND, RESUME, DELETE, MOVE = Action.UPDATE, Action.SUSPEND, Action.RESUME, Action.DELETE, Action.MOVE_DELETE
REPLACE = Action.ADD
"""A new service of the same kind takes the place of the old one."""
LAWFUL = {
    ACTIVE: {UPDATE, SUSPEND, DELETE, MOVE, REPLACE},
    SUSPENDED: {RESUME, DELETE, REPLACE},
    INACTIVE: frozenset[Action](),
}
AFTER = {UPDATE: ACTIVE, SUSPEND: SUSPENDED, RESUME: ACTIVE, DELETE: INACTIVE, MOVE: INACTIVE, REPLACE: INACTIVE}
SWITCHED = {"INTERNET": (line("BROADBAND"), "SSB_SWITCH"), "WIRELESS": (line("OFFICE"), "ASSET_STATE")}
"""What a service cannot become, and the rule that says so."""
ON_THE_NETWORK = {ACTIVE: "active", SUSPENDED: "suspended", INACTIVE: "inactive"}
IN_BILLING = {ACTIVE: "active", SUSPENDED: "suspended", INACTIVE: "closed"}
STEPS = 14
SEEDS = range(1, 1 + int(os.environ.get("ORDERLOOM_LIVES", "2")))
"""Each is another walk: more of them with ``ORDERLOOM_LIVES=100 pytest tests/workflows/test_lives.py``."""
FAULTS: Mapping[Action, Mapping[str, str]] = {
    UPDATE: {"modify": "provisioning", "query": "provisioning"},
    SUSPEND: {"suspend": "provisioning", "query": "billing"},
    RESUME: {"resume": "billing", "query": "provisioning"},
    DELETE: {"deactivate": "provisioning", "terminate": "billing", "retire": "inventory"},
    MOVE: {"activate": "provisioning", "deactivate": "provisioning", "repoint": "billing"},
    REPLACE: {"initiate": "billing", "activate": "provisioning", "terminate": "billing"},
}
"""What may go wrong with a change, and where."""
SOLD = {"WIRELESS": WIRELESS, "INTERNET": INTERNET}
BEGINS = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
"""Orders arrive by the real clock: theirs must not be ahead of it."""


@dataclass
class Life:
    """What a test believes of one root asset: the reference to hold the house against."""

    id: str
    kind: str
    status: AssetStatus = ACTIVE
    colour: str | None = None
    at: str | None = None

    def ask(self, action: Action, colour: str, place: str) -> list[Line]:
        """The lines that ask for an action."""
        if action is UPDATE:
            return [line("", asset=self.id, action=UPDATE, changes=("attributes",), attributes={"colour": colour})]
        if action is MOVE:
            new = line("", action=Action.MOVE_ADD, related_line="1", changes=("service_point",), service_point=place)
            return [line("", asset=self.id, action=MOVE), new]
        if action is REPLACE:
            return [
                line("", asset=self.id, action=DELETE),
                replace(SOLD[self.kind], fields=ACCOUNTS | {"replaces": self.id}),
            ]
        return [line("", asset=self.id, action=action)]


class Walk:
    """One customer, and what becomes of what the customer has."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop, self.random, self.lives = shop, Random(seed), list[Life]()  # noqa: S311 - chosen anew by each seed
        self.now, self.told = BEGINS, list[str]()
        self.switches: Mapping[str, Switches] = {
            "inventory": shop.inventory.switches,
            "provisioning": shop.provisioning.switches,
            "billing": shop.billing.switches,
        }

    async def run(self) -> None:
        """Buy something, then ask for this and that."""
        for asked in (SOLD["WIRELESS"], SOLD["INTERNET"], SOLD["INTERNET"]):
            self._later()
            asset = self.shop.asset(await self.shop.fulfil(order(asked)))
            self.lives.append(Life(id=asset["id"], kind=asked.product))
        for _ in range(STEPS):
            self._later()
            live = [x for x in self.lives if x.status is not INACTIVE]
            await self._step(self.random.choice(live if live and self.random.random() < 0.85 else self.lives))
            self._agrees()

    def _later(self) -> None:
        self.now += timedelta(days=self.random.randrange(40), minutes=self.random.randrange(1, 600))
        self.shop.clock.set(f"{self.now:%Y-%m-%d %H:%M}")

    async def _step(self, life: Life) -> None:
        lawful = self.random.random() < 0.75 and LAWFUL[life.status]
        if not lawful and self.random.random() < 0.2:
            other, code = SWITCHED[life.kind]
            self._is_refused(raw(replace(other, fields={"asset": life.id, "action": UPDATE})), code)
            return
        chosen = self.random.choice(sorted(lawful or AFTER))
        colour, place = self.random.choice(("red", "green", "blue")), f"SP-{self.random.randrange(1000)}"
        if chosen is UPDATE and colour == life.colour:
            return  # an update that changes nothing is no update
        asked = raw(*life.ask(chosen, colour, place))
        self.told.append(f"{self.now:%m-%d} {chosen} {life.kind} {life.id[:8]} {life.status}")
        if chosen not in LAWFUL[life.status]:
            self._is_refused(asked, "ASSET_STATE")
            return
        stored = self.shop.change(asked)
        then = self._what_follows(life, AFTER[chosen])
        if await self._carried_out(stored, chosen, before=then):
            self._becomes(life, chosen, colour, place, stored)
            if then is not None:
                await self._ends(then)
                life.status = AFTER[then.order.lines[0].action]

    def _what_follows(self, life: Life, status: AssetStatus) -> submissions.Submitted | None:
        """Perhaps another change of the same asset, ordered before the first one is carried out: it has to wait."""
        lawful = LAWFUL[status] - {UPDATE, MOVE, REPLACE}
        if not lawful or self.random.random() < 0.7:
            return None
        chosen = self.random.choice(sorted(lawful))
        self.told[-1] += f", then {chosen}"
        return self.shop.change(raw(*life.ask(chosen, "", "")))

    def _is_refused(self, asked: Order, code: str) -> None:
        """Nothing is stored, and the rule is named."""
        before = self._count()
        with pytest.raises(AssertionError, match=code):
            self.shop.change(asked)
        assert self._count() == before

    def _count(self) -> Any:  # noqa: ANN401
        return self.shop.one("SELECT count(*) FROM orderloom.orders")

    async def _carried_out(
        self, stored: submissions.Submitted, action: Action, *, before: submissions.Submitted | None
    ) -> bool:
        """Have it carried out, with something in the way and perhaps a change of mind; whether it came to be."""
        self._misbehave(action)
        if before is not None:
            await self.shop.run(before)
        await self.shop.run(stored)
        if before is None and self.random.random() < 0.25:
            await asyncio.sleep(self.random.random() * 0.3)
            with suppress(Declined):
                await self.shop.cancel(stored.id)
        state = await self._ends(stored)
        for switches in self.switches.values():
            switches.clear()
        assert state == "completed" or (state == "cancelled" and before is None), self.told
        return state == "completed"

    async def _ends(self, stored: submissions.Submitted) -> str:
        """The state in which an order comes to its end, with whatever decisions that takes."""
        handle = self.shop.client.get_workflow_handle(workflow_id(stored.id))
        ended = asyncio.ensure_future(handle.result())
        async with asyncio.timeout(60):
            while not ended.done():
                await self._decide(stored.id)
                await asyncio.wait([ended], timeout=0.1)
        state = self.shop.state(stored.id)
        self.told[-1] += f" -> {state}"
        assert State(state) in FINAL, self.told
        return state

    def _misbehave(self, action: Action) -> None:
        operation, name = self.random.choice(sorted(FAULTS[action].items()))
        mode = self.random.choice((Mode.FAIL_BEFORE, Mode.FAIL_AFTER, Mode.LOSE_ANSWER, Mode.REFUSE))
        if operation == "query":
            mode = Mode.FAIL_BEFORE
        self.switches[name].set(operation, Switch(mode=mode, remaining=self.random.randrange(1, 3)))
        self.told[-1] += f" [{operation} {mode}]"

    async def _decide(self, order_id: str) -> None:
        """A person has what was refused tried again."""
        for x in self.shop.rows("SELECT * FROM orderloom.fallouts WHERE order_id = :o AND state = 'open'", o=order_id):
            if x["step"] and ":" in x["step"]:
                with suppress(Declined):
                    await self.shop.decide(x, "retry")

    def _becomes(self, life: Life, action: Action, colour: str, place: str, stored: submissions.Submitted) -> None:
        life.status = AFTER[action]
        if action is UPDATE:
            life.colour = colour
        if action is MOVE:
            new = self.shop.asset(stored.id, "2")
            moved = Life(id=new["id"], kind=life.kind, colour=life.colour, at=place)
            self.lives.append(moved)
        if action is REPLACE:
            self.lives.append(Life(id=self.shop.asset(stored.id, "2")["id"], kind=life.kind))

    def _agrees(self) -> None:
        """Our rows, the network and billing say what the reference says."""
        for life in self.lives:
            asset = self.shop.rows("SELECT * FROM orderloom.assets WHERE id = :a", a=life.id)[0]
            assert asset["status"] == life.status, self.told
            assert asset["attributes"].get("colour") == life.colour, self.told
            if life.at:
                assert asset["service_point"] == life.at, self.told
        live = {x.id: x.status for x in self.lives if x.status is not INACTIVE}
        assert self._billed() == {x: IN_BILLING[status] for x, status in live.items()}, self.told
        running = self._running()
        assert {x: running.get(x) for x in live} == {x: ON_THE_NETWORK[y] for x, y in live.items()}, self.told

    def _billed(self) -> dict[str, str]:
        """The service instances that are not closed, by the root asset they are known by."""
        rows = self.shop.rows("""
            SELECT CAST(r.asset AS text) AS asset, i.status
              FROM orderloom.cross_references AS r JOIN billing.service_instances AS i ON i.id = r.billing_id
             WHERE r.valid_to IS NULL AND i.status <> 'closed'
               AND r.asset IN (SELECT id FROM orderloom.assets WHERE parent IS NULL)
        """)
        return {x["asset"]: x["status"] for x in rows}

    def _running(self) -> dict[str, str]:
        rows = self.shop.rows("SELECT service, suspended_at IS NOT NULL AS rests FROM provisioning.services"
                              " WHERE until IS NULL")  # fmt: skip
        return {str(x["service"]): "suspended" if x["rests"] else "active" for x in rows}


@pytest.mark.req("A19", "A20", "B43", "B50", "B51", "B69", "C23")
@pytest.mark.parametrize("seed", SEEDS)
async def test_lives_of_services(shop: Shop, seed: int):
    shop.numbers("MSISDN", *(f"+1-555-02{n:02}" for n in range(40)))
    shop.publish(*PRODUCTS, simple_bundle("BROADBAND"))
    walk = Walk(shop, seed)
    await walk.run()
    await shop.is_sound()
