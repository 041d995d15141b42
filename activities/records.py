"""The order's own records: validate, decompose, asset, and every state in between."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import TypeAdapter
from temporalio import activity

from activities.journal import Answers, Journal, Send, Sending
from activities.messages import (
    Amendment,
    Approved,
    Decomposition,
    Ended,
    Freed,
    LineTitle,
    Opened,
    Outcome,
    PlanRest,
    Revising,
    RootEnd,
    Taken,
    Transition,
    Validation,
)
from domain.approval import Approval, approvals
from domain.asset import Busy
from domain.billing import Account, Billed
from domain.change import due
from domain.facts import Facts
from domain.fallout import DUE, DueTimes, FalloutType, priority
from domain.in_flight import Correction, InFlight
from domain.installation import Completed, Installation, changes, closing_steps, installed
from domain.inventory import Reservation
from domain.neighbour import Refused
from domain.order import FINAL, Action, Order, State, key
from domain.plan import Function, Plan, PlanItem, System, Undo
from domain.progress import Assessment, Closing, Done, Fallout, Judgment, Late, OrderRef, Revised, Standing
from domain.propagation import STATE_ONLY, PropagatedFields, propagate
from domain.provisioning import Working
from domain.revision import Comparison, compare
from domain.validation import validate
from domain.violation import Violation

SHOWN_LINES = 40
"""How many lines an operator is shown in the run's details."""

SHOWN_VIOLATIONS = 50
"""How many broken rules a run is told of."""

PAGE = 250
"""How many steps of a plan a run is told at once: below 256 KB whatever the ids of the lines (W1)."""

BUSY_S = 3_600.0
"""How long a bundle waits for its assets, in seconds, before it asks again without having been told that it can."""

_RESERVATION = TypeAdapter(Reservation)
_BILLED = TypeAdapter(Billed)


class Accounts(Protocol):
    """Billing accounts as billing is told of them."""

    def account(self, id: str) -> Account:  # noqa: A002
        """The account."""
        ...

    def synchronized(self, id: str, *, at: datetime) -> None:  # noqa: A002
        """Write down that billing knows the account."""
        ...


class Beginning(Protocol):
    """How an order begins, while nobody else decides about its assets."""

    @property
    def facts(self) -> Facts:
        """What is known of the accounts, profiles and assets the order mentions."""
        ...

    def may_claim(self, root: str) -> bool:
        """Whether the only bundle of an order that breaks no rule may change its assets already."""
        ...

    def planned(self, items: Sequence[PlanItem], *, context: Sequence[str], claimed: Mapping[str, Done]) -> bool:
        """Store the plan and begin, with the claims of bundles, by root: from now on nobody else changes their assets.

        Order and lines are in progress, context lines completed. Twice is once: whether there was no plan yet.
        """
        ...


class Records(Journal, Protocol):
    """The order's own rows."""

    def beginning(self, in_flight: InFlight) -> AbstractContextManager[Beginning]:
        """An order that is about to begin; what is written in the block is one transaction."""
        ...

    def facts(self, in_flight: InFlight) -> Facts:
        """What is known of the accounts, profiles and assets the order mentions."""
        ...

    def claim(self, in_flight: InFlight, root: str) -> Busy | tuple[Violation, ...]:
        """Let a bundle, and nobody else, change its assets; who comes first, or what it breaks, if it may not."""
        ...

    def unclaim(self, order: str, root: str) -> None:
        """Let others change what a bundle has claimed; harmless when it has claimed nothing."""
        ...

    def standing(self, order: str) -> Standing:
        """How far the order is."""
        ...

    def synchronizations(self, order: str) -> frozenset[str]:
        """The accounts that billing is told of by the stored plan."""
        ...

    def transition(self, order: str, state: State, *, reason: str | None, begun: bool) -> None:
        """Bring the order to a state it is not in yet."""
        ...

    def approve(self, order: str, approval: Approval, *, request: str, then: str | None) -> None:
        """Write down a verdict on an order; one that is rejected ends there. Twice is once."""
        ...

    def states(self, order: str) -> Mapping[str, State]:
        """The present states of the order's lines."""
        ...

    def assess(self, assessment: Assessment) -> None:
        """Write down that a cancellation was asked for, by whom, and whether it was accepted."""
        ...

    def has_revision(self, ref: OrderRef) -> bool:
        """Whether a revision of the order was submitted."""
        ...

    def judge(self, judgment: Judgment) -> str | None:
        """Write down whether a revision is accepted; the code with which it is not. Twice is once."""
        ...

    def revise(self, revised: Revised, order: Order, items: Sequence[PlanItem], comparison: Comparison) -> State | None:
        """Let a revision be in force; the order's state when nothing of it is left to do. Twice is once."""
        ...

    def open_fallout(
        self, fallout: Fallout, *, priority: int, due: timedelta, lines: Mapping[str, State]
    ) -> Late | None:
        """Open a fallout, hold its step, and bring lines to the states given. Twice is once.

        Nothing of that, but an answer, if the step is done by now.
        """
        ...

    def close_fallout(self, closing: Closing, *, lines: Mapping[str, State]) -> None:
        """Close a fallout with the decision taken, and bring lines to the states given. Twice is once."""
        ...

    def correct(self, ref: OrderRef, correction: Correction) -> None:
        """Add an operator's correction as the one numbered ``ref.corrections``."""
        ...

    def end_root(self, order: str, root: str, state: State) -> State | None:
        """Bring a root bundle's open lines to a final state; the order's state when that was the last of it."""
        ...


@dataclass(frozen=True)
class RecordActivities:
    """What happens to an order's own rows.

    ``clock`` dates what nothing delivered; ``propagated`` are the fields that lines take over from the bundle above
    them, as configured (B29); ``due`` says when a fallout is due.
    """

    records: Records
    clock: Callable[[], datetime]
    propagated: PropagatedFields = STATE_ONLY
    due: DueTimes = field(default_factory=lambda: DUE)

    @activity.defn(no_thread_cancel_exception=True)
    def validate(self, ref: OrderRef) -> Validation:
        """Whether the order still breaks no rule, now that its turn has come; if so it is decomposed (W2).

        What an earlier run has begun is not judged once more.
        """
        in_flight = self.records.load(ref)
        with self.records.beginning(in_flight) as beginning:
            violations = validate(in_flight.order, in_flight.catalog, beginning.facts)
            begun = None if violations else self._begun(in_flight, beginning)
        if violations and not self.records.standing(ref.order).is_planned:
            told = violations[:SHOWN_VIOLATIONS]
            return Validation(violations=tuple(f"{x.code} {x.line or ''}".strip() for x in told))
        return Validation(decomposition=begun or self._stored(in_flight))

    @activity.defn(no_thread_cancel_exception=True)
    def decompose(self, ref: OrderRef) -> Decomposition:
        """Decompose an order that was validated when that was a step of its own."""
        in_flight = self.records.load(ref)
        with self.records.beginning(in_flight) as beginning:
            begun = self._begun(in_flight, beginning)
        return begun or self._stored(in_flight)

    def _begun(self, in_flight: InFlight, beginning: Beginning) -> Decomposition | None:
        """Decompose the order, store its plan and begin (W2, B34), unless a plan is stored already."""
        order = in_flight.order
        plan = in_flight.plan(unsynced_accounts=beginning.facts.unsynced_accounts)
        page = self._page(plan, in_flight, after=0)
        claimed = self._claimed_at_once(plan, in_flight, beginning, but=page.due)
        context = [x.id for x in order.lines if x.action is Action.NONE]
        if not beginning.planned(plan.items, context=context, claimed=claimed):
            return None
        return replace(page, claimed={x.step: x.at for x in claimed.values()})

    def _stored(self, in_flight: InFlight) -> Decomposition:
        """The plan that an earlier attempt, or an earlier run, has stored: it stays, with what came of it since.

        Billing may have been told of an account meanwhile, and the order may have been revised.
        """
        standing = self.records.standing(in_flight.id)
        return replace(self.plan_rest(PlanRest(ref=standing.ref, after=0)), standing=standing)

    @activity.defn(no_thread_cancel_exception=True)
    def standing(self, ref: OrderRef) -> Standing:
        """How far the order is by our rows; changes nothing."""
        return self.records.standing(ref.order)

    @activity.defn(no_thread_cancel_exception=True)
    def plan_rest(self, rest: PlanRest) -> Decomposition:
        """The page of the stored plan that comes after its first steps."""
        in_flight = self.records.load(rest.ref)
        plan = in_flight.plan(unsynced_accounts=self.records.synchronizations(in_flight.id))
        return self._page(plan, in_flight, after=rest.after)

    def _page(self, plan: Plan, in_flight: InFlight, *, after: int) -> Decomposition:
        """A page of the plan, the first one with the titles of the first lines and what is not due yet."""
        items = tuple(replace(item, lines=()) for item in plan.items[after : after + PAGE])
        rest = Decomposition(items=items, in_a_row=plan.in_a_row, more=len(plan.items) > after + PAGE)
        if after:
            return rest
        titles = tuple(LineTitle(id=x.id, product=x.product) for x in in_flight.order.lines[:SHOWN_LINES])
        return replace(rest, lines=titles, due=self._later(plan, in_flight.order))

    def _later(self, plan: Plan, order: Order) -> Mapping[str, datetime]:
        """The bundles that change assets and are not due yet."""
        now = self.clock()
        roots = (x.root for x in plan.items if x.function is Function.CLAIM)
        found = {root: due(order, root, arrived=now) for root in roots}
        return {root: at for root, at in found.items() if at > now}

    def _claimed_at_once(
        self, plan: Plan, in_flight: InFlight, beginning: Beginning, *, but: Collection[str]
    ) -> Mapping[str, Done]:
        """The claim of what an order with one bundle changes, if it is due and nobody is before it; by root.

        What is not granted so is asked for by a step, which waits or falls out.
        """
        items = [x for x in plan.items if x.function is Function.CLAIM and x.root not in but]
        if len(items) != 1 or len(in_flight.order.bundles) != 1 or not beginning.may_claim(items[0].root):
            return {}
        (item,) = items
        done = Done(step=item.id, key=key(in_flight.id, item.subject, item.function, 0), at=self.clock())
        return {item.root: done}

    @property
    def sends(self) -> Mapping[Function, Send]:
        """How we carry out what is done on our own records."""
        return {Function.ASSET: self._install, Function.CLAIM: self._claim}

    def _claim(self, sending: Sending) -> Done | Working | Refused:
        """Let nobody else change the assets of a bundle (I20), which has to be lawful still, now that it is time."""
        item = sending.item
        match self.records.claim(sending.in_flight, item.root):
            case Busy(number=number):
                return Working(key=sending.key, again_in_s=BUSY_S, why=f"asset_busy: order {number}")
            case ():
                return Done(step=item.id, key=sending.key, at=self.clock())
            case broken:
                return Refused(code=broken[0].code, message="; ".join(f"{x.line}: {x.message}" for x in broken))

    @activity.defn(name=Undo.UNCLAIM.value, no_thread_cancel_exception=True)
    def unclaim(self, taken: Taken) -> None:
        """Let others change the assets that a bundle has claimed."""
        item = self.records.load(taken.ref).item(taken.step.id)
        self.records.unclaim(taken.ref.order, item.root)
        self.records.undone(taken.ref.order, step=item.id)

    def _install(self, sending: Sending) -> Done:
        """Find what becomes of the assets of a bundle; it is written down with its last steps (A02, A11, C21, F05)."""
        in_flight, item, at = sending.in_flight, sending.item, self.clock()
        completed = _completed(sending.earlier, closing_steps(in_flight, item.root))
        tree = sending.tree()
        installation = Installation(
            root=item.root,
            assets=installed(in_flight, item, completed, at=at, tree=tree),
            delivered=self._dates(in_flight, item, completed),
            changed=changes(in_flight, item, completed, at=at, tree=tree),
            claimed=f"{Function.CLAIM}:{item.root}" in in_flight.items,
        )
        return Done(step=item.id, key=sending.key, at=at, installation=installation)

    def _dates(self, in_flight: InFlight, item: PlanItem, completed: Completed) -> Mapping[str, datetime]:
        """When each line of a bundle was delivered: by itself, or if so configured with the bundle above it (B29)."""
        dates: dict[str, datetime] = {}
        states = dict.fromkeys(in_flight.order.by_id, State.IN_PROGRESS)
        for line in in_flight.lines(item):
            if (at := completed.delivered.get(line.id)) is not None:
                values = {"actual_delivery_at": at}
                found = propagate(in_flight.decomposed, line, values, states=states, fields=self.propagated)
                dates |= dict.fromkeys(found.changes, at)
        return dates

    @activity.defn(no_thread_cancel_exception=True)
    def transition(self, transition: Transition) -> Freed | None:
        """Bring the order to a state, and say why; who waits for its assets, should it be final."""
        asked = transition
        self.records.transition(asked.ref.order, asked.state, reason=asked.reason, begun=asked.begun)
        if asked.state not in FINAL:
            return None
        in_flight, now = self.records.load(asked.ref), self.clock()
        if not in_flight.order.is_about_assets:
            return None
        found = (self.records.next_on(in_flight, root, now=now) for root in in_flight.order.bundles)
        return Freed(wakes=tuple(dict.fromkeys(x for x in found if x is not None)))

    @activity.defn(no_thread_cancel_exception=True)
    def compare(self, revising: Revising) -> Amendment:
        """What a revision of the order would make of its plan (2.7); changes nothing."""
        if not self.records.has_revision(revising.ref):
            return Amendment(unknown=True)
        before, after = self.records.load(revising.before), self.records.load(revising.ref)
        stored = self.records.synchronizations(after.id)
        told = self.records.facts(after).unsynced_accounts | stored
        comparison = compare(before, after)
        kept = {x.id for x in after.plan(unsynced_accounts=told).items}
        unneeded = [x for x in (f"{Function.SYNC_CUSTOMER}:{account}" for account in sorted(stored)) if x not in kept]
        return Amendment(
            synchronizations=tuple(sorted(told)),
            undo=(*comparison.undo, *unneeded),
            redo=comparison.redo,
            roots=comparison.roots,
            technical=comparison.technical,
            requested_start=after.order.requested_start,
            approvals=approvals(after.order, after.catalog),
        )

    @activity.defn(no_thread_cancel_exception=True)
    def judge(self, judgment: Judgment) -> str | None:
        """Write down whether a revision is accepted (2.3): the code when it is not, as the order may have ended."""
        return self.records.judge(judgment)

    @activity.defn(no_thread_cancel_exception=True)
    def revise(self, revised: Revised) -> Ended:
        """Let a revision be in force: its lines, its plan (2.7)."""
        before, after = self.records.load(revised.before), self.records.load(revised.ref)
        told = frozenset(revised.synchronizations)
        items = after.plan(unsynced_accounts=told).items if revised.planned else ()
        return Ended(order_state=self.records.revise(revised, after.order, items, compare(before, after)))

    @activity.defn(no_thread_cancel_exception=True)
    def assess(self, assessment: Assessment) -> None:
        """Write down that a cancellation was asked for, and the answer (2.3)."""
        self.records.assess(assessment)

    @activity.defn(no_thread_cancel_exception=True)
    def approve(self, approved: Approved) -> None:
        """Write down that somebody has approved the order, or rejected it (F31)."""
        self.records.approve(approved.ref.order, approved.approval, request=approved.request, then=approved.then)

    @activity.defn(no_thread_cancel_exception=True)
    def open_fallout(self, fallout: Fallout) -> Opened:
        """Put a step that needs a person on the work list, unless it is done by now."""
        urgency = priority(
            FalloutType(fallout.type),
            code=fallout.code,
            function=fallout.step.partition(":")[0],
            order_priority=self.records.load(fallout.ref).order.priority,
        )
        lines = self._propagated(fallout.ref, fallout.lines, State.HELD)
        within = self.due[urgency]
        late = self.records.open_fallout(fallout, priority=urgency, due=within, lines=lines)
        done = None if late is None else Outcome(step=fallout.step, at=late.at, order_state=late.order_state)
        return Opened(priority=urgency, due_at=self.clock() + within, done=done)

    @activity.defn(no_thread_cancel_exception=True)
    def close_fallout(self, closing: Closing) -> None:
        """Take a decided fallout off the work list; a correction becomes part of the order."""
        if closing.correction is not None:
            self.records.correct(closing.ref, closing.correction)
        lines = self.records.load(closing.ref).item(closing.step).lines
        self.records.close_fallout(closing, lines=self._propagated(closing.ref, lines, closing.line_state))

    @activity.defn(no_thread_cancel_exception=True)
    def end_root(self, end: RootEnd) -> Ended:
        """Give a root bundle up, after what was done for it is undone."""
        state = self.records.end_root(end.ref.order, end.root, end.state)
        in_flight = self.records.load(end.ref)
        return Ended(order_state=state, wakes=self.records.next_on(in_flight, end.root, now=self.clock()))

    def _propagated(self, ref: OrderRef, lines: Sequence[str], state: State) -> Mapping[str, State]:
        """The lines that take a state when some do: a bundle's reaches all below it, never the other way (B27, B28)."""
        decomposed, states = self.records.load(ref).decomposed, self.records.states(ref.order)
        reached = dict[str, State]()
        for line in lines:
            found = propagate(
                decomposed,
                decomposed.order.by_id[line],
                {"state": state},
                states={**states, **reached},
                fields=self.propagated,
            )
            reached |= dict.fromkeys(found.changes, state)
        return reached


def _completed(earlier: Answers, steps: Iterable[PlanItem]) -> Completed:
    items = {x.id: x for x in steps}
    reservation: Reservation | None = None
    delivered: dict[str, datetime] = {}
    billed: dict[str, Billed] = {}
    for id_, answer in earlier.of(items).items():
        item = items[id_]
        if item.function is Function.RESERVE:
            reservation = _RESERVATION.validate_python(answer)
        elif item.function.system is System.BILLING:
            billed[item.subject] = _BILLED.validate_python(answer)
        else:
            delivered |= dict.fromkeys(item.lines, datetime.fromisoformat(answer["at"]))
    return Completed(reservation=reservation, delivered=delivered, billed=billed)
