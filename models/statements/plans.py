"""The plan: stored, sent, done, failed, taken back; and the end of a bundle."""

from sqlalchemy import text

from domain.order import State
from domain.plan import SETTLED
from models.statements.changes import changes
from models.tables import IS_OPEN, OF_A_STEP, quoted
from sql.prepared import Prepared

PLANNED = changes("""
    begun AS (
        SELECT 1 FROM orderloom.orders
         WHERE id = CAST(:order AS uuid) AND state IN ('acknowledged', 'pending')
           AND NOT EXISTS (SELECT FROM orderloom.plan_items AS p WHERE p.order_id = orders.id)
           FOR UPDATE
    ),
    claimed AS (
        SELECT *, statement_timestamp() AS claimed_at FROM jsonb_to_recordset(CAST(:claimed AS jsonb)) AS c(
               asset uuid, root text, step text, key text, at timestamptz, result jsonb)
    ),
    items AS (
        INSERT INTO orderloom.plan_items
               (order_id, id, position, function, system, subject, root, lines, depends_on, no_return,
                state, key, attempts, started_at, finished_at, actual_at, result)
        SELECT CAST(:order AS uuid), i.id, i.position, i.function, i.system, i.subject, i.root, i.lines, i.depends_on,
               i.no_return, CASE WHEN c.step IS NULL THEN 'pending' ELSE 'done' END, c.key,
               CASE WHEN c.step IS NULL THEN 0 ELSE 1 END, c.claimed_at, c.claimed_at, c.at, c.result
          FROM begun, jsonb_to_recordset(CAST(:items AS jsonb)) AS i(
               id text, position int, function text, system text, subject text, root text, lines text[],
               depends_on text[], no_return boolean)
          LEFT JOIN claimed AS c ON c.step = i.id
        RETURNING position, id, lines, actual_at, state
    ),
    claims AS (
        INSERT INTO orderloom.asset_claims (asset, order_id, root)
        SELECT claimed.asset, CAST(:order AS uuid), claimed.root FROM begun, claimed
    ),
    lines AS (
        UPDATE orderloom.order_lines
           SET state = CASE WHEN id = ANY(CAST(:context AS text[])) THEN 'completed' ELSE 'inProgress' END
          FROM begun WHERE order_id = CAST(:order AS uuid) AND state <> 'cancelled'
    ),
    changed AS (
        SELECT -1 AS position, 'inProgress' AS type, CAST(:body AS jsonb) AS body FROM begun
        UNION ALL
        SELECT position, 'step_done', jsonb_build_object('step', id, 'lines', lines, 'at', actual_at)
          FROM items WHERE state = 'done'
    )
""")

GIVEN_UP = quoted((State.CANCELLED, State.FAILED))
"""How the first line of a bundle ends that is not carried out."""

SENT = Prepared(f"""
    WITH given_up AS (
        SELECT FROM orderloom.plan_items AS p
          JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.root
         WHERE p.order_id = CAST(:order AS uuid) AND p.id = ANY(:steps) AND l.state IN ({GIVEN_UP})
    ),
    sent AS (
        UPDATE orderloom.plan_items
           SET state = 'inProgress', started_at = COALESCE(started_at, statement_timestamp())
         WHERE order_id = CAST(:order AS uuid) AND id = ANY(:steps) AND state = 'pending'
           AND NOT EXISTS (SELECT FROM given_up)
    )
    SELECT NOT EXISTS (SELECT FROM given_up)
""")  # noqa: S608 - built from constants of this module

UNSENT = text("""
    UPDATE orderloom.plan_items SET state = 'pending', started_at = CASE WHEN attempts > 0 THEN started_at END
     WHERE order_id = CAST(:order AS uuid) AND id = ANY(:steps) AND state = 'inProgress'
""")


def generation(key: str) -> str:
    """The generation in a key (:func:`domain.order.key`): who was sent before a redo has nothing to say any more."""
    return f"COALESCE(CAST(NULLIF(split_part({key}, ':', 4), '') AS int), 0)"


def withdrawn(which: str, reason: str) -> str:
    """CTEs that take open fallouts of the order off the work list, because nobody need decide about them any more."""
    return f"""
    withdrawn AS (
        UPDATE orderloom.fallouts SET state = 'cancelled', closed_at = now(), decision = 'abort', actor = 'system',
               reason = '{reason}'
         WHERE order_id = CAST(:order AS uuid) AND {which} AND fallouts.{IS_OPEN}
        RETURNING fallouts.id
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, reason)
        SELECT 'system', 'fallout.resolve', id, 'abort', '{reason}' FROM withdrawn
    )"""  # noqa: S608 - built from constants of this module


STANDING = text(f"""
    SELECT o.state, o.revision, jsonb_array_length(o.corrections) AS corrections,
           o.state = 'inProgress' OR EXISTS (SELECT FROM orderloom.plan_items AS p WHERE p.order_id = o.id)
               AS is_planned,
           (SELECT jsonb_object_agg(p.id, {generation("p.key")}) FROM orderloom.plan_items AS p
             WHERE p.order_id = o.id AND p.state IN ({quoted(SETTLED)})) AS done,
           (SELECT jsonb_object_agg(n.step, n.generation)
              FROM (SELECT p.id AS step, greatest({generation("p.key")}, (
                           SELECT count(*) FROM orderloom.fallouts AS f
                            WHERE f.order_id = p.order_id AND f.step = p.id AND NOT f.in_doubt
                              AND f.decision IN ('retry', 'retry_with'))) AS generation
                      FROM orderloom.plan_items AS p
                     WHERE p.order_id = o.id AND p.state IN ('pending', 'inProgress', 'held')) AS n
             WHERE n.generation > 0) AS redone,
           ARRAY(SELECT p.id FROM orderloom.plan_items AS p
                  WHERE p.order_id = o.id AND p.no_return
                    AND (p.state = 'inProgress'
                         OR p.state = 'held' AND EXISTS (SELECT FROM orderloom.fallouts AS f
                                                          WHERE f.order_id = p.order_id AND f.step = p.id
                                                            AND f.in_doubt AND f.{IS_OPEN}))) AS sent,
           (SELECT jsonb_object_agg(f.step, f.id) FROM orderloom.fallouts AS f
             WHERE f.order_id = o.id AND {OF_A_STEP} AND f.{IS_OPEN}) AS asked,
           (SELECT count(*) FROM orderloom.fallouts AS f WHERE f.order_id = o.id AND {OF_A_STEP}) AS fallouts,
           (SELECT jsonb_object_agg(l.id, l.state) FROM orderloom.order_lines AS l
             WHERE l.order_id = o.id AND l.id = l.root AND l.state IN ({GIVEN_UP})) AS given_up
      FROM orderloom.orders AS o WHERE o.id = CAST(:order AS uuid)
""")  # noqa: S608 - built from constants of this module

HELD = """
    held AS (
        SELECT state FROM orderloom.plan_items
         WHERE order_id = CAST(:order AS uuid)
           AND id IN (SELECT d.step FROM jsonb_to_recordset(CAST(:done AS jsonb)) AS d(step text))
         ORDER BY position FOR UPDATE
    )"""
"""Whoever changes steps and their order locks the steps first, in the order of the plan: nobody waits in a circle."""

DONE = f"""
    done AS (
        UPDATE orderloom.plan_items AS p
           SET state = 'done', key = d.key, attempts = p.attempts + 1, started_at = COALESCE(p.started_at, now()),
               finished_at = statement_timestamp(), actual_at = d.at, result = d.result, last_error = NULL
          FROM jsonb_to_recordset(CAST(:done AS jsonb)) AS d(step text, key text, at timestamptz, result jsonb)
         WHERE p.order_id = CAST(:order AS uuid) AND p.id = d.step AND p.state NOT IN ('done', 'skipped', 'undone')
           AND {{is_later}} AND {{is_wanted}}
           AND (CAST(:asked AS boolean) OR NOT EXISTS (SELECT FROM held WHERE state = 'held'))
        RETURNING p.position, p.id, p.lines, d.at
    ),
    {withdrawn("fallouts.step IN (SELECT id FROM done) AND CAST(:asked AS boolean)", "the step is done after all")},
    steps AS (
        SELECT position, 'step_done' AS type, jsonb_build_object('step', id, 'lines', lines, 'at', at) AS body FROM done
    )
"""  # noqa: S608 - built from constants of this module

IS_LATER = f"{generation('d.key')} >= {generation('p.key')}"

DONE_STEPS = changes(f"""
    {HELD},
    {DONE.format(is_later=IS_LATER, is_wanted="TRUE")},
    changed AS (TABLE steps)
""")

FAILED = changes(f"""
    failed AS (
        UPDATE orderloom.plan_items
           SET attempts = attempts + 1, key = :key, last_error = :error, started_at = COALESCE(started_at, now()),
               undo_refusals = undo_refusals + CASE WHEN CAST(:undo_refused AS boolean) THEN 1 ELSE 0 END,
               state = CASE state WHEN 'pending' THEN 'inProgress' ELSE state END
         WHERE order_id = CAST(:order AS uuid) AND id = :step
           AND (state IN ('pending', 'inProgress', 'held')
                OR state = 'done' AND starts_with(CAST(:error AS text), 'undo: '))
           AND {generation("CAST(:key AS text)")} >= {generation("key")}
        RETURNING position, attempts
    ),
    changed AS (
        SELECT position, 'step_failed' AS type,
               jsonb_build_object('step', CAST(:step AS text), 'error', CAST(:error AS text),
                                  'attempts', attempts) AS body
          FROM failed
    )
""")  # noqa: S608 - built from constants of this module

UNDONE = changes("""
    undone AS (
        UPDATE orderloom.plan_items SET state = 'undone', finished_at = statement_timestamp()
         WHERE order_id = CAST(:order AS uuid) AND id = :step AND state <> 'undone'
        RETURNING position
    ),
    changed AS (
        SELECT position, 'step_undone' AS type, jsonb_build_object('step', CAST(:step AS text)) AS body FROM undone
    )
""")

UNDO_REFUSALS = Prepared("""
    SELECT undo_refusals FROM orderloom.plan_items WHERE order_id = CAST(:order AS uuid) AND id = :step
""")

RESULTS = Prepared("""
    SELECT id, key, COALESCE(result, jsonb_build_object('at', actual_at)) AS result FROM orderloom.plan_items
     WHERE order_id = CAST(:order AS uuid) AND id = ANY(:steps)
       AND (state = 'done' OR state = 'skipped' AND actual_at IS NOT NULL)
""")

ALL_FIRST = text("""
    SELECT FROM orderloom.plan_items WHERE order_id = CAST(:order AS uuid) ORDER BY position FOR UPDATE
""")
"""For what changes the whole plan, before the order itself (:data:`HELD`)."""

THESE_FIRST = Prepared("""
    WITH held AS (
        SELECT FROM orderloom.plan_items
         WHERE order_id = CAST(:order AS uuid) AND root = :root
           AND (id = ANY(CAST(:steps AS text[])) OR state IN ('inProgress', 'held'))
         ORDER BY position FOR UPDATE
    )
    SELECT state FROM orderloom.orders, (SELECT count(*) FROM held) AS first
     WHERE id = CAST(:order AS uuid) FOR UPDATE OF orders
""")
"""What may change with the end of a bundle, and then its order, whose state it answers (:data:`HELD`)."""

END_ROOT = changes(f"""
    ended AS (
        UPDATE orderloom.order_lines SET state = :line_state
         WHERE order_id = CAST(:order AS uuid) AND root = :root
           AND state NOT IN ('completed', 'cancelled', 'failed', 'rejected')
        RETURNING id
    ),
    steps AS (
        UPDATE orderloom.plan_items SET state = 'pending'
         WHERE order_id = CAST(:order AS uuid) AND root = :root AND EXISTS (SELECT FROM ended)
           AND (state = 'inProgress' OR state = 'held' AND function <> 'sync_customer')
        RETURNING id
    ),
    {withdrawn("fallouts.step IN (SELECT id FROM steps)", "the bundle was given up")},
    unclaimed AS (
        DELETE FROM orderloom.asset_claims WHERE order_id = CAST(:order AS uuid) AND root = :root
    ),
    changed AS (
        SELECT 0 AS position, 'bundle_ended' AS type,
               jsonb_build_object('root', CAST(:root AS text), 'state', CAST(:line_state AS text)) AS body
         WHERE EXISTS (SELECT FROM ended)
        UNION ALL
        SELECT 1, CAST(:state AS text), CAST('{{}}' AS jsonb)
         WHERE EXISTS (SELECT FROM ended) AND CAST(:state AS text) IS NOT NULL
    )
""")  # noqa: S608 - built from constants of this module
