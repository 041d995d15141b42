# ruff: noqa: ANN401 - what is given along goes along
"""Somebody who orders, decides and asks, as the runbook says."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text
from temporalio.client import Client, RPCTimeoutOrCancelledError
from temporalio.service import RPCError

import worker
from domain.order import FINAL, Order, State
from models import revisions
from tests.shop import Clock, Shop
from workflows import start
from workflows.messages import Patience, RevisionWish
from workflows.start import Declined


class AnotherStory(Exception):  # noqa: N818 - no error: a worker that dies may have used a switch up
    """An order came to its end otherwise than its story says."""


class Violated(Exception):  # noqa: N818 - what is found, not what fails
    """Something that must never be."""


@dataclass(frozen=True, kw_only=True)
class Orderer(Shop):
    """A shop whose people go by the runbook: whoever gets no answer asks again."""

    promises: list[tuple[str, State, bool]] = field(default_factory=list)
    """What was answered about orders: whether they come to a state."""

    async def fallout(self, order: str, *, within_s: float = 30.0) -> dict[str, Any]:
        """The order's open fallout; raises :class:`AnotherStory` when the order ends without one."""
        async with asyncio.timeout(within_s):
            while self.state(order) not in FINAL:
                if found := self.rows(
                    "SELECT * FROM orderloom.fallouts WHERE order_id = :o AND state = 'open'", o=order
                ):
                    return found[0]
                await asyncio.sleep(0.05)
        raise AnotherStory(order)

    async def decide(self, fallout: dict[str, Any], decision: str, **given: Any) -> str:
        """Decide about a fallout until it is decided."""
        try:
            return await self._insisting(lambda: Shop.decide(self, fallout, decision, **given))
        except Declined as refusal:
            if refusal.code != "NOT_OPEN":
                raise
            return "decided already"

    async def cancel(self, order: str, *, force: bool = False) -> str:
        """Cancel an order until there is an answer, and remember it."""
        return await self._promised(order, State.CANCELLED, lambda: Shop.cancel(self, order, force=force))

    async def revise(self, order: str, desired: Order, *, force: bool = False) -> str:
        """Revise an order until there is an answer."""
        wish = RevisionWish(revision=self.store_revision(order, desired, force=force), force=force)
        try:
            return await self._insisting(lambda: start.revise(self.client, order, wish))
        except Declined as refusal:
            if refusal.code == "NOT_OPEN":
                revisions.refuse(self.engine, order, wish.revision)  # as the API does
            if refusal.code != "SUPERSEDED":
                raise
            return "accepted already"

    def document(self, order: str) -> Order:
        """The order as it is wanted by now."""
        base = revisions.base(self.engine, order)
        assert base is not None
        return base.order

    async def _promised(self, order: str, state: State, say: Callable[[], Awaitable[str]]) -> str:
        try:
            answer = await self._insisting(say)
        except Declined:
            self.promises.append((order, state, False))
            raise
        self.promises.append((order, state, True))
        return answer

    async def _insisting(self, say: Callable[[], Awaitable[str]]) -> str:
        while True:
            try:
                return await say()
            except (RPCTimeoutOrCancelledError, RPCError):
                await asyncio.sleep(0.2)

    def heal(self) -> None:
        """Have everybody behave again."""
        for system in (self.inventory, self.provisioning, self.billing):
            system.switches.clear()
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM orderloom.fallouts WHERE code = 'STRANGER'"))

    def broken_promises(self) -> Sequence[str]:
        """Answers that did not turn out to be true (P6): a yes is kept, and without one there is no such end."""
        agreed = {(order, state) for order, state, kept in self.promises if kept}
        return [
            f"P6: order {order} is {self.state(order)}, and was answered {'yes' if kept else 'no'} to {state}"
            for order, state, kept in self.promises
            if (self.state(order) == state) != ((order, state) in agreed)
        ]


def orderer(engine: Engine, client: Client, *, queue: str, patience: Patience) -> Orderer:
    """Somebody who orders on a database, from the workers of a task queue."""
    clock = Clock()
    systems = worker.embedded(engine, clock)
    return Orderer(
        engine=engine,
        client=client,
        task_queue=queue,
        clock=clock,
        inventory=systems.inventory,
        supplies=systems.inventory.supplies,
        provisioning=systems.provisioning,
        billing=systems.billing,
        patience=patience,
    )
