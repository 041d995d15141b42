"""Whatever is asked of what is installed, on whatever day, and whatever fails: the lawful happens, and nothing else."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from activities.messages import EndingsSeen
from adapters.switches import Mode, Switch, Switches
from domain.order import FINAL, Action, Order, State, asset_id
from models import submissions
from models.submissions import Submitted
from tests.builders import ACCOUNTS, line, order, raw, simple_bundle
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, PRODUCTS, WIRELESS
from tests.workflows.lives import (
    ACTIVE,
    ENDS,
    INACTIVE,
    JOINS,
    PURCHASED,
    SERVICES,
    SUSPENDED,
    TAKES,
    Deed,
    Installed,
    Node,
    Wish,
)
from workflows.messages import workflow_id
from workflows.start import Declined

SOLD = {"WIRELESS": WIRELESS, "INTERNET": INTERNET}
SWITCHED = {"INTERNET": (line("BROADBAND"), "SSB_SWITCH"), "WIRELESS": (line("OFFICE"), "ASSET_STATE")}
"""What a service cannot become, and the rule that says so."""
ACTIONS = {
    Deed.SUSPEND: Action.SUSPEND, Deed.RESUME: Action.RESUME, Deed.DELETE: Action.DELETE, Deed.REPLACE: Action.DELETE,
    Deed.MOVE: Action.MOVE_DELETE,
}  # fmt: skip
REFUSALS = ("ASSET_STATE", "OPEN_DELETE", "STRUCTURE")
RUNS = {ACTIVE: "active", SUSPENDED: "suspended"}
TODAY_STEPS, STEPS = 8, 8
TODAY = datetime.now(UTC).date()
SEEDS = range(1, 1 + int(os.environ.get("ORDERLOOM_LIVES", "2")))
"""Each is another walk: more of them with ``ORDERLOOM_LIVES=100 pytest tests/workflows/test_lives.py``."""
FAULTS: Mapping[Deed, Mapping[str, str]] = {
    Deed.UPDATE: {"modify": "provisioning", "query": "provisioning"},
    Deed.SUSPEND: {"suspend": "provisioning", "query": "billing"},
    Deed.RESUME: {"resume": "billing", "query": "provisioning"},
    Deed.DELETE: {"deactivate": "provisioning", "terminate": "billing", "retire": "inventory"},
    Deed.MOVE: {"activate": "provisioning", "deactivate": "provisioning", "repoint": "billing"},
    Deed.REPLACE: {"initiate": "billing", "activate": "provisioning", "terminate": "billing"},
    Deed.JOIN: {"purchase": "billing", "query": "billing"},
    Deed.END: {"query": "billing"},
}
"""What may go wrong with a change, and where."""


class Walk:
    """One customer, and what becomes of what the customer has.

    The first part of it is today: orders that are due at different moments wait for them, and what is to end ends. In
    the second one days go by: the network's clock is ahead of that of the runs, which say from when something is billed
    that is not on the network: there only services are changed.
    """

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop, self.random, self.told = shop, Random(seed), list[str]()  # noqa: S311 - chosen anew by each seed
        self.has, self.now = Installed(), datetime.now(UTC)
        self.switches: Mapping[str, Switches] = {
            "inventory": shop.inventory.switches,
            "provisioning": shop.provisioning.switches,
            "billing": shop.billing.switches,
        }

    async def run(self) -> None:
        """Buy something, then ask for this and that."""
        for asked in (WIRELESS, INTERNET, WIRELESS):
            await self._has_now(await self.shop.fulfil(order(asked)))
        for _ in range(TODAY_STEPS):
            await self.random.choice((self._one, self._several, self._several, self._put_off, self._ends_by_itself))()
            await self._agrees()
        await self._ends_by_itself()
        await self._agrees()
        self.now = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
        for _ in range(STEPS):
            self.now += timedelta(days=self.random.randrange(40), minutes=self.random.randrange(1, 600))
            self.shop.clock.set(f"{self.now:%Y-%m-%d %H:%M}")
            await self.random.choice((self._one, self._one, self._put_off, self._unlawful))()
            await self._agrees()

    async def _has_now(self, order_id: str) -> None:
        rows = self.shop.rows("SELECT * FROM orderloom.assets WHERE created_by_order = :o", o=order_id)
        for x in rows:
            parent = str(x["parent"]) if x["parent"] else None
            self.has.nodes[str(x["id"])] = Node(str(x["id"]), x["product"], parent=parent)

    # ── what is asked ──

    def _wish(self, has: Installed, *, of: str | None = None) -> Wish:
        """Something that may be asked, of whatever there is: mostly what is lawful."""
        some = [x for x in has.nodes.values() if x.product in SERVICES or self.now.date() <= TODAY]
        live = [x for x in some if x.status is not INACTIVE and (of is None or has.root(x.id) == of)]
        pool = live if live and self.random.random() < 0.9 else some
        roots = [x for x in pool if x.parent is None]
        node = self.random.choice(roots if roots and self.random.random() < 0.5 else pool)
        deeds = [x for x in Deed if self._is_possible(x, node)]
        of_wholes = () if node.parent is None else (Deed.MOVE, Deed.REPLACE)
        lawful = [x for x in deeds if node.status in TAKES[x] and x not in of_wholes]
        deed = self.random.choice(lawful if lawful and self.random.random() < 0.85 else deeds)
        if node.parent is not None and deed is Deed.REPLACE:
            deed = Deed.DELETE
        return Wish(deed, node.id, self._said(deed, node), reach=has.reach(deed, node.id))

    def _is_possible(self, deed: Deed, node: Node) -> bool:
        if deed in (Deed.JOIN, Deed.END) and self.now.date() > TODAY:
            return False
        return deed is not Deed.JOIN or node.product in JOINS

    def _said(self, deed: Deed, node: Node) -> str:
        if deed is Deed.JOIN:
            return self.random.choice(JOINS[node.product])
        if deed is Deed.UPDATE:
            return self.random.choice(("red", "green", "blue"))
        return f"SP-{self.random.randrange(1000)}"

    def _document(self, wish: Wish, **header: Any) -> Order:  # noqa: ANN401
        about: dict[str, Any] = {"asset": wish.of, **({"due_date": header.pop("day")} if "day" in header else {})}
        match wish.deed:
            case Deed.UPDATE:
                changes: dict[str, Any] = {"changes": ("attributes",), "attributes": {"colour": wish.said}}
                lines = [line("", action=Action.UPDATE, **about, **changes)]
            case Deed.END:
                changes = {"changes": ("service_end",), "service_end": datetime.now(UTC).date()}
                lines = [line("", action=Action.UPDATE, **about, **changes)]
            case Deed.JOIN:
                lines = [line("", line(wish.said), action=Action.NONE, **about)]
            case Deed.MOVE:
                there = {"changes": ("service_point",), "service_point": wish.said}
                to = line("", action=Action.MOVE_ADD, related_line="1", **there)
                lines = [line("", action=Action.MOVE_DELETE, **about), to]
            case Deed.REPLACE:
                sold = SOLD[self.has.nodes[wish.of].product]
                new = replace(sold, fields=ACCOUNTS | {"replaces": wish.of})
                lines = [line("", action=Action.DELETE, **about), new]
            case _:
                lines = [line("", action=ACTIONS[wish.deed], **about)]
        return raw(*lines, **header)

    def _told(self, wish: Wish, what: str = "") -> None:
        node = self.has.nodes[wish.of]
        due = f" in {wish.due:.1f} s" if wish.due else ""
        of = f"{node.product} {node.id[:8]} {node.status}"
        self.told.append(f"{self.now:%m-%d} {wish.deed} {of} {wish.said}{due}{what}")

    # ── one order ──

    async def _one(self) -> None:
        """One order, with something in the way and perhaps a change of mind."""
        wish = self._wish(self.has)
        self._told(wish)
        document = self._document(wish)
        if not self.has.takes(wish):
            self._is_refused(document)
            return
        stored = self.shop.change(document)
        mode = self._misbehave(wish.deed)
        await self.shop.run(stored)
        if mode is not Mode.REFUSE and self.random.random() < 0.25:  # there is no refusing what takes back
            await asyncio.sleep(self.random.random() * 0.3)
            with suppress(Declined):
                await self.shop.cancel(stored.id)
        state = await self._end(stored)
        self._mend()
        assert state in ("completed", "cancelled")
        if state == "completed":
            await self._becomes(wish, stored)

    def _is_refused(self, asked: Order, *codes: str) -> None:
        """Nothing is stored, and the rule is named."""
        before = self._count()
        with pytest.raises(AssertionError, match="|".join(codes or REFUSALS)):
            self.shop.change(asked)
        assert self._count() == before

    def _count(self) -> Any:  # noqa: ANN401
        return self.shop.one("SELECT count(*) FROM orderloom.orders")

    async def _unlawful(self) -> None:
        """A service is to become another one."""
        node = self.random.choice([x for x in self.has.nodes.values() if x.product in SWITCHED])
        other, code = SWITCHED[node.product]
        asked = raw(replace(other, fields={"asset": node.id, "action": Action.UPDATE}))
        self._is_refused(asked, code)

    # ── several orders ──

    async def _several(self) -> None:
        """Orders about one service that are due at different moments: what is due first goes first."""
        root = self.random.choice([x.id for x in self.has.nodes.values() if x.parent is None])
        open_ = dict[int, tuple[Wish, Submitted]]()
        moments = self.random.sample((0.0, 1.5, 3.0, 3.0), k=3)
        began = datetime.now(UTC)
        for moment in moments:
            will = self.has.copy()
            for earlier, _ in sorted(open_.values(), key=lambda x: x[0].turn):
                if earlier.due <= moment:
                    will.becomes(earlier)
            wish = replace(self._wish(will, of=root), due=moment)
            start = {"requested_start": began + timedelta(seconds=moment)} if moment else {}
            self._told(wish)
            lawful = will.takes(wish) and not self._is_being_ended(wish, [x for x, _ in open_.values()])
            if not lawful:
                self._is_refused(self._document(wish, **start))
                continue
            stored = self.shop.change(self._document(wish, **start))
            joined = asset_id(stored.id, stored.order.by_id["1.1"]) if wish.deed is Deed.JOIN else ""
            open_[stored.number] = replace(wish, number=stored.number, joins=joined), stored
        if self.random.random() < 0.5:
            self._misbehave(self.random.choice([*FAULTS]))
        for _, stored in self.random.sample([*open_.values()], k=len(open_)):
            await self.shop.run(stored)
        for wish, stored in sorted(open_.values(), key=lambda x: x[0].turn):
            lawful = self.has.takes_still(wish)
            assert await self._end(stored) in (("completed",) if lawful else ("failed", "rejected")), wish
            if lawful:
                await self._becomes(wish, stored)
        self._mend()

    def _is_being_ended(self, wish: Wish, others: list[Wish]) -> bool:
        """Whether an order that came before disconnects or moves the asset, or what it is part of (A20).

        Or a part of it: what is to be disconnected later rests with the rest, but does not move or end with it.
        """
        whole = {wish.of} if wish.deed not in ENDS else {*wish.reach}
        whole |= {x.id for x in self.has.above(wish.of)} if wish.of in self.has.nodes else set()
        return any(x.deed in ENDS and not whole.isdisjoint(x.reach) for x in others)

    async def _put_off(self) -> None:
        """An order for another day, another order that goes first, and then the first one today after all."""
        wish = self._wish(self.has)
        if not self.has.takes(wish) or wish.deed in (Deed.END, Deed.JOIN):
            return
        self._told(wish, " next year")
        stored = self.shop.change(self._document(wish, day=(self.now + timedelta(days=400)).date()))
        await self.shop.run(stored)
        await self.shop.until(lambda: self.shop.state(stored.id) == "pending")
        between = self._wish(self.has, of=self.has.root(wish.of))
        if self.has.takes(between) and not self._is_being_ended(between, [wish]):
            self._told(between, " before it")
            other = self.shop.change(self._document(between))
            await self.shop.run(other)
            assert await self._end(other) == "completed"
            await self._becomes(between, other)
        today = replace(wish, reach=self.has.reach(wish.deed, wish.of))
        desired = self._document(today, day=datetime.now(UTC).date())
        if not self.has.takes(today):
            with pytest.raises(AssertionError, match="|".join(REFUSALS)):
                self.shop.store_revision(stored.id, desired)
            await self.shop.cancel(stored.id)
            assert await self._end(stored) == "cancelled"
            return
        await self.shop.revise(stored.id, desired)
        self.told[-1] += ", after all today"
        assert await self._end(stored) == "completed"
        await self._becomes(today, stored)

    async def _ends_by_itself(self) -> None:
        """What has reached its end is disconnected by an order of the house's own."""
        self.told.append(f"{self.now:%m-%d} the end of {self.has.ending()}")
        seen: EndingsSeen = await self.shop.client.execute_workflow(
            "ServiceEnds", id=f"ends-{uuid4()}", task_queue=self.shop.task_queue, result_type=EndingsSeen
        )
        ending = self.has.ending()
        assert (seen.refused, seen.ended) == (0, len({self.has.root(x) for x in ending}))
        for x in self.shop.rows("SELECT CAST(id AS text) AS id FROM orderloom.orders WHERE state = 'acknowledged'"):
            stored = submissions.submitted(self.shop.engine, x["id"])
            await self.shop.run(stored)
            assert await self._end(stored) == "completed"
        for of in ending:
            self.has.becomes(Wish(Deed.DELETE, of, "", reach=self.has.reach(Deed.DELETE, of)))

    # ── what becomes of it ──

    async def _end(self, stored: Submitted) -> str:
        """The state in which an order comes to its end, with whatever decisions that takes."""
        handle = self.shop.client.get_workflow_handle(workflow_id(stored.id))
        ended = asyncio.ensure_future(handle.result())
        for _ in range(300):
            await self._decide(stored.id)
            if (await asyncio.wait([ended], timeout=0.1))[0]:
                break
        state = self.shop.state(stored.id)
        self.told[-1] += f" -> {state}"
        assert State(state) in FINAL, self._at(stored)
        return state

    def _at(self, stored: Submitted) -> object:
        """What an order is at that does not come to its end."""
        fallouts = "SELECT DISTINCT step, code, message FROM orderloom.fallouts WHERE order_id = :o"
        reason = self.shop.one("SELECT reason FROM orderloom.orders WHERE id = :o", o=stored.id)
        return reason, self.shop.steps(stored.id), self.shop.rows(fallouts, o=stored.id)

    def _misbehave(self, deed: Deed) -> Mode:
        operation, name = self.random.choice(sorted(FAULTS[deed].items()))
        mode = self.random.choice((Mode.FAIL_BEFORE, Mode.FAIL_AFTER, Mode.LOSE_ANSWER, Mode.REFUSE))
        if operation == "query":
            mode = Mode.FAIL_BEFORE
        self.switches[name].set(operation, Switch(mode=mode, remaining=self.random.randrange(1, 3)))
        self.told[-1] += f" [{operation} {mode}]"
        return mode

    def _mend(self) -> None:
        for switches in self.switches.values():
            switches.clear()

    async def _decide(self, order_id: str) -> None:
        """A person has what was refused tried again, and gives up what is not lawful any more."""
        for x in self.shop.rows("SELECT * FROM orderloom.fallouts WHERE order_id = :o AND state = 'open'", o=order_id):
            if x["step"] and ":" in x["step"]:
                with suppress(Declined):
                    await self.shop.decide(x, "abort" if x["step"].startswith("claim:") else "retry")

    async def _becomes(self, wish: Wish, stored: Submitted) -> None:
        if wish.deed is Deed.MOVE:
            self._moves(wish, stored)
        if wish.deed is Deed.JOIN:
            wish = replace(wish, joins=asset_id(stored.id, stored.order.by_id["1.1"]))
        if wish.deed is Deed.REPLACE:
            await self._has_now(stored.id)
        self.has.becomes(wish)

    def _moves(self, wish: Wish, stored: Submitted) -> None:
        """The same at the new place."""
        lines = self.shop.rows("SELECT * FROM orderloom.assets WHERE created_by_order = :o", o=stored.id)
        new = {x["created_by_line"]: str(x["id"]) for x in lines}
        document = submissions.submitted(self.shop.engine, stored.id).order
        halves = {document.by_id[x.related_line or ""].asset: new[x.id] for x in document.lines if x.id in new}
        assert halves.keys() == wish.reach
        for old, id_ in halves.items():
            was = self.has.nodes[old or ""]
            place = wish.said if was.place == self.has.nodes[wish.of].place else was.place
            self.has.nodes[id_] = replace(was, id=id_, parent=halves.get(was.parent), place=place)

    # ── whether it is so ──

    async def _agrees(self) -> None:
        """Our rows, the network and billing say what the reference says."""
        rows = {str(x["id"]): x for x in self.shop.rows("SELECT * FROM orderloom.assets")}
        has = {x: (y["status"], y["attributes"].get("colour"), y["service_point"]) for x, y in rows.items()}
        nodes = self.has.nodes
        assert has == {x: (y.status, y.colour, y.place) for x, y in nodes.items()}
        live = [x for x in nodes.values() if x.status is not INACTIVE]
        billed = {(x.id, x.status) for x in live if x.product in SERVICES | PURCHASED}
        assert self._billed() == billed
        assert self._running() == {(x.id, RUNS[x.status]) for x in live if x.product in SERVICES}

    def _billed(self) -> set[tuple[str, str]]:
        """What billing has of each asset that is not over, under all the ids it has."""
        rows = self.shop.rows("""
            SELECT CAST(r.asset AS text) AS asset, b.status
              FROM orderloom.cross_references AS r
              JOIN (SELECT id, status FROM billing.service_instances UNION ALL
                    SELECT id, status FROM billing.purchases WHERE billing_type <> 'item') AS b ON b.id = r.billing_id
             WHERE b.status NOT IN ('closed', 'cancelled')
        """)
        return {(x["asset"], x["status"]) for x in rows}

    def _running(self) -> set[tuple[str, str]]:
        rows = self.shop.rows("SELECT service, suspended_at IS NOT NULL AS rests FROM provisioning.services"
                              " WHERE until IS NULL")  # fmt: skip
        return {(str(x["service"]), "suspended" if x["rests"] else "active") for x in rows}


@pytest.mark.req("A19", "A20", "B43", "B50", "B51", "B69", "C23", "C35")
@pytest.mark.parametrize("seed", SEEDS)
async def test_lives_of_services(shop: Shop, seed: int):
    shop.numbers("MSISDN", *(f"+1-555-02{n:02}" for n in range(40)))
    shop.publish(*PRODUCTS, simple_bundle("BROADBAND"))
    walk = Walk(shop, seed)
    try:
        await walk.run()
        await shop.is_sound()
    except BaseException as error:
        error.add_note("\n".join(walk.told))
        raise
