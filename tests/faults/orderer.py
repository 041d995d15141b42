# ruff: noqa: ANN401 - what is given along goes along
"""Somebody who orders, decides and asks, as the runbook says."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text
from temporalio.client import Client, RPCTimeoutOrCancelledError
from temporalio.service import RPCError

import worker
from domain.order import FINAL, Order, State
from domain.revision import RevisionState
from models import revisions
from tests.shop import Clock, Shop
from workflows import start
from workflows.messages import Patience, RevisionWish
from workflows.start import Declined

ANSWERED_WITHIN_S = 60.0
"""Whatever happens meanwhile."""


class AnotherStory(Exception):  # noqa: N818 - no error: a worker that dies may have used a switch up
    """An order came to its end otherwise than its story says."""


class Violated(Exception):  # noqa: N818 - what is found, not what fails
    """Something that must never be."""


@dataclass(frozen=True, kw_only=True)
class Orderer(Shop):
    """A shop whose people go by the runbook: whoever gets no answer asks again."""

    cancelled: list[tuple[str, bool]] = field(default_factory=list)
    """What was answered about cancellations: whether orders are called off."""
    revised: list[tuple[str, int, bool]] = field(default_factory=list)
    """What was answered about revisions: whether they come into force."""

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
        """Cancel an order until there is an answer, and remember it; of a run that has ended, the rows tell."""
        try:
            answer = await self._insisting(lambda: Shop.cancel(self, order, force=force))
        except Declined as refusal:
            is_cancelled = refusal.code == "NOT_OPEN" and self.state(order) == State.CANCELLED
            self.cancelled.append((order, is_cancelled))
            if is_cancelled:
                return State.CANCELLED
            raise
        self.cancelled.append((order, True))
        return answer

    async def revise(self, order: str, desired: Order, *, force: bool = False) -> str:
        """Revise an order until there is an answer, and remember it; of a run that has ended, the rows tell."""
        wish = RevisionWish(revision=self.store_revision(order, desired, force=force), force=force)
        try:
            answer = await self._insisting(lambda: start.revise(self.client, order, wish))
        except Declined as refusal:
            if refusal.code == "NOT_OPEN":
                revisions.refuse(self.engine, order, wish.revision)  # as the API does
            is_in_force = revisions.state(self.engine, order, wish.revision) == RevisionState.ACTIVE
            self.revised.append((order, wish.revision, is_in_force))
            if is_in_force:
                return RevisionState.ACCEPTED
            raise
        self.revised.append((order, wish.revision, True))
        return answer

    def document(self, order: str) -> Order:
        """The order as it is wanted by now."""
        base = revisions.base(self.engine, order)
        assert base is not None
        return base.order

    async def _insisting(self, say: Callable[[], Awaitable[str]]) -> str:
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while True:
                try:
                    return await say()
                except (RPCTimeoutOrCancelledError, RPCError):
                    await asyncio.sleep(0.2)

    def relent(self) -> None:
        """Have nobody misbehave for ever: what is switched for a number of calls is still to be met."""
        for system in (self.inventory, self.provisioning, self.billing):
            for operation, switch in system.switches.all().items():
                if switch.remaining is None:
                    system.switches.clear(operation)

    def heal(self) -> None:
        """Have everybody behave again."""
        for system in (self.inventory, self.provisioning, self.billing):
            system.switches.clear()
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM orderloom.fallouts WHERE code = 'STRANGER'"))

    def broken_promises(self) -> Sequence[str]:
        """Answers that did not turn out to be true (P6): a yes is kept, and without one there is no such end."""
        agreed = {order for order, kept in self.cancelled if kept}
        broken = [
            f"P6: order {order} is {self.state(order)}, and was answered {'yes' if kept else 'no'} to its cancellation"
            for order, kept in self.cancelled
            if (self.state(order) == State.CANCELLED) != (order in agreed)
        ]
        return broken + [
            f"P6: revision {number} of order {order} is {state}, and was answered {'yes' if kept else 'no'}"
            for order, number, kept in self.revised
            if (state := revisions.state(self.engine, order, number)) not in self._becomes(order, number, kept=kept)
        ]

    def _becomes(self, order: str, number: int, *, kept: bool) -> Collection[str]:
        """What may have become of a revision: of one that was agreed to, what gives way is said with another yes."""
        if not kept:
            return RevisionState.REFUSED, RevisionState.SUPERSEDED
        later = any(x == order and y > number and agreed for x, y, agreed in self.revised)
        gave_way = later or self.state(order) == State.CANCELLED
        return (RevisionState.ACTIVE, *((RevisionState.SUPERSEDED,) if gave_way else ()))


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
