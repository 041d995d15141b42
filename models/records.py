"""Repeat-safe changes of an order's own rows: the second time without effect. The statements: ``models.statements``."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, text

from domain.approval import Approval, Verdict
from domain.asset import NO_TREE, Asset, Busy, Tree
from domain.billing import Account
from domain.change import ahead, due
from domain.facts import Facts, lookups
from domain.fallout import FalloutState, step_subject
from domain.in_flight import Correction, InFlight, corrected
from domain.installation import InstalledAsset
from domain.order import FINAL, NEXT, Order, State, asset_id, key, roll_up
from domain.plan import PlanItem
from domain.progress import Assessment, Closing, Done, Fallout, Judgment, Late, OrderRef, Revised, Standing
from domain.revision import Comparison, RevisionState
from domain.validation import validate
from domain.violation import Violation
from models import assets, catalogs
from models.facts import facts, with_assets
from models.statements import fallouts, installing, orders, plans, revisions
from sql.connections import autocommit
from sql.prepared import Prepared

ORDER = TypeAdapter(Order)
_CORRECTIONS = TypeAdapter(tuple[Correction, ...])
_DONES = TypeAdapter(Sequence[Done])
_NOT_A_COLUMN: Any = {"__all__": {"installation"}}
_ASSETS = TypeAdapter(Sequence[InstalledAsset])
_CHANGED_ASSETS = TypeAdapter(Sequence[Asset])
_CORRECTION = TypeAdapter(Correction)
REMEMBERED_ORDERS = 1_000
Parameter = Any
"""What PostgreSQL takes as a value."""


@dataclass(frozen=True)
class PostgresRecords:
    """The order's own rows; satisfies what the activities ask of ``Records``, ``Journal`` and ``Accounts``."""

    engine: Engine

    def load(self, ref: OrderRef) -> InFlight:
        """The order under way; remembered, because a revision with its corrections never changes."""
        return _load(self.engine, ref)

    def facts(self, in_flight: InFlight) -> Facts:
        """What is known of the accounts, profiles and assets the order mentions."""
        with autocommit(self.engine) as connection:
            return _facts(connection, in_flight)

    def tree(self, in_flight: InFlight, root: str) -> Tree:
        """The assets that a bundle is about, with all of their trees, as they stand."""
        about = _about(in_flight, root)
        if not about:
            return NO_TREE
        with autocommit(self.engine) as connection:
            return {x.id: x for x in assets.trees(connection, about)}

    @contextmanager
    def beginning(self, in_flight: InFlight) -> Iterator["PostgresBeginning"]:
        """What is known when an order begins; nobody else decides about its assets until the block ends."""
        with assets.deciding(self.engine, lookups(in_flight.order).assets) as connection:
            yield PostgresBeginning(connection, in_flight, _facts(connection, in_flight))

    def claim(self, in_flight: InFlight, root: str) -> Busy | tuple[Violation, ...]:
        """Let a bundle, and nobody else, change its assets from now on (I20): in the order in which changes are due.

        Who comes first; or what the bundle breaks, now that it comes to it: it has nothing then.
        """
        about = _about(in_flight, root)
        with assets.deciding(self.engine, about) as connection:
            found = _facts(connection, in_flight)
            objection = _objection(connection, in_flight, found, root)
            if objection == ():
                assets.claim(connection, found.assets[about[0]].root, order=in_flight.id, root=root)
            return objection

    def unclaim(self, order: str, root: str) -> None:
        """Let others change what a bundle has claimed; harmless when it has claimed nothing."""
        with autocommit(self.engine) as connection:
            assets.unclaim(connection, order=order, root=root)

    def next_on(self, in_flight: InFlight, root: str, *, now: datetime) -> str | None:
        """The order that waits for the assets of a bundle and comes next."""
        about = _about(in_flight, root)
        if not about:
            return None
        with autocommit(self.engine) as connection:
            return assets.next_on(connection, about, order=in_flight.id, now=now)

    def states(self, order: str) -> Mapping[str, State]:
        """The present states of the order's lines."""
        with autocommit(self.engine) as connection:
            return _line_states(connection, order)

    def standing(self, order: str) -> Standing:
        """How far the order is: what is in force, and the steps that are done, skipped, or may have happened."""
        with autocommit(self.engine) as connection:
            row = connection.execute(plans.STANDING, {"order": order}).one()
        return Standing(
            ref=OrderRef(order=order, revision=row.revision, corrections=row.corrections),
            state=State(row.state),
            is_planned=row.is_planned,
            done=row.done or {},
            sent=tuple(row.sent),
            asked=row.asked or {},
            fallouts=row.fallouts,
            given_up={root: State(state) for root, state in (row.given_up or {}).items()},
            redone=row.redone or {},
        )

    def synchronizations(self, order: str) -> frozenset[str]:
        """The accounts that billing is told of by the stored plan."""
        stored = text("""
            SELECT subject FROM orderloom.plan_items
             WHERE order_id = CAST(:order AS uuid) AND function = 'sync_customer'
        """)
        with autocommit(self.engine) as connection:
            return frozenset(connection.execute(stored, {"order": order}).scalars())

    def sent(self, order: str, *, steps: Sequence[str]) -> bool:
        """Write down, before it happens, that steps are sent past which there is no return; ``False``: none may be."""
        with autocommit(self.engine) as connection:
            return bool(plans.SENT.on(connection, order=order, steps=list(steps)).scalar_one())

    def unsent(self, order: str, *, steps: Sequence[str]) -> None:
        """Write down that steps that were about to be sent were not: they are still to come."""
        with autocommit(self.engine) as connection:
            connection.execute(plans.UNSENT, {"order": order, "steps": list(steps)})

    def done(self, in_flight: InFlight, done: Sequence[Done], *, asked: bool = False) -> State | None:
        """Write down that steps are done, with the last of a bundle its assets and the end of its lines.

        The order's state when that was the last of it. What a person was ``asked`` before is withdrawn; otherwise
        nothing is written once somebody is asked about one of the steps.
        """
        rows = _DONES.dump_json(done, exclude=_NOT_A_COLUMN).decode()
        last = next((x for x in done if x.installation is not None), None)
        if last is None or last.installation is None:
            self._change(plans.DONE_STEPS, in_flight.id, done=rows, asked=asked)
            return None
        installation = last.installation
        parameters = {
            "done": rows,
            "asked": asked,
            "last": last.step,
            "unrevised": False,
            "assets": _ASSETS.dump_json(installation.assets).decode(),
            "delivered": json.dumps({line: at.isoformat() for line, at in installation.delivered.items()}),
        }
        alone = len(in_flight.order.bundles) == 1 and in_flight.revision == 0
        statement = installing.INSTALL
        if installation.claimed:
            statement = installing.INSTALL_CHANGES
            parameters["changed"] = _CHANGED_ASSETS.dump_json(installation.changed).decode()
        steps = [x.step for x in done]
        return self._end(
            statement, in_flight.id, installation.root, State.COMPLETED, alone=alone, steps=steps, **parameters
        )

    def failed(self, order: str, *, step: str, key: str, error: str, undo_refused: bool = False) -> None:
        """Write down one more failed attempt, and its error."""
        self._change(plans.FAILED, order, step=step, key=key, error=error[:1_000], undo_refused=undo_refused)

    def undo_refusals(self, order: str, *, step: str) -> int:
        """How often it was refused to take a step back."""
        with autocommit(self.engine) as connection:
            return int(plans.UNDO_REFUSALS.on(connection, order=order, step=step).scalar_one_or_none() or 0)

    def undone(self, order: str, *, step: str) -> None:
        """Write down that a step is taken back."""
        self._change(plans.UNDONE, order, step=step)

    def results(self, order: str, steps: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The answers written down for steps that are done, by step id; each with the ``key`` that did it.

        Of a step that was skipped the ``at`` that was said.
        """
        with autocommit(self.engine) as connection:
            rows = plans.RESULTS.on(connection, order=order, steps=list(steps))
            return {row.id: {**row.result, "key": row.key} for row in rows}

    def end_root(self, order: str, root: str, state: State) -> State | None:
        """Bring a root bundle's open lines to a final state; the order's state when that was the last of it."""
        return self._end(plans.END_ROOT, order, root, state, alone=False, line_state=state)

    def transition(self, order: str, state: State, *, reason: str | None, begun: bool) -> None:
        """Bring the order to a state it may follow into; its lines too while they have no lives of their own yet.

        It waits for its start, or for approval, only before it was ``begun``: a run that was reset does not know.
        """
        before = [x for x, after in NEXT.items() if state in after]
        if state is State.PENDING and not begun:
            before = [State.ACKNOWLEDGED]
        whole = state in (State.REJECTED, State.PENDING, State.CANCELLED)
        self._change(
            orders.TRANSITION, order, state=state, reason=reason, finished=state in FINAL, before=before, whole=whole
        )

    def assess(self, assessment: Assessment) -> None:
        """Write down that a cancellation was asked for, and what became of it: accepted, or the order goes on (2.3)."""
        cancellation, barrier = assessment.cancellation, assessment.barrier
        self._change(
            orders.ASSESSED,
            assessment.ref.order,
            state=State.PENDING_CANCELLATION if barrier is None else None,
            reason=cancellation.reason,
            actor=cancellation.actor,
            why=cancellation.reason,
            force=cancellation.force,
            barrier=barrier,
            request=assessment.request,
        )

    def approve(self, order: str, approval: Approval, *, request: str, then: str | None) -> None:
        """Write down a verdict on an order that waits for one; one that is rejected ends there."""
        rejected = approval.decision == Verdict.REJECT
        self._change(
            orders.APPROVED,
            order,
            state=State.REJECTED if rejected else State.PENDING,
            reason=f"rejected by {approval.actor}: {approval.reason}" if rejected else then,
            finished=rejected,
            actor=approval.actor,
            why=approval.reason,
            request=request,
        )

    def has_revision(self, ref: OrderRef) -> bool:
        """Whether a revision of the order was submitted."""
        with autocommit(self.engine) as connection:
            asked = {"order": ref.order, "revision": ref.revision}
            return connection.execute(revisions.LOAD, asked).first() is not None

    def judge(self, judgment: Judgment) -> str | None:
        """Write down whether a revision is accepted; an accepted one keeps the order waiting until it is in force.

        The code of a refusal: ``NOT_OPEN`` also when it was to be accepted, and the order has ended meanwhile.
        """
        accepted = judgment.code is None
        superseded = judgment.code == "SUPERSEDED"
        self._change(
            revisions.JUDGED,
            judgment.ref.order,
            state=State.PENDING if accepted and judgment.planned else None,
            reason=f"revision {judgment.revision}",
            judgment=RevisionState.ACCEPTED if accepted else RevisionState.SUPERSEDED if superseded else "refused",
            revision=judgment.revision,
            code=judgment.code,
            step=judgment.step,
        )
        if not accepted:
            return judgment.code
        with autocommit(self.engine) as connection:
            asked = {"order": judgment.ref.order, "revision": judgment.revision}
            code: str | None = connection.execute(revisions.JUDGMENT, asked).scalar_one()
        return code

    def revise(self, revised: Revised, order: Order, items: Sequence[PlanItem], comparison: Comparison) -> State | None:
        """Let an accepted revision be in force; the order's state when nothing of it is left to do."""
        ref = revised.ref
        again = {x.id: revised.again[x.id] for x in items if x.id in revised.again}
        body = {
            "revision": ref.revision,
            "added": comparison.added,
            "dropped": comparison.dropped,
            "again": list(again),
            "undone": comparison.undo,
        }
        with self.engine.begin() as connection:
            connection.execute(plans.ALL_FIRST, {"order": ref.order})
            now = connection.execute(
                text("SELECT state FROM orderloom.orders WHERE id = CAST(:order AS uuid) FOR UPDATE"),
                {"order": ref.order},
            ).scalar_one()
            connection.execute(revisions.FORMER, {"order": ref.order, "revision": ref.revision})
            applied = _apply(
                connection,
                revisions.REVISED,
                ref.order,
                State.IN_PROGRESS if revised.planned else None if revised.waits_for is None else State.PENDING,
                reason=revised.waits_for or None,
                revision=ref.revision,
                assets=[asset_id(ref.order, line) for line in order.lines],
                dropped=list(comparison.dropped),
                items=_plan_rows(items),
                again=json.dumps({x: _step_key(ref.order, x, y) for x, y in again.items()}),
                planned=revised.planned,
                body=json.dumps(body),
            )
            if not applied:
                return State(now) if now in FINAL else None
            lines = frozenset(x for states in _root_states(connection, ref.order).values() for x in states)
            if not (revised.planned and lines and lines <= FINAL):
                return None
            end = roll_up(lines)
            _apply(connection, orders.FINISHED, ref.order, end, finished=True)
            return end

    def open_fallout(
        self, fallout: Fallout, *, priority: int, due: timedelta, lines: Mapping[str, State]
    ) -> Late | None:
        """Open a fallout and hold its step and lines; or say that the step is done by now."""
        row = asdict(fallout)
        order = row.pop("ref")["order"]
        row |= {
            "subject": step_subject(order, fallout.step),
            "line": fallout.lines[0],
            "priority": priority,
            "due_s": due.total_seconds(),
            "lines": json.dumps(lines),
        }
        if self._change(fallouts.OPEN, order, **row):
            return None
        with autocommit(self.engine) as connection:
            late = fallouts.LATE.on(connection, order=order, step=fallout.step).first()
        return None if late is None else Late(at=late.at, order_state=late.order_state and State(late.order_state))

    def close_fallout(self, closing: Closing, *, lines: Mapping[str, State]) -> None:
        """Close a fallout with the decision taken."""
        resolution = closing.resolution
        self._change(
            fallouts.CLOSE,
            closing.ref.order,
            id=resolution.fallout,
            decision=resolution.decision,
            actor=resolution.actor,
            why=resolution.reason,
            step=closing.step,
            step_state="skipped" if closing.skipped else "pending",
            actual=closing.actual,
            fallout_state=FalloutState.CANCELLED if closing.withdrawn else FalloutState.CLOSED,
            lines=json.dumps(lines),
        )

    def correct(self, ref: OrderRef, correction: Correction) -> None:
        """Add an operator's correction as the one numbered ``ref.corrections``."""
        parameters = {"order": ref.order, "correction": _CORRECTION.dump_json(correction).decode()}
        with autocommit(self.engine) as connection:
            fallouts.CORRECT.on(connection, **parameters, before=ref.corrections - 1)

    def account(self, id: str) -> Account:  # noqa: A002
        """A billing account as billing is told of it."""
        with autocommit(self.engine) as connection:
            row = connection.execute(
                text("SELECT id, name, parent FROM orderloom.accounts WHERE id = :id"), {"id": id}
            ).one()
        return Account(id=row.id, name=row.name, owner=row.parent)

    def synchronized(self, id: str, *, at: datetime) -> None:  # noqa: A002
        """Write down that billing knows the account."""
        synchronized = text("UPDATE orderloom.accounts SET billing_synced_at = :at WHERE id = :id")
        with autocommit(self.engine) as connection:
            connection.execute(synchronized, {"id": id, "at": at})

    def _change(
        self,
        statement: Prepared,
        order: str,
        *,
        state: State | None = None,
        reason: str | None = None,
        finished: bool = False,
        **parameters: Parameter,
    ) -> bool:
        """Carry out a change; whether there was anything to change."""
        with autocommit(self.engine) as connection:
            return _apply(connection, statement, order, state, reason=reason, finished=finished, **parameters)

    def _end(
        self,
        statement: Prepared,
        order: str,
        root: str,
        state: State,
        *,
        alone: bool,
        steps: Sequence[str] = (),
        **parameters: Parameter,
    ) -> State | None:
        """Bring a root to its end and with the last root the order: under the order's lock where there are several.

        An order that pends for an accepted revision is ended by that, if nothing more is to be done (2.7). Whether
        a root is ``alone`` is for the statement to see as well: a revision may have come meanwhile.
        """
        if alone and self._change(
            statement, order, state=state, finished=True, root=root, **{**parameters, "unrevised": True}
        ):
            return state
        with self.engine.begin() as connection:
            before = plans.THESE_FIRST.on(connection, order=order, root=root, steps=list(steps)).scalar_one()
            roots = _root_states(connection, order)
            others = frozenset(x for other, states in roots.items() if other != root for x in states)
            mine = frozenset(state if x not in FINAL else x for x in roots.get(root, ()))
            cancelled = before == State.PENDING_CANCELLATION
            asked = {"order": order}
            waits = before == State.PENDING and connection.execute(revisions.WAITS, asked).scalar_one()
            ends = others <= FINAL and not waits
            end = roll_up(others | mine, cancelled=cancelled) if ends else None
            _apply(connection, statement, order, end, finished=end is not None, root=root, **parameters)
            return end


@dataclass(frozen=True, slots=True)
class PostgresBeginning:
    """How an order begins, while nobody else decides about its assets: with its plan, and what is done of it by then.

    Satisfies what the activities ask of ``Beginning``.
    """

    connection: Connection
    in_flight: InFlight
    facts: Facts

    def may_claim(self, root: str) -> bool:
        """Whether the only bundle of an order that breaks no rule may change its assets already (I20)."""
        ends = any(x.is_live and x.service_end is not None for x in self.facts.assets.values())
        is_asked = ends or self.facts.pending
        return not is_asked or _objection(self.connection, self.in_flight, self.facts, root) == ()

    def planned(self, items: Sequence[PlanItem], *, context: Sequence[str], claimed: Mapping[str, Done]) -> bool:
        """Store the plan and begin, with the claims of bundles, by root; whether it was new.

        Order and lines are in progress, context lines completed.
        """
        claims = [
            {"root": root, "asset": self.facts.assets[_about(self.in_flight, root)[0]].root, **row}
            for root, row in zip(claimed, _DONES.dump_python([*claimed.values()], mode="json"), strict=True)
        ]
        return _apply(
            self.connection,
            plans.PLANNED,
            self.in_flight.id,
            State.IN_PROGRESS,
            items=_plan_rows(items),
            context=list(context),
            claimed=json.dumps(claims),
            body=json.dumps({"steps": [x.id for x in items]}),
        )


def _objection(connection: Connection, in_flight: InFlight, found: Facts, root: str) -> Busy | tuple[Violation, ...]:
    """Why a bundle may not change its assets now: somebody comes first, or the rules that it breaks; nothing if it may.

    Asked where nobody else decides about them.
    """
    top = found.assets[_about(in_flight, root)[0]].root
    number = assets.holder(connection, top, order=in_flight.id, root=root)
    open_roots = _open_roots(connection, in_flight.id) if len(in_flight.order.bundles) > 1 else ()
    number = number or ahead(in_flight.order, found, root, still_open=open_roots)
    if number is not None:
        return Busy(number=number)
    order = replace(in_flight.order, lines=in_flight.order.bundles[root])
    as_it_stands = replace(found, pending=(), now=due(order, root, arrived=found.arrived))
    return validate(order, in_flight.catalog, as_it_stands)


def _about(in_flight: InFlight, root: str) -> list[str]:
    """The assets that a bundle is about."""
    return [x.asset for x in in_flight.order.bundles.get(root, ()) if x.asset]


def _apply(
    connection: Connection,
    statement: Prepared,
    order: str,
    state: State | None,
    *,
    reason: str | None = None,
    finished: bool = False,
    **parameters: Parameter,
) -> bool:
    values = {"order": order, "state": state, "reason": reason, "finished": finished, **parameters}
    return statement.on(connection, **values).first() is not None


def _step_key(order: str, step: str, generation: int) -> str:
    function, _, subject = step.partition(":")
    return key(order, subject, function, generation)


def _plan_rows(items: Sequence[PlanItem]) -> str:
    rows = [
        {
            "id": x.id,
            "position": position,
            "function": x.function,
            "system": x.function.system,
            "subject": x.subject,
            "root": x.root,
            "lines": x.lines,
            "depends_on": x.depends_on,
            "no_return": x.no_return,
        }
        for position, x in enumerate(items)
    ]
    return json.dumps(rows)


def _line_states(connection: Connection, order: str) -> Mapping[str, State]:
    rows = connection.execute(
        text("SELECT id, state FROM orderloom.order_lines WHERE order_id = CAST(:order AS uuid)"), {"order": order}
    )
    return {row.id: State(row.state) for row in rows}


def _facts(connection: Connection, in_flight: InFlight) -> Facts:
    mentioned = lookups(in_flight.order)
    known, (id_, number, arrived) = facts(connection, mentioned), (in_flight.id, in_flight.number, in_flight.arrived)
    return with_assets(connection, known, mentioned, arrived=arrived, order=id_, number=number)


def _open_roots(connection: Connection, order: str) -> frozenset[str]:
    return frozenset(root for root, states in _root_states(connection, order).items() if not states <= FINAL)


def _root_states(connection: Connection, order: str) -> Mapping[str, frozenset[State]]:
    rows: Iterable[Row[Any]] = connection.execute(
        text("""
            SELECT root, array_agg(DISTINCT state) AS states FROM orderloom.order_lines
             WHERE order_id = CAST(:order AS uuid) AND action <> 'none' GROUP BY root
        """),
        {"order": order},
    )
    return {row.root: frozenset(map(State, row.states)) for row in rows}


@lru_cache(maxsize=REMEMBERED_ORDERS)
def _load(engine: Engine, ref: OrderRef) -> InFlight:
    with autocommit(engine) as connection:
        row = orders.LOAD.on(connection, order=ref.order).one()
        document, included = row.document, row.corrections_included
        if ref.revision != row.revision:
            asked = {"order": ref.order, "revision": ref.revision}
            document, included = connection.execute(revisions.LOAD, asked).one()
    later = _CORRECTIONS.validate_python(row.corrections)[included : ref.corrections]
    order = corrected(ORDER.validate_python(document), later)
    decomposed = catalogs.decomposed(engine, order, row.catalog_version)
    return InFlight(
        id=ref.order, number=row.number, arrived=row.submitted_at, decomposed=decomposed, revision=ref.revision
    )
