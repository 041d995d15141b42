"""What a person is asked about a step, decides and corrects."""

from domain.order import FINAL, State
from domain.plan import SETTLED
from models.statements.changes import changes
from models.tables import IS_OPEN, quoted
from sql.prepared import Prepared

_DECIDED = quoted((*FINAL, State.PENDING_CANCELLATION))
"""How lines are that no decision about a step takes up again: the order may have been cancelled meanwhile."""
_REFUSED_ONCE = "CAST(NOT CAST(:in_doubt AS boolean) AS int)"
"""The attempt that was refused; one that failed is counted when it does."""

OPEN = changes(f"""
    undone AS (
        SELECT attempts FROM orderloom.plan_items
         WHERE order_id = CAST(:order AS uuid) AND id = :step AND state NOT IN ({quoted(SETTLED)}) FOR UPDATE
    ),
    opened AS (
        INSERT INTO orderloom.fallouts
               (id, subject, order_id, account, step, line, type, code, message, in_doubt, priority, due_at, attempts)
        SELECT :id, :subject, CAST(:order AS uuid), :account, :step, :line, :type, :code, :message,
               CAST(:in_doubt AS boolean), CAST(:priority AS int),
               now() + make_interval(secs => CAST(:due_s AS float8)), undone.attempts + {_REFUSED_ONCE}
          FROM undone, orderloom.orders AS o WHERE o.id = CAST(:order AS uuid) AND o.state NOT IN ({quoted(FINAL)})
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    ),
    step AS (
        UPDATE orderloom.plan_items SET state = 'held', last_error = :message, attempts = attempts + {_REFUSED_ONCE}
          FROM opened WHERE order_id = CAST(:order AS uuid) AND plan_items.id = :step
    ),
    lines AS (
        UPDATE orderloom.order_lines AS l SET state = s.value
          FROM opened, jsonb_each_text(CAST(:lines AS jsonb)) AS s
         WHERE l.order_id = CAST(:order AS uuid) AND l.id = s.key AND l.state NOT IN ({quoted(FINAL)})
    ),
    changed AS (
        SELECT 0 AS position, 'fallout_opened' AS type,
               jsonb_build_object('fallout', id, 'step', CAST(:step AS text), 'code', CAST(:code AS text)) AS body
          FROM opened
    )
""")  # noqa: S608 - built from constants of this module

LATE = Prepared(f"""
    SELECT p.actual_at AS at, CASE WHEN o.state IN ({quoted(FINAL)}) THEN o.state END AS order_state
      FROM orderloom.plan_items AS p
      JOIN orderloom.orders AS o ON o.id = p.order_id
     WHERE p.order_id = CAST(:order AS uuid) AND p.id = :step AND p.state IN ({quoted(SETTLED)})
""")  # noqa: S608 - built from constants

CLOSE = changes(f"""
    held AS (
        SELECT FROM orderloom.plan_items WHERE order_id = CAST(:order AS uuid) AND id = :step FOR UPDATE
    ),
    closed AS (
        UPDATE orderloom.fallouts
           SET state = :fallout_state, closed_at = now(), decision = :decision, actor = :actor, reason = :why
         WHERE id = :id AND {IS_OPEN} AND (SELECT count(*) FROM held) >= 0
        RETURNING id
    ),
    step AS (
        UPDATE orderloom.plan_items
           SET state = :step_state, actual_at = COALESCE(CAST(:actual AS timestamptz), actual_at)
          FROM closed WHERE order_id = CAST(:order AS uuid) AND plan_items.id = :step
    ),
    lines AS (
        UPDATE orderloom.order_lines AS l SET state = s.value
          FROM closed, jsonb_each_text(CAST(:lines AS jsonb)) AS s
         WHERE l.order_id = CAST(:order AS uuid) AND l.id = s.key AND l.state NOT IN ({_DECIDED})
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, reason)
        SELECT :actor, 'fallout.resolve', id, :decision, :why FROM closed
    ),
    changed AS (
        SELECT 0 AS position, 'fallout_closed' AS type,
               jsonb_build_object('fallout', id, 'step', CAST(:step AS text), 'decision', CAST(:decision AS text),
                                  'actor', CAST(:actor AS text)) AS body
          FROM closed
    )
""")  # noqa: S608 - built from constants

CORRECT = Prepared("""
    UPDATE orderloom.orders SET corrections = corrections || CAST(:correction AS jsonb)
     WHERE id = CAST(:order AS uuid) AND jsonb_array_length(corrections) = :before
""")
