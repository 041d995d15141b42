"""Something happens at a boundary of an activity: right before it acts, or right after, as an order passes by.

Boundaries are recorded from an order that nobody disturbs, never written down: a new activity is covered at once.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import Batch
from domain.order import Order
from tests.shop import Activities, Shop, hasty
from workflows.start import Declined

_DEFINITION = "__temporal_activity_definition"

AT_ONCE = 5
"""Of so many orders something is asked at a time."""

UNHURRIED = hasty(first_s=20, attempt_s=20, give_up_s=100)
"""Many orders share few threads here: nobody gives up because of that."""

Question = Callable[[str], Awaitable[str]]
"""What is asked of an order by its id."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """Before or after the ``nth`` time (from 0) that an activity is carried out for one order."""

    activity: str
    nth: int
    phase: str

    def __str__(self) -> str:
        return f"{self.phase} {self.activity} {self.nth}"


@dataclass
class Boundaries:
    """The boundaries that orders pass, in order, and what is to happen at one of them, by order id.

    Where steps are ``stumbling``, the first attempt at each fails before it acts: then every step is sent durably, and
    the run takes messages between any two of them.
    """

    stumbling: bool = False
    passed: dict[str, list[Boundary]] = field(default_factory=dict)
    deeds: dict[str, tuple[Boundary, Callable[[], None]]] = field(default_factory=dict)

    def at(self, order: str, boundary: Boundary, deed: Callable[[], None]) -> None:
        """Have ``deed`` done when the order passes the boundary; it is called in the activity's thread, once."""
        self.deeds[order] = (boundary, deed)

    def around(self, activities: Activities) -> Activities:
        """The same activities, with what is to happen around them."""
        return [self._around(x) for x in activities]

    def _around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        name = getattr(act, _DEFINITION).name

        @functools.wraps(act)
        def watched(*arguments: Any) -> Any:  # noqa: ANN401
            told, order = activity.info().activity_type, _order(arguments)
            nth = sum(x.activity == told and x.phase == "before" for x in self.passed.get(order, ()))
            self._pass(order, Boundary(told, nth, "before"))
            try:
                if self.stumbling and nth == 0:
                    raise ApplicationError("stumbled", type="Unavailable")
                return act(*arguments)
            finally:
                self._pass(order, Boundary(told, nth, "after"))

        delattr(watched, _DEFINITION)
        if name:
            return activity.defn(name=name, no_thread_cancel_exception=True)(watched)
        return activity.defn(dynamic=True, no_thread_cancel_exception=True)(watched)

    def _pass(self, order: str, boundary: Boundary) -> None:
        self.passed.setdefault(order, []).append(boundary)
        wanted, deed = self.deeds.get(order, (None, None))
        if boundary == wanted and deed:
            del self.deeds[order]
            deed()


def _order(arguments: tuple[Any, ...]) -> str:
    """The order that an activity is told of; a batch of steps comes as it was sent."""
    if arguments and isinstance(arguments[0], list):
        arguments = (activity.payload_converter().from_payload(arguments[0][0].payload, Batch),)
    for said in arguments:
        ref = said if hasattr(said, "order") else getattr(said, "ref", None)
        if ref is not None:
            return str(ref.order)
    return ""


@dataclass
class Watched:
    """A house in which something can be asked of an order at any boundary that it passes."""

    shop: Shop
    boundaries: Boundaries

    async def golden(self, wanted: Order) -> Sequence[Boundary]:
        """The boundaries that the order passes when nobody disturbs it."""
        order_id = await self.shop.fulfil(wanted)
        return tuple(self.boundaries.passed[order_id])

    async def asked_at_each(
        self, points: Sequence[Boundary], wanted: Order, question: Question
    ) -> Sequence[tuple[str, str]]:
        """Start the order once for each boundary, ask there, and let it end: each order's id, and the answer."""
        few = asyncio.Semaphore(AT_ONCE)

        async def one(point: Boundary) -> tuple[str, str]:
            async with few:
                return await self._asked_at(point, wanted, question)

        return await asyncio.gather(*map(one, points))

    async def _asked_at(self, boundary: Boundary, wanted: Order, question: Question) -> tuple[str, str]:
        loop = asyncio.get_running_loop()
        stored = self.shop.submit(wanted)
        asked: list[Future[str]] = []

        def ask() -> None:
            asked.append(answer := asyncio.run_coroutine_threadsafe(_answer(question, stored.id), loop))
            wait([answer], timeout=0.3)  # a run that is between two steps answers at once, another one later

        self.boundaries.at(stored.id, boundary, ask)
        handle = await self.shop.run(stored, patience=UNHURRIED)
        await handle.result()
        assert asked, f"the order never passed {boundary}"
        return stored.id, await asyncio.wrap_future(asked[0])


async def _answer(question: Question, order_id: str) -> str:
    try:
        return await question(order_id)
    except Declined as refusal:
        return " ".join((refusal.code, *refusal.details))
