"""What starts an order's run, and what it ends with.

Fields are only ever added, with defaults: orders live for years.
"""

from dataclasses import dataclass, field
from datetime import datetime

from domain.order import State


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long steps may take, in seconds, before they are sent again or a person is asked."""

    first_s: float = 3.0
    """The first, quick attempt that leaves one line in the history."""
    attempt_s: float = 30.0
    """Every later attempt."""
    pause_s: float = 1.0
    """The pause after the first failed attempt; doubles each time."""
    longest_pause_s: float = 60.0
    give_up_s: float | None = 1_800.0
    """All attempts together: then the step falls out; ``None`` for as long as it takes."""
    at_work_s: float = 86_400.0
    """How long a neighbour may say that it is at work on a step; then the step falls out."""


@dataclass(frozen=True, kw_only=True)
class OrderRun:
    """Which order to carry out, and what an operator should see of it at once."""

    order: str
    number: int
    account: str
    revision: int = 0
    title: str = ""
    requested_start: datetime | None = None
    patience: Patience = field(default_factory=Patience)
    approvals: tuple[str, ...] = ()
    """What somebody has to approve before anything is done, a sentence each (F31)."""


@dataclass(frozen=True, kw_only=True)
class RevisionWish:
    """A stored revision that is to be in force; ``force`` also does anew what is active but not billed (2.7)."""

    revision: int
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class OrderEnd:
    """The state the order came to."""

    state: State


def workflow_id(order: str) -> str:
    """The id of an order's run: one run for each order, ever (W1)."""
    return f"order-{order}"
