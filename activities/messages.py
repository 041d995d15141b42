"""What workflows and activities say to each other. Fields are only ever added, with defaults: orders live for years."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.approval import Approval
from domain.order import State
from domain.plan import Plan, PlanItem
from domain.progress import OrderRef, Standing

GIVEN_UP = "GIVEN_UP"
"""The type of the error when a step is not to be sent any more: its bundle was given up, by our rows."""


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """What a step did before the order was revised, and still stands: in which generation, for which revision."""

    generation: int
    ref: OrderRef


@dataclass(frozen=True, kw_only=True)
class Step:
    """One plan item to be carried out: ``generation`` counts deliberate redos, ``actual`` is the date of the proof.

    ``replaces`` is set when a revision asks for something else than what stands.
    """

    id: str
    generation: int = 0
    actual: datetime | None = None
    replaces: Replaced | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Plan items of one root bundle, each after what it waits for. ``resent``: an earlier attempt may have happened.

    ``asked``: an earlier run has a fallout open for one of them, and it is tried all the same.
    """

    ref: OrderRef
    steps: tuple[Step, ...]
    resent: bool = False
    asked: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one step: done (``code`` is none), refused, or still at work (``again_in_s``).

    ``order_state`` is the order's state when the step brought the whole order to its end, ``lines`` are those that a
    refusal is about.
    """

    step: str
    at: datetime | None = None
    code: str | None = None
    message: str | None = None
    again_in_s: float | None = None
    order_state: State | None = None
    lines: tuple[str, ...] = ()
    wakes: str | None = None
    """The order that waited for the assets of a bundle that is at its end, and whose turn it is."""


@dataclass(frozen=True, kw_only=True)
class LineTitle:
    """A line as operators know it."""

    id: str
    product: str


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """The plan without the lines of its items, and the first lines by title; ``more``: the plan goes on after these.

    ``due`` are the bundles whose time has not come, and when it comes. ``claimed`` are the claims that were granted at
    once, and when. ``standing`` says how far an earlier run has come with it, if it was stored before.
    """

    items: tuple[PlanItem, ...]
    lines: tuple[LineTitle, ...] = ()
    in_a_row: bool = False
    more: bool = False
    due: Mapping[str, datetime] = field(default_factory=dict)
    standing: Standing | None = None
    claimed: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return Plan(items=self.items, in_a_row=self.in_a_row)


@dataclass(frozen=True, kw_only=True)
class PlanRest:
    """The part of a plan that comes after its first steps."""

    ref: OrderRef
    after: int


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The verdict on an acknowledged order: codes of what is broken now; none when it can go on, with its plan.

    Orders that began earlier have no plan yet.
    """

    violations: tuple[str, ...] = ()
    decomposition: Decomposition | None = None


@dataclass(frozen=True, kw_only=True)
class Revising:
    """A revision to be looked at: ``ref`` is the order as it would be, ``before`` as it is."""

    ref: OrderRef
    before: OrderRef


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """What a revision makes of an order's plan: what of it is undone and redone.

    ``roots`` are the bundles with any difference, ``technical`` those where it is more than billing has to know;
    ``synchronizations`` the accounts that the new plan tells billing of.
    """

    synchronizations: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    redo: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    technical: tuple[str, ...] = ()
    requested_start: datetime | None = None
    unknown: bool = False
    """There is no such revision."""
    approvals: tuple[str, ...] | None = None
    """What of it somebody has to approve; ``None``: nobody looked, as of old."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A state the order takes, and why; ``begun``: in the midst of it, after its plan was stored."""

    ref: OrderRef
    state: State
    reason: str | None = None
    begun: bool = False


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A fallout as it was put on the work list: how urgent it is, and until when somebody should have decided.

    ``done``: it was not, for an attempt that the run had given up has succeeded after all.
    """

    priority: int
    due_at: datetime
    done: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class Approved:
    """A verdict to be written down; ``request`` tells those of one order apart, ``then`` is what it waits for next."""

    ref: OrderRef
    approval: Approval
    request: str
    then: str | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A step to be taken back: the key that did it is remade from step and generation."""

    ref: OrderRef
    step: Step


@dataclass(frozen=True, kw_only=True)
class RootEnd:
    """A root bundle given up: its lines end in ``state``."""

    ref: OrderRef
    root: str
    state: State


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A root bundle at its end, the order's state when that was the last of it, and whose turn it is then."""

    order_state: State | None = None
    wakes: str | None = None


@dataclass(frozen=True, kw_only=True)
class Freed:
    """An order that ends as a whole: the orders whose turn it is then at the assets that it was about."""

    wakes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EndingsSeen:
    """How many trees with something at its service end are disconnected from now on, and how many cannot be."""

    ended: int
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look came to: how many findings there are, how many fallouts it opened, closed and escalated."""

    findings: int
    opened: int = 0
    closed: int = 0
    escalated: int = 0
