"""How far an order is: the state its workflow decides upon, without a clock and without awaiting anything."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from activities.messages import Amendment, Batch, Decomposition, Opened, Replaced, Step, Taken
from domain.fallout import TYPE, Decision, Finding, decisions
from domain.order import FINAL, State
from domain.plan import (
    BEGUN,
    DATED,
    NO_RETURN,
    ON_THE_NETWORK,
    PROVING,
    SETTLED,
    Function,
    Plan,
    PlanItem,
    StepState,
    System,
)
from domain.progress import Fallout, OrderRef, Resolution, Standing

BUSY = (StepState.IN_PROGRESS, StepState.HELD)
CLOSES_BILLING = (Function.FULFILL_BILLING, Function.PURCHASE)
CHANGES_BILLING = frozenset(x for x in NO_RETURN if x.system is System.BILLING).difference(CLOSES_BILLING)
"""What billing is told of a change is closed when it is sent, too."""
REPLACES_WHAT_IS_IN_DOUBT = (Function.RESERVE, Function.INITIATE_BILLING)
"""These are amended whether the first attempt has happened or not; should it arrive later, it is refused."""


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
    replaces: Replaced | None = None
    """What it did for an earlier revision and still stands, until the next attempt replaces it."""

    @property
    def has_begun(self) -> bool:
        """Whether it was sent and may have had, or will have, an effect that still stands; or was done by hand."""
        return self.state in BEGUN or (self.resent and self.state is not StepState.UNDONE)

    @property
    def may_stand(self) -> bool:
        """Whether something of it may stand that can be taken back; what was done by hand stands too."""
        return bool(self.item.function.undo) and (self.resent or self.state in SETTLED or self.replaces is not None)

    @property
    def is_replaceable(self) -> bool:
        """Whether its neighbour can put something else in the place of what it did, or may have done."""
        return self.state is StepState.DONE or (
            self.resent and self.replaces is None and self.item.function in REPLACES_WHAT_IS_IN_DOUBT
        )

    def reference(self, actual: datetime | None = None) -> Step:
        """The step as an activity is told of it."""
        return Step(id=self.item.id, generation=self.generation, actual=actual, replaces=self.replaces)

    def taken_back(self, ref: OrderRef) -> Iterator[Taken]:
        """All that it may have done and can be taken back, the latest first, as an activity is told of it."""
        if self.resent or self.state in SETTLED:
            yield Taken(ref=ref, step=Step(id=self.item.id, generation=self.generation))
        if self.replaces is not None:
            yield Taken(ref=self.replaces.ref, step=Step(id=self.item.id, generation=self.replaces.generation))

    def undone(self) -> None:
        """Nothing of it stands any more; should it be done once more, it is something new."""
        self.state, self.resent, self.replaces = StepState.UNDONE, False, None
        self.generation += 1

    def anew(self, before: OrderRef) -> bool:
        """Have it carried out anew; whether it had been carried out ``before``: that stands until it is replaced."""
        if self.is_replaceable:
            self.replaces = Replaced(generation=self.generation, ref=before)
            self.generation += 1
        elif self.state is StepState.SKIPPED:
            self.generation += 1
        elif self.state is not StepState.UNDONE:
            return False
        self.state, self.resent = StepState.PENDING, False
        return True


@dataclass
class Undecided:
    """A fallout waiting for a person; ``actual``: since when its step has been done, should it be skipped."""

    fallout: Fallout
    opened: Opened | None = None
    actual: datetime | None = None
    resolution: Resolution | None = None
    is_on_record: bool = False
    """Whether it stands on the work list by now."""
    settled: bool = False

    @property
    def refused(self) -> bool:
        """Whether the neighbour said a definite no."""
        return not self.fallout.in_doubt

    @property
    def is_done_by_hand(self) -> bool:
        """Whether a person has said that somebody has done it otherwise."""
        return self.resolution is not None and self.resolution.decision == Decision.SKIP


@dataclass
class GivenUp:
    """A root bundle that is taken back, because a person gave it up or the order is cancelled: how its lines end."""

    state: State
    begun: bool = False
    """Whether taking it back has begun."""
    is_undone: bool = False


@dataclass
class Amending:
    """What a revision is about to change: ``steps``, and bundles, each with whether more than billing is concerned."""

    roots: Mapping[str, bool]
    steps: frozenset[str]
    is_undoing: bool = False
    """Whether what is not wanted any more is being taken back."""

    def concerns(self, item: PlanItem) -> bool:
        """Whether a step is not to be begun meanwhile."""
        return item.root in self.roots or item.id in self.steps

    def stops(self, item: PlanItem) -> bool:
        """Whether a step is not to be under way meanwhile, either."""
        return self.roots.get(item.root, False) or item.id in self.steps


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
    has_begun: bool = False
    """Whether there is a plan, be it of an earlier run."""
    cancelled: bool = False
    """Whether the cancellation of the whole order was accepted."""
    held_back: bool = False
    """Whether nothing new may be begun for the moment."""
    amending: Amending | None = None
    """What an accepted revision is about to change."""
    dropped: dict[str, StepProgress] = field(default_factory=dict)
    """The steps that revisions did without: should one be wanted again, it is something new."""
    notice: str = ""
    """What operators should know besides: a wish that was refused."""
    unapproved: tuple[str, ...] = ()
    """What somebody has to approve before anything is done."""
    trouble: tuple[str, str] | None = None
    """The step that is tried again by itself, and what it said last."""
    alarm: bool = False
    """Whether that trouble needs a person, though it is tried again for as long as it takes."""
    help_wanted: dict[str, list[Finding]] = field(default_factory=dict)
    """What did not succeed for long and is tried on, by subject."""
    fallout_count: int = 0
    due: dict[str, datetime] = field(default_factory=dict)
    """The bundles whose time has not come, and when it comes."""
    queued: dict[str, str] = field(default_factory=dict)
    """The claims of assets that somebody else changes now or before, by step; and who that is."""
    asked: dict[str, str] = field(default_factory=dict)
    """The fallouts that an earlier run has opened, by step."""

    def plan_is(self, decomposition: Decomposition) -> None:
        """Take over the plan, and begin."""
        self._plan_is(decomposition, {item.id: StepProgress(item) for item in decomposition.items})
        for step, at in decomposition.claimed.items():
            self.steps[step].state, self.steps[step].at = StepState.DONE, at
        self.state, self.has_begun = State.IN_PROGRESS, True

    @property
    def is_not_to_wait(self) -> bool:
        """Whether the order waits for nothing before it begins, or instead."""
        return self.has_begun or self.cancelled

    def recall(self, standing: Standing) -> None:
        """Take over what our rows know better: this run was reset to before that.

        A step that is done there, or may have happened, is asked for by its key before it is sent again. One that was
        refused is not asked for under a key of before that: its next retry is a new attempt.
        """
        self.fallout_count = max(self.fallout_count, standing.fallouts)
        self.asked = {step: id_ for step, id_ in standing.asked.items() if id_ not in self.undecided}
        for step in self._to_come(standing.done):
            step.generation, step.resent = standing.done[step.item.id], True
        for step in self._to_come(standing.redone):
            step.generation = max(step.generation, standing.redone[step.item.id])
        for step in self._to_come(standing.sent):
            step.resent = True
        for root in standing.given_up.keys() & self.bundles.keys():
            self.given_up.setdefault(root, GivenUp(standing.given_up[root]))
        if standing.state in (State.PENDING_CANCELLATION, State.CANCELLED) and not self.cancelled:
            self.cancelled = True
            self.give_up_all()
        if standing.state in FINAL:
            self.state = standing.state

    def _to_come(self, ids: Iterable[str]) -> list[StepProgress]:
        """Those of the steps that this run believes to be still to come."""
        found = (self.steps[x] for x in ids if x in self.steps)
        return [x for x in found if not x.has_begun and x.state is StepState.PENDING]

    def doubt_what_comes_next(self) -> None:
        """What can be sent next may have been sent, by a worker that died before anybody wrote it down.

        A quick attempt is on record only when it is back: who takes back what it would have done asks for it first, and
        to take back what was never done is harmless.
        """
        known = [x.item.id for x in self.steps.values() if x.state in SETTLED or x.resent]
        taken = [x.item.id for x in self.steps.values() if x.state in BUSY or self._waits(x.item)]
        for step in (self.steps[x.id] for batch in self.plan.next_batches(settled=known, taken=taken) for x in batch):
            if step.state is StepState.PENDING and step.item.function.undo and not step.item.no_return:
                step.resent = True

    def _plan_is(self, decomposition: Decomposition, steps: dict[str, StepProgress]) -> None:
        self.plan = decomposition.plan
        self.lines = {x.id: f"{x.id} {x.product}" for x in decomposition.lines}
        self._steps_are(steps)
        self.due = dict(decomposition.due)

    def _steps_are(self, steps: dict[str, StepProgress]) -> None:
        self.steps, self.bundles = steps, {}
        for step in steps.values():
            self.bundles.setdefault(step.item.root, []).append(step)

    def ready(self) -> list[tuple[PlanItem, ...]]:
        """The batches that can be sent now."""
        settled = [x.item.id for x in self.steps.values() if x.state in SETTLED]
        taken = [x.item.id for x in self.steps.values() if x.state in BUSY or self._waits(x.item)]
        return self.plan.next_batches(settled=settled, taken=taken)

    def _waits(self, item: PlanItem) -> bool:
        amended = self.amending is not None and self.amending.concerns(item)
        return self.is_given_up(item) or amended or item.root in self.due

    def begin(self, items: Sequence[PlanItem]) -> None:
        """From now on these steps are under way."""
        for item in items:
            self.steps[item.id].state = StepState.IN_PROGRESS

    def batch(self, items: Sequence[PlanItem], *, now: datetime, resent: bool = False) -> Batch:
        """A batch as an activity is told of it."""
        steps = tuple(self.steps[x.id].reference(self._actual(x, now)) for x in items)
        return Batch(ref=self.ref, steps=steps, resent=resent, asked=any(x.id in self.asked for x in items))

    def _actual(self, item: PlanItem, now: datetime) -> datetime | None:
        """The date from which something is billed: that of the proof of what was delivered for it (5.3).

        What nothing delivers is billed from the first attempt; every later attempt keeps the date (5.5). What is
        delivered in the same batch has no date yet.
        """
        if item.function not in DATED:
            return None
        deliveries = [x for x in map(self.steps.__getitem__, item.dated_by) if x.item.function in PROVING]
        if any(x.state not in SETTLED for x in deliveries):
            return None
        proofs = [x.at for x in deliveries if x.at]
        step = self.steps[item.id]
        step.at = max(proofs) if proofs else step.at or now
        return step.at

    def was_refused(self, step: StepProgress) -> None:
        """After a definite no nothing is in doubt any more: neither it, nor what waits for it, has happened (2.7)."""
        step.resent, never = False, {step.item.id}
        for other in self.bundles[step.item.root] if step.replaces is None else ():
            if other.state is StepState.PENDING and not never.isdisjoint(other.item.depends_on):
                other.resent = False
                never.add(other.item.id)

    def is_resent(self, items: Sequence[PlanItem]) -> bool:
        """Whether an earlier attempt at one of these steps may have had its effect."""
        return any(self.steps[x.id].resent for x in items)

    def is_point_of_no_return(self, items: Sequence[PlanItem]) -> bool:
        """Whether sending this would be the point of no return of its bundle, as far as is on record (2.7)."""
        passed = (x for x in self.bundles[items[0].root] if x.item.no_return and x.state is StepState.DONE)
        return any(x.no_return for x in items) and not any(passed)

    def barrier(self, *, force: bool = False, roots: Collection[str] | None = None) -> StepProgress | None:
        """The first step past which there is no return that was sent, unless a definite no came back (2.7).

        ``force`` passes over what can be taken back all the same; ``roots`` are the bundles in question, or all.
        """
        by_hand = {x.fallout.step for x in self.undecided.values() if x.is_done_by_hand}
        going = (x for x in self.steps.values() if x.item.root not in self.given_up)
        sent = (x for x in going if x.item.no_return and (x.has_begun or x.item.id in by_hand))
        asked = (x for x in sent if roots is None or x.item.root in roots)
        return next((x for x in asked if not (force and x.item.function.undo)), None)

    def objection(self, amendment: Amendment, *, force: bool) -> StepProgress | None:
        """The step that stands in the way of a revision: what was sent for a bundle that it changes (2.7, 5.4).

        What only billing is told may still change, until billing has closed.
        """
        barrier = self.barrier(force=force, roots=amendment.technical)
        return barrier or self._begun(amendment, CLOSES_BILLING)

    def objection_of_a_change(self, amendment: Amendment) -> StepProgress | None:
        """What billing was told of a change, and a revision wants told otherwise."""
        return self._begun(amendment, CHANGES_BILLING)

    def _begun(self, amendment: Amendment, functions: Collection[Function]) -> StepProgress | None:
        changed = (x for x in self.steps.values() if x.item.id in (*amendment.undo, *amendment.redo))
        return next((x for x in changed if x.has_begun and x.item.function in functions), None)

    def lost(self, amendment: Amendment) -> str | None:
        """A bundle that was given up, and that a revision wants otherwise instead of leaving it out, or as it was."""
        given_up = (x for x in amendment.roots if x in self.given_up)
        wanted = (x for x in given_up if any(step.item.id not in amendment.undo for step in self._own_steps(x)))
        return next(wanted, None)

    def amend(self, amendment: Amendment, *, by: Resolution) -> None:
        """From now on nothing more is begun for the bundles that are about to change.

        What is under way for them ends first, or is stopped where more than billing changes. The fallouts of steps that
        change are decided by it.
        """
        changed = frozenset((*amendment.undo, *amendment.redo))
        roots = dict.fromkeys(amendment.roots, False) | dict.fromkeys(amendment.technical, True)
        self.amending = Amending(roots, changed)
        for undecided in self.undecided.values():
            if undecided.fallout.step in changed and undecided.resolution is None:
                undecided.resolution = replace(by, fallout=undecided.fallout.id)

    @property
    def is_amendable(self) -> bool:
        """Whether nothing is under way any more that must not be while a revision changes it.

        That is steps, and what is being written down of fallouts and of bundles that were given up.
        """
        amending = self.amending
        if amending is None:
            return True
        working = (x.item for x in self.steps.values() if x.state is StepState.IN_PROGRESS)
        asked = (x for x in self.undecided.values() if amending.concerns(self.steps[x.fallout.step].item))
        undoing = (root for root, ending in self.given_up.items() if root in amending.roots and not ending.is_undone)
        return not (
            any(map(amending.stops, working))
            or any(not x.is_on_record or x.resolution is not None for x in asked)
            or any(undoing)
        )

    def to_take_back(self, amendment: Amendment) -> list[StepProgress]:
        """The steps to be undone for a revision, last first: what is not wanted, and what is in doubt and changes.

        What can be replaced stands until it is.
        """
        found = [x for x in reversed(self.steps.values()) if x.may_stand and x.item.root not in self.given_up]
        doubtful = {x.item.id for x in found if x.item.id in amendment.redo and x.resent and not x.is_replaceable}
        return [x for x in found if x.item.id in amendment.undo or x.item.id in doubtful]

    def redo(self, amendment: Amendment, *, before: OrderRef) -> dict[str, int]:
        """The steps that are carried out anew, with their generations: what they did ``before`` stands until then.

        Among them those that an earlier revision did without: should they be in the plan again, they are new.
        """
        steps = (self.steps[x] for x in amendment.redo if x in self.steps)
        again = {x.item.id: x.generation for x in steps if x.item.root not in self.given_up and x.anew(before)}
        return again | {id_: x.generation for id_, x in self.dropped.items()}

    def replan(self, decomposition: Decomposition) -> None:
        """Take over the plan of a revision: steps that are in both go on from where they are."""
        for step in self.dropped.values():
            step.state = StepState.PENDING
        known = self.dropped | self.steps
        steps = {x.id: known[x.id] if x.id in known else StepProgress(x) for x in decomposition.items}
        for item in decomposition.items:
            steps[item.id].item = item
        given_up = {x: step for x, step in self.steps.items() if step.item.root in self.given_up}
        self.dropped = {x: step for x, step in known.items() if x not in given_up | steps}
        self._plan_is(decomposition, given_up | steps)

    def fall_out(
        self,
        step: StepProgress,
        *,
        id: str,  # noqa: A002
        account: str,
        code: str,
        message: str,
        refused: bool,
        lines: tuple[str, ...] = (),
    ) -> Undecided:
        """Park a step until a person decides about it; ``lines`` are those it fell out for, where that is known."""
        step.state = StepState.HELD
        item = step.item
        fallout = Fallout(
            id=id,
            ref=self.ref,
            account=account,
            step=item.id,
            lines=lines or (item.root if item.function is Function.SYNC_CUSTOMER else item.subject,),
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

    def had_its_turn(self, id: str) -> datetime | None:  # noqa: A002
        """When the bundle of a step that changes what is installed came to have it for itself."""
        item = self.steps[id].item
        claims = (x.at for x in self.bundles[item.root] if x.item.function is Function.CLAIM)
        return next(claims, None) if item.function in ON_THE_NETWORK else None

    def bundles_of(self, item: PlanItem) -> set[str]:
        """The bundles that cannot end well without a step: its own, or where several share it all that wait for it."""
        if not _is_shared(item):
            return {item.root}
        return {x.item.root for x in self.steps.values() if item.id in x.item.depends_on} or {item.root}

    def is_given_up(self, item: PlanItem) -> bool:
        """Whether a step is not to be carried out any more: nobody is left who needs it."""
        if not self.given_up or not _is_shared(item):
            return item.root in self.given_up
        return self.bundles_of(item) <= self.given_up.keys()

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

    @property
    def waits_for(self) -> str:
        """What the order waits for when there is nothing else to do: its turn at assets, or a day; else nothing."""
        if self.queued:
            return next(iter(self.queued.values()))
        later = [x for root, x in self.due.items() if root not in self.given_up]
        return f"due {min(later):%Y-%m-%d %H:%M} UTC" if later else ""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return all(x.state in SETTLED or self.is_given_up(x.item) for x in self.steps.values())

    def is_to_stop(self, items: Sequence[PlanItem]) -> bool:
        """Whether no further attempt is wanted at something that is under way."""
        amending = self.amending
        return any(self.is_given_up(x) or (amending is not None and amending.stops(x)) for x in items)

    def is_to_go_on(self, item: PlanItem, *, refused: bool) -> bool:
        """Whether nobody is to be asked about a step that went wrong, because a revision that was accepted changes it.

        What was only stopped for its sake goes on when it is in force; a definite no to what stays is one.
        """
        amending = self.amending
        if amending is None:
            return False
        return item.id in amending.steps or (amending.stops(item) and not refused)

    def is_busy(self, root: str) -> bool:
        """Whether anything of a bundle is under way or waits for a person, or is being taken back by a revision."""
        amending = self.amending
        undoing = amending is not None and amending.is_undoing and root in amending.roots
        return undoing or any(x.state in BUSY for x in self._own_steps(root))

    def shares_what_is_busy(self, root: str) -> bool:
        """Whether a step that a bundle shares is given up with it, and still under way or waits for a person."""
        shared = (x.item for x in self.steps.values() if x.state in BUSY and _is_shared(x.item))
        return any(root in (x.root, *self.bundles_of(x)) and self.is_given_up(x) for x in shared)

    def _own_steps(self, root: str) -> list[StepProgress]:
        """The steps of a bundle that it shares with no other one."""
        return [x for x in self.bundles[root] if not _is_shared(x.item)]

    def is_amended(self, root: str) -> bool:
        """Whether a revision is about to change a bundle."""
        return self.amending is not None and root in self.amending.roots

    def to_undo(self, root: str) -> list[StepProgress]:
        """The steps of a bundle that may have had an effect that can be taken back, last first (2.7)."""
        return [x for x in reversed(self.bundles[root]) if x.may_stand]

    def is_about(self, line: str) -> bool:
        """Whether any step is about a line."""
        return any(line in (x.item.subject, *x.item.lines) for x in self.steps.values())

    def title(self, items: Sequence[PlanItem]) -> str:
        """The lines that steps are about, as an operator reads it beside an activity."""
        return ", ".join(self.lines.get(x.subject, x.subject) for x in items)[:200]


def _is_shared(item: PlanItem) -> bool:
    """Whether steps of several bundles may wait for a step: billing is told of an account once."""
    return item.function is Function.SYNC_CUSTOMER
