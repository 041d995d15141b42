"""The work list beside the steps: what detectors find, what goes off by itself, who works on what, what is overdue.

Each change is one statement, and the second time without effect. The fallouts of steps are opened and closed with their
orders, in ``records``.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text

from domain.fallout import DUE, DueTimes, FalloutState, FalloutType, Finding, priority
from domain.order import FINAL
from models.tables import IS_OPEN, OF_A_STEP, quoted
from sql.connections import autocommit
from sql.prepared import Prepared

NO_DECISION = "none"
"""What was decided about what went away by itself."""
SYSTEM = "system"
"""Who closes and escalates what no person does."""
AT_ONCE = 500
"""How many fallouts are escalated by one statement; the next call takes the next."""

_IS_ID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""What the ids of orders look like; runs that somebody starts by hand have any."""


def _changes(sql: str) -> Prepared:
    """A statement whose CTE ``changed`` has a row (fallout, order_id, type, body) for each fallout it changed.

    Each is an event of its order, if it has one that has not ended. Answers the ids of the fallouts.
    """
    return Prepared(f"""
        WITH {sql},
        logged AS (
            UPDATE orderloom.orders AS o SET last_seq = o.last_seq + c.events
              FROM (SELECT order_id, count(*) AS events FROM changed GROUP BY order_id) AS c
             WHERE o.id = c.order_id AND o.state NOT IN ({quoted(FINAL)})
            RETURNING o.id, o.last_seq
        ),
        event AS (
            INSERT INTO orderloom.order_events (order_id, seq, type, body)
            SELECT l.id, l.last_seq + 1 - row_number() OVER (PARTITION BY l.id ORDER BY c.fallout DESC), c.type, c.body
              FROM changed AS c JOIN logged AS l ON l.id = c.order_id
        )
        SELECT fallout FROM changed
    """)  # noqa: S608 - built from constants of this module


_OPEN = _changes(f"""
    opened AS (
        INSERT INTO orderloom.fallouts
               (id, subject, order_id, account, step, line, type, code, message, priority, due_at)
        SELECT 'F-' || nextval('orderloom.findings'), f.subject, o.id, COALESCE(o.account, a.id),
               CASE WHEN o.id IS NOT NULL THEN f.step END, f.line, f.type, f.code, f.message, f.priority,
               now() + make_interval(secs => f.due_s)
          FROM jsonb_to_recordset(CAST(:findings AS jsonb)) AS f(
               subject text, type text, code text, message text, "order" text, account text, step text, line text,
               priority int, due_s float8)
          LEFT JOIN orderloom.orders AS o ON o.id = CASE WHEN f."order" ~ '{_IS_ID}' THEN CAST(f."order" AS uuid) END
          LEFT JOIN orderloom.accounts AS a ON a.id = f.account
         WHERE NOT EXISTS (SELECT FROM orderloom.fallouts AS x WHERE x.subject = f.subject AND x.{IS_OPEN})
            ON CONFLICT (subject) WHERE {IS_OPEN} DO NOTHING
        RETURNING id, order_id, code
    ),
    changed AS (
        SELECT id AS fallout, order_id, 'fallout_opened' AS type,
               jsonb_build_object('fallout', id, 'code', code) AS body
          FROM opened
    )
""")  # noqa: S608

_CLOSE = _changes(f"""
    closed AS (
        UPDATE orderloom.fallouts
           SET state = 'closed', closed_at = now(), decision = :decision, actor = :actor, reason = :reason
         WHERE subject = ANY(CAST(:subjects AS text[])) AND {OF_A_STEP} IS NOT TRUE AND {IS_OPEN}
        RETURNING id, order_id
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, reason)
        SELECT :actor, 'fallout.resolve', id, :decision, :reason FROM closed
    ),
    changed AS (
        SELECT id AS fallout, order_id, 'fallout_closed' AS type,
               jsonb_build_object('fallout', id, 'decision', CAST(:decision AS text), 'actor', CAST(:actor AS text))
                 AS body
          FROM closed
    )
""")  # noqa: S608

_ESCALATE = _changes(f"""
    late AS (
        SELECT id FROM orderloom.fallouts WHERE escalated_at IS NULL AND {IS_OPEN} AND due_at <= now()
         ORDER BY due_at LIMIT CAST(:limit AS int) FOR UPDATE SKIP LOCKED
    ),
    escalated AS (
        UPDATE orderloom.fallouts AS f SET escalated_at = now(), priority = greatest(f.priority - 1, 1)
          FROM late WHERE f.id = late.id
        RETURNING f.id, f.order_id, f.priority
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, body)
        SELECT '{SYSTEM}', 'fallout.escalate', id, 'accepted', jsonb_build_object('priority', priority) FROM escalated
    ),
    changed AS (
        SELECT id AS fallout, order_id, 'fallout_escalated' AS type,
               jsonb_build_object('fallout', id, 'priority', priority) AS body
          FROM escalated
    )
""")  # noqa: S608

_TAKE = _changes(f"""
    wanted AS (
        SELECT id, CASE WHEN CAST(:hands_over AS boolean) THEN CAST(:owner AS text) ELSE owner END AS owner,
               COALESCE(CAST(:state AS text), state) AS state, COALESCE(CAST(:priority AS int), priority) AS priority,
               COALESCE(opened_at + make_interval(secs => CAST(:due_s AS float8)), due_at) AS due_at
          FROM orderloom.fallouts
         WHERE id = :id AND {IS_OPEN}
           AND (NOT CAST(:hands_over AS boolean) OR CAST(:take_over AS boolean) OR owner IS NULL OR owner = :actor
                OR owner = :owner)
           FOR UPDATE
    ),
    taken AS (
        UPDATE orderloom.fallouts AS f SET owner = w.owner, state = w.state, priority = w.priority, due_at = w.due_at
          FROM wanted AS w
         WHERE f.id = w.id AND (f.owner, f.state, f.priority) IS DISTINCT FROM (w.owner, w.state, w.priority)
        RETURNING f.id, f.order_id,
                  jsonb_build_object('owner', f.owner, 'state', f.state, 'priority', f.priority) AS now
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, reason, body)
        SELECT :actor, 'fallout.change', id, 'accepted', :reason, now FROM taken
    ),
    changed AS (
        SELECT id AS fallout, order_id, 'fallout_changed' AS type,
               now || jsonb_build_object('fallout', id, 'actor', CAST(:actor AS text)) AS body
          FROM taken
    )
""")  # noqa: S608

_DECIDED = text("""
    INSERT INTO orderloom.audit (actor, action, object, decision, reason)
    VALUES (:actor, 'fallout.resolve', :fallout, :decision, :reason)
""")

_TELL_ANEW = Prepared(f"""
    UPDATE orderloom.fallouts AS f SET message = g.message
      FROM jsonb_to_recordset(CAST(:findings AS jsonb)) AS g(subject text, message text)
     WHERE f.subject = g.subject AND f.{IS_OPEN} AND f.message <> g.message
    RETURNING f.id AS fallout
""")  # noqa: S608

_FOUND = Prepared(f"""
    SELECT subject, id FROM orderloom.fallouts WHERE type = :type AND step IS NULL AND {IS_OPEN}
""")  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What a person changes of a fallout: only what is given; ``hands_over``: its owner, to ``owner`` or to nobody.

    What another person has taken is taken from them only with ``take_over``.
    """

    actor: str
    reason: str | None = None
    hands_over: bool = False
    owner: str | None = None
    take_over: bool = False
    state: FalloutState | None = None
    priority: int | None = None


@dataclass(frozen=True)
class PostgresWorkList:
    """The work list as people and detectors write it; ``due`` says when a fallout is due."""

    engine: Engine
    due: DueTimes = field(default_factory=lambda: DUE)

    def open(self, findings: Iterable[Finding]) -> Collection[str]:
        """Put findings on the work list, each subject once while it is open (F07); the ids of those that are new.

        An order or account that we do not know is left out of the row: the message names it.
        """
        rows = [asdict(x) | self._urgency(x) for x in findings]
        return self._change(_OPEN, findings=json.dumps(rows)) if rows else ()

    def tell_anew(self, findings: Iterable[Finding]) -> Collection[str]:
        """Say of findings that are open what is so by now, such as how much was not billed; the ids of those."""
        rows = [{"subject": x.subject, "message": x.message} for x in findings]
        return self._change(_TELL_ANEW, findings=json.dumps(rows)) if rows else ()

    def close(
        self,
        subjects: Iterable[str],
        *,
        reason: str,
        actor: str = SYSTEM,
        decision: str = NO_DECISION,
        on: Connection | None = None,
    ) -> Collection[str]:
        """Take off the list what is not there any more, or is decided; the ids of those that were open.

        ``on`` a connection it is part of that transaction.
        """
        gone = [*subjects]
        return self._change(_CLOSE, on, subjects=gone, reason=reason, actor=actor, decision=decision) if gone else ()

    def decided(self, fallout: str, *, decision: str, actor: str, reason: str) -> None:
        """Keep who decided what about a finding that stays open: it goes by itself when the decision has helped."""
        with autocommit(self.engine) as connection:
            asked = {"fallout": fallout, "decision": decision, "actor": actor, "reason": reason}
            connection.execute(_DECIDED, asked)

    def found(self, type: FalloutType) -> Mapping[str, str]:  # noqa: A002
        """What detectors found and is open, of one type: ids by subject."""
        with autocommit(self.engine) as connection:
            return {row.subject: row.id for row in _FOUND.on(connection, type=type)}

    def escalate(self) -> Collection[str]:
        """Escalate what is past its due date: once, one priority up, seen in the order's log; the ids of those."""
        return self._change(_ESCALATE, limit=AT_ONCE)

    def take(self, fallout: str, taking: Taking) -> bool:
        """Say who works on an open fallout, how far that is, or how urgent it is; whether that is new (F26).

        With another priority it gets that priority's due date.
        """
        due = self.due[taking.priority] if taking.priority else None
        given = asdict(taking) | {"id": fallout, "due_s": due.total_seconds() if due else None}
        return bool(self._change(_TAKE, **given))

    def _urgency(self, finding: Finding) -> dict[str, Any]:
        function = (finding.step or "").partition(":")[0]
        found = priority(finding.type, code=finding.code, function=function)
        return {"priority": found, "due_s": self.due[found].total_seconds()}

    def _change(self, statement: Prepared, on: Connection | None = None, **parameters: object) -> Collection[str]:
        with nullcontext(on) if on else autocommit(self.engine) as connection:
            return [row.fallout for row in statement.on(connection, **parameters)]
