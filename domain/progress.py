"""An order's progress, as it is written down: what was done, what needs a person, and what the person decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.in_flight import Correction
from domain.installation import Installation
from domain.order import Scalar, State


@dataclass(frozen=True, kw_only=True)
class OrderRef:
    """Which order, in which revision, with how many of its corrections."""

    order: str
    revision: int = 0
    corrections: int = 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far an order is by our rows: what a run that was reset to before that does not know.

    ``ref`` is what is in force, ``done`` are the steps that are done or skipped, each with its generation, ``asked``
    the fallouts that are open, by step; ``fallouts`` counts all there were. ``given_up`` are the bundles that ended
    without being carried out, each with the state of its lines. ``redone`` are the steps still to be done that were
    to be done anew before, each with its generation, ``sent`` those past no return whose outcome is not known.
    """

    ref: OrderRef
    state: State
    is_planned: bool
    done: Mapping[str, int] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    fallouts: int = 0
    given_up: Mapping[str, State] = field(default_factory=dict)
    redone: Mapping[str, int] = field(default_factory=dict)
    sent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A step that is done: the key that did it, when it took effect, and the neighbour's answer as JSON values.

    The step that ends a bundle has the ``installation`` it leaves behind.
    """

    step: str
    key: str
    at: datetime
    result: Mapping[str, Any] = field(default_factory=dict)
    installation: Installation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """When a step has taken effect after all that its run had given up; the order's state if it has ended with it."""

    at: datetime | None
    order_state: State | None


@dataclass(frozen=True, kw_only=True)
class Fallout:
    """A step that needs a person: what failed, and whether it may have happened all the same (``in_doubt``)."""

    id: str
    ref: OrderRef
    account: str
    step: str
    lines: tuple[str, ...]
    type: str
    code: str
    message: str
    in_doubt: bool = False


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """A person's decision about a fallout: ``retry``, ``retry_with``, ``skip`` or ``abort``; who, and why.

    ``input`` holds the corrected fields with ``retry_with``, and with ``skip`` perhaps the ``actual_date``. What was
    not given is empty, so that whoever typed it is told what is missing.
    """

    fallout: str = ""
    decision: str = ""
    actor: str = ""
    reason: str = ""
    input: Mapping[str, Scalar | Mapping[str, Scalar]] = field(default_factory=dict)


LONGEST_SAID = 100_000
"""How many characters a person may say at once: a run keeps all of it for ever."""


def objection_to_words(actor: str, reason: str, said: object = "") -> tuple[str, str] | None:
    """Why what a person said is not taken, whatever it is about: a stable code and a sentence; ``None`` when it is."""
    if not actor.strip() or not reason.strip():
        return "NO_REASON", "actor and reason are needed"
    if len(actor) + len(reason) + len(str(said)) > LONGEST_SAID:
        return "INPUT", f"that is longer than {LONGEST_SAID:,} characters"
    if not all(map(_can_be_kept, (actor, reason, said))):
        return "INPUT", "it holds NUL"
    return None


def _can_be_kept(said: object) -> bool:
    """Whether a database takes what was said: a decision that cannot be written down would be in the way for ever."""
    match said:
        case str():
            return "\0" not in said
        case Mapping():
            return all(_can_be_kept(x) for pair in said.items() for x in pair)
        case _:
            return True


@dataclass(frozen=True, kw_only=True)
class Word:
    """An operator's word to a run, small enough to be typed: about a fallout, or all that are open if none is named.

    ``at``: since when what is skipped has been done.
    """

    actor: str = ""
    reason: str = ""
    fallout: str = ""
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """A wish to cancel a whole order: who, and why. ``force`` also takes back what is active but not billed (2.7)."""

    actor: str = ""
    reason: str = ""
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What becomes of a wish to cancel: accepted, or refused for the step that is the point of no return.

    ``request`` tells the wishes of one order apart.
    """

    ref: OrderRef
    request: str
    cancellation: Cancellation
    barrier: str | None = None


@dataclass(frozen=True, kw_only=True)
class Judgment:
    """What becomes of a revision: accepted, or refused with a code, at a step where there is one."""

    ref: OrderRef
    revision: int
    planned: bool = True
    code: str | None = None
    step: str | None = None


@dataclass(frozen=True, kw_only=True)
class Revised:
    """A revision that is in force from now on.

    ``again`` are the steps that are carried out anew, each with its next generation, ``synchronizations`` the accounts
    that the plan tells billing of; ``planned`` says whether there is a plan already. ``waits_for`` is why the order is
    pending from now on, where there is none; ``None``: as before.
    """

    ref: OrderRef
    before: OrderRef
    again: Mapping[str, int] = field(default_factory=dict)
    synchronizations: tuple[str, ...] = ()
    planned: bool = True
    waits_for: str | None = None


@dataclass(frozen=True, kw_only=True)
class Closing:
    """A fallout that is settled by a decision: its step is carried out anew, corrected, ``skipped`` or given up.

    ``withdrawn``: nobody has decided about it; its bundle is not to be carried out any more.
    """

    ref: OrderRef
    resolution: Resolution
    step: str
    skipped: bool = False
    correction: Correction | None = None
    withdrawn: bool = False
    actual: datetime | None = None
    """Since when a step that is skipped has been done."""
    line_state: State = State.IN_PROGRESS
    """What the lines become that were held for it."""
