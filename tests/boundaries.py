"""Something happens at a boundary of an activity: right before it acts, or right after, as an order passes by.

Boundaries are recorded from an order that nobody disturbs, never written down: a new activity is covered at once.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import Batch
from tests.shop import Activities

_DEFINITION = "__temporal_activity_definition"


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
        return activity.defn(name=name)(watched) if name else activity.defn(dynamic=True)(watched)

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
