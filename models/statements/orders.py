"""The order as a whole: read, brought to a state, cancelled, approved."""

from domain.order import FINAL, NEXT, State
from models.statements.changes import changes
from models.tables import quoted
from sql.prepared import Prepared

LOAD = Prepared("""
    SELECT number, submitted_at, catalog_version, revision, document, corrections, corrections_included
      FROM orderloom.orders WHERE id = CAST(:order AS uuid)
""")

TRANSITION = changes("""
    moved AS (
        SELECT state FROM orderloom.orders
         WHERE id = CAST(:order AS uuid) AND state = ANY(CAST(:before AS text[])) FOR UPDATE
    ),
    lines AS (
        UPDATE orderloom.order_lines AS l SET state = :state
          FROM moved
         WHERE order_id = CAST(:order AS uuid) AND CAST(:whole AS boolean) AND l.state <> 'cancelled'
           AND (CAST(:state AS text) <> 'pending' OR l.state = 'acknowledged')
    ),
    changed AS (
        SELECT 0 AS position, CAST(:state AS text) AS type,
               jsonb_build_object('reason', CAST(:reason AS text)) AS body FROM moved
    )
""")

_CANCELLABLE = quoted(state for state, after in NEXT.items() if State.ASSESSING_CANCELLATION in after)

ASSESSED = changes(f"""
    assessed AS (
        SELECT state FROM orderloom.orders
         WHERE id = CAST(:order AS uuid) AND state IN ({_CANCELLABLE})
           AND NOT EXISTS (SELECT FROM orderloom.order_events AS e
                            WHERE e.order_id = orders.id AND e.body ->> 'cancellation' = CAST(:request AS text))
           FOR UPDATE
    ),
    lines AS (
        UPDATE orderloom.order_lines SET state = :state
          FROM assessed
         WHERE order_id = CAST(:order AS uuid) AND CAST(:state AS text) IS NOT NULL
           AND order_lines.state NOT IN ({quoted(FINAL)})
    ),
    revisions AS (
        UPDATE orderloom.order_revisions SET state = 'superseded', code = 'CANCELLED'
          FROM assessed
         WHERE order_id = CAST(:order AS uuid) AND CAST(:state AS text) IS NOT NULL
           AND order_revisions.state = 'accepted'
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, reason, body)
        SELECT :actor, 'order.cancel', CAST(:order AS text),
               CASE WHEN CAST(:state AS text) IS NULL THEN 'refused' ELSE 'accepted' END, :why,
               jsonb_strip_nulls(jsonb_build_object('force', CAST(:force AS boolean), 'step', CAST(:barrier AS text)))
          FROM assessed
    ),
    changed AS (
        SELECT 0 AS position, 'assessingCancellation' AS type,
               jsonb_build_object('cancellation', CAST(:request AS text), 'reason', CAST(:why AS text),
                                  'actor', CAST(:actor AS text)) AS body
          FROM assessed
        UNION ALL
        SELECT 1, COALESCE(CAST(:state AS text), assessed.state),
               jsonb_strip_nulls(jsonb_build_object('past_no_return', CAST(:barrier AS text)))
          FROM assessed
    )
""")  # noqa: S608 - built from constants of this module

APPROVED = changes("""
    given AS (
        SELECT CAST(:state AS text) = 'rejected' AS rejected FROM orderloom.orders AS o
         WHERE id = CAST(:order AS uuid) AND state = 'pending'
           AND NOT EXISTS (SELECT FROM orderloom.order_events AS e
                            WHERE e.order_id = o.id AND e.body ->> 'approval' = CAST(:request AS text))
           FOR UPDATE
    ),
    lines AS (
        UPDATE orderloom.order_lines SET state = 'rejected'
          FROM given WHERE order_id = CAST(:order AS uuid) AND given.rejected AND state <> 'cancelled'
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, reason)
        SELECT :actor, 'order.approve', CAST(:order AS text),
               CASE WHEN rejected THEN 'rejected' ELSE 'approved' END, :why
          FROM given
    ),
    changed AS (
        SELECT 0 AS position, CASE WHEN rejected THEN 'rejected' ELSE 'approved' END AS type,
               jsonb_build_object('approval', CAST(:request AS text), 'actor', CAST(:actor AS text),
                                  'reason', CAST(:why AS text)) AS body
          FROM given
    )
""")

FINISHED = changes("""
    changed AS (SELECT 0 AS position, CAST(:state AS text) AS type, CAST('{}' AS jsonb) AS body)
""")
