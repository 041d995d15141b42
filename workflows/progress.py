"""How far an order is: the state its workflow decides upon, without a clock and without awaiting anything."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from activities.messages import Batch, Decomposition, Step, Taken
from domain.fallout import TYPE, Decision, Finding, decisions
from domain.order import State
from domain.plan import BEGUN, PROVING, SETTLED, Function, Plan, PlanItem, StepState
from domain.progress import Fallout, OrderRef, Resolution

BUSY = (StepState.IN_PROGRESS, StepState.HELD)


@dataclass
class StepProgress:
    """How far one step is.

    ``generation`` counts deliberate redos after a refusal, ``resent`` says that it may have happened already, ``at`` is
    the date of the proof, or the date from which something without a proof is billed. ``at_work_since`` is when its
    neighbour first said that it is at work on it.
    """

    item: PlanItem
    state: StepState = StepState.PENDING
    generation: int = 0
    resent: bool = False
    at: datetime | None = None
    at_work_since: datetime | None = None

    @property
    def has_begun(self) -> bool:
        """Whether it was sent and may have had, or will have, an effect that still stands; or was done by hand."""
        return self.state in BEGUN or (self.resent and self.state is not StepState.UNDONE)

    def reference(self, actual: datetime | None = None) -> Step:
        """The step as an activity is told of it."""
        return Step(id=self.item.id, generation=self.generation, actual=actual)


@dataclass
class Undecided:
    """A fallout waiting for a person; ``actual``: since when its step has been done, should it be skipped."""

    fallout: Fallout
    actual: datetime | None = None
    resolution: Resolution | None = None
    settled: bool = False

    @property
    def refused(self) -> bool:
        """Whether the neighbour said a definite no."""
        return not self.fallout.in_doubt


@dataclass
class GivenUp:
    """A root bundle that is taken back, because a person gave it up or the order is cancelled: how its lines end."""

    state: State
    begun: bool = False
    """Whether taking it back has begun."""


@dataclass
class OrderProgress:
    """How far an order is."""

    ref: OrderRef
    state: State = State.ACKNOWLEDGED
    plan: Plan = field(default_factory=lambda: Plan(items=()))
    lines: dict[str, str] = field(default_factory=dict)
    """The first lines by id, as operators are shown them."""
    steps: dict[str, StepProgress] = field(default_factory=dict)
    bundles: dict[str, list[StepProgress]] = field(default_factory=dict)
    """The same steps by root bundle, so that a question about one bundle does not cost more in a large order."""
    undecided: dict[str, Undecided] = field(default_factory=dict)
    given_up: dict[str, GivenUp] = field(default_factory=dict)
    """The root bundles that are not to be carried out any more."""
    cancelled: bool = False
    """Whether the cancellation of the whole order was accepted."""
    held_back: bool = False
    """Whether nothing new may be begun for the moment."""
    notice: str = ""
    """What operators should know besides: a wish that was refused."""
    unapproved: tuple[str, ...] = ()
    """What somebody has to approve before anything is done."""
    trouble: tuple[str, str] | None = None
    """The step that is tried again by itself, and what it said last."""
    alarm: bool = False
    """Whether that trouble needs a person, though it is tried again for as long as it takes."""
    help_wanted: dict[str, Finding] = field(default_factory=dict)
    """What did not succeed for long and is tried on, by subject."""
    fallout_count: int = 0

    def plan_is(self, decomposition: Decomposition) -> None:
        """Take over the plan, and begin."""
        self.plan = decomposition.plan
        self.lines = {x.id: f"{x.id} {x.product}" for x in decomposition.lines}
        self.steps = {item.id: StepProgress(item) for item in self.plan.items}
        self.bundles = {}
        for step in self.steps.values():
            self.bundles.setdefault(step.item.root, []).append(step)
        self.state = State.IN_PROGRESS

    def ready(self) -> list[tuple[PlanItem, ...]]:
        """The batches that can be sent now."""
        settled = [x.item.id for x in self.steps.values() if x.state in SETTLED]
        taken = [x.item.id for x in self.steps.values() if x.state in BUSY or x.item.root in self.given_up]
        return self.plan.next_batches(settled=settled, taken=taken)

    def begin(self, items: Sequence[PlanItem]) -> None:
        """From now on these steps are under way."""
        for item in items:
            self.steps[item.id].state = StepState.IN_PROGRESS

    def batch(self, items: Sequence[PlanItem], *, now: datetime, resent: bool = False) -> Batch:
        """A batch as an activity is told of it."""
        steps = tuple(self.steps[x.id].reference(self._actual(x, now)) for x in items)
        return Batch(ref=self.ref, steps=steps, resent=resent)

    def _actual(self, item: PlanItem, now: datetime) -> datetime | None:
        """The date from which something is billed: that of the proof of what was delivered for it (5.3).

        What nothing delivers is billed from the first attempt; every later attempt keeps the date (5.5). What is
        delivered in the same batch has no date yet.
        """
        if item.function not in (Function.FULFILL_BILLING, Function.PURCHASE):
            return None
        deliveries = [x for x in map(self.steps.__getitem__, item.depends_on) if x.item.function in PROVING]
        if any(x.state not in SETTLED for x in deliveries):
            return None
        proofs = [x.at for x in deliveries if x.at]
        step = self.steps[item.id]
        step.at = max(proofs) if proofs else step.at or now
        return step.at

    def is_resent(self, items: Sequence[PlanItem]) -> bool:
        """Whether an earlier attempt at one of these steps may have had its effect."""
        return any(self.steps[x.id].resent for x in items)

    def is_point_of_no_return(self, items: Sequence[PlanItem]) -> bool:
        """Whether sending this would be the point of no return of its bundle, as far as is on record (2.7)."""
        passed = (x for x in self.bundles[items[0].root] if x.item.no_return and x.state is StepState.DONE)
        return any(x.no_return for x in items) and not any(passed)

    def barrier(self, *, force: bool = False) -> StepProgress | None:
        """The first step past which there is no return that was sent, unless a definite no came back (2.7).

        ``force`` passes over what can be taken back all the same.
        """
        going = (x for x in self.steps.values() if x.item.root not in self.given_up)
        sent = (x for x in going if x.item.no_return and x.has_begun)
        return next((x for x in sent if not (force and x.item.function.undo)), None)

    def fall_out(
        self,
        step: StepProgress,
        *,
        id: str,  # noqa: A002
        account: str,
        code: str,
        message: str,
        refused: bool,
    ) -> Undecided:
        """Park a step until a person decides about it."""
        step.state = StepState.HELD
        item = step.item
        fallout = Fallout(
            id=id,
            ref=self.ref,
            account=account,
            step=item.id,
            lines=(item.root if item.function is Function.SYNC_CUSTOMER else item.subject,),
            type=TYPE[item.function.system],
            code=code,
            message=message[:500],
            in_doubt=not refused,
        )
        self.undecided[id] = undecided = Undecided(fallout)
        return undecided

    def allowed(self, undecided: Undecided) -> tuple[Decision, ...]:
        """What may be decided now: other steps of the bundle may have gone on since it fell out."""
        item = self.steps[undecided.fallout.step].item
        others = (x for root in self.bundles_of(item) for x in self.bundles[root] if x.item is not item)
        begun = {x.item.function for x in others if x.has_begun}
        return decisions(item.function, begun, in_doubt=undecided.fallout.in_doubt)

    def bundles_of(self, item: PlanItem) -> set[str]:
        """The bundles that cannot end well without a step: its own, and all that wait for it."""
        if item.function is not Function.SYNC_CUSTOMER:  # the only step that steps of other bundles wait for
            return {item.root}
        return {item.root, *(x.item.root for x in self.steps.values() if item.id in x.item.depends_on)}

    def give_up(self, undecided: Undecided) -> None:
        """From now on nothing more is begun for the bundles of a step; what is under way ends first."""
        for root in sorted(self.bundles_of(self.steps[undecided.fallout.step].item)):
            self.given_up.setdefault(root, GivenUp(State.FAILED))

    def give_up_all(self) -> None:
        """The whole order is cancelled: whatever was done for it is taken back."""
        self.held_back = False
        for item in self.plan.items:
            self.given_up.setdefault(item.root, GivenUp(State.CANCELLED))

    @property
    def has_to_give_up(self) -> bool:
        """Whether a bundle was given up since :meth:`to_give_up` was asked last."""
        return any(not ending.begun for ending in self.given_up.values())

    def to_give_up(self) -> list[str]:
        """The bundles given up since this was asked last."""
        new = [root for root, ending in self.given_up.items() if not ending.begun]
        for root in new:
            self.given_up[root].begun = True
        return new

    def is_to_stop(self, root: str) -> bool:
        """Whether no further attempt is wanted at what is under way for a bundle."""
        return root in self.given_up

    def is_busy(self, root: str) -> bool:
        """Whether anything of a bundle is under way or waits for a person."""
        return any(x.state in BUSY for x in self.bundles[root])

    def to_undo(self, root: str) -> list[StepProgress]:
        """The steps of a bundle that may have had an effect that can be taken back, last first (2.7)."""
        steps = [x for x in self.bundles[root] if x.item.function.undo]
        return [x for x in reversed(steps) if x.resent or x.state is StepState.DONE]

    def taken_back(self, step: StepProgress) -> Taken:
        """A step to be taken back, as an activity is told of it."""
        return Taken(ref=self.ref, step=step.reference())

    def title(self, items: Sequence[PlanItem]) -> str:
        """The lines that steps are about, as an operator reads it beside an activity."""
        return ", ".join(self.lines.get(x.subject, x.subject) for x in items)[:200]
