"""Revisions: judged, in force, superseded."""

from sqlalchemy import text

from domain.order import FINAL
from models.statements.changes import changes
from models.tables import quoted

LOAD = text("""
    SELECT document, corrections_included FROM orderloom.order_revisions
     WHERE order_id = CAST(:order AS uuid) AND revision = :revision
""")

JUDGED = changes(f"""
    open AS (
        SELECT id FROM orderloom.orders WHERE id = CAST(:order AS uuid) AND state NOT IN ({quoted(FINAL)}) FOR UPDATE
    ),
    judged AS (
        UPDATE orderloom.order_revisions
           SET state = CASE WHEN CAST(:code AS text) IS NULL AND NOT EXISTS (SELECT FROM open) THEN 'refused'
                            ELSE CAST(:judgment AS text) END,
               code = CASE WHEN CAST(:code AS text) IS NULL AND NOT EXISTS (SELECT FROM open) THEN 'NOT_OPEN'
                           ELSE CAST(:code AS text) END,
               decided_at = now(), step = CAST(:step AS text)
         WHERE order_id = CAST(:order AS uuid) AND revision = CAST(:revision AS int) AND state = 'queued'
        RETURNING actor, reason, force, code, step
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, reason, body)
        SELECT actor, 'order.revise', CAST(:order AS text), CASE WHEN code IS NULL THEN 'accepted' ELSE 'refused' END,
               reason, jsonb_strip_nulls(jsonb_build_object('revision', CAST(:revision AS int), 'force', force,
                                                            'code', code, 'step', step))
          FROM judged
    ),
    changed AS (
        SELECT 0 AS position, COALESCE(CAST(:state AS text), 'revision_refused') AS type,
               jsonb_strip_nulls(jsonb_build_object('revision', CAST(:revision AS int), 'actor', actor,
                                                    'reason', judged.reason, 'code', code, 'step', step)) AS body
          FROM judged, open
         WHERE CAST(:state AS text) IS NOT NULL OR code IS NOT NULL
    )
""")  # noqa: S608 - built from constants of this module

JUDGMENT = text("""
    SELECT code FROM orderloom.order_revisions WHERE order_id = CAST(:order AS uuid) AND revision = :revision
""")

WAITS = text("""
    SELECT EXISTS (SELECT FROM orderloom.order_revisions WHERE order_id = CAST(:order AS uuid) AND state = 'accepted')
""")

REVISED = changes(
    f"""
    revision AS (
        UPDATE orderloom.order_revisions SET state = 'active', decided_at = COALESCE(decided_at, now())
         WHERE order_id = CAST(:order AS uuid) AND revision = CAST(:revision AS int) AND state = 'accepted'
        RETURNING document, corrections_included
    ),
    first AS (
        INSERT INTO orderloom.order_revisions
               (order_id, revision, document, corrections_included, state, force, actor, reason, submitted_at)
        SELECT o.id, 0, o.document, 0, 'superseded', FALSE, 'api', 'as submitted', o.submitted_at
          FROM orderloom.orders AS o, revision WHERE o.id = CAST(:order AS uuid) AND o.revision = 0
    ),
    wanted AS (
        SELECT l.*
          FROM revision, ROWS FROM (
               jsonb_to_recordset(document -> 'lines') AS (
                   id text, parent text, root text, product text, action text, quantity int),
               unnest(CAST(CAST(:assets AS text[]) AS uuid[]))
          ) WITH ORDINALITY AS l(id, parent, root, product, action, quantity, asset, position)
    ),
    kept AS (
        UPDATE orderloom.order_lines AS l SET position = w.position - 1, quantity = w.quantity
          FROM wanted AS w WHERE l.order_id = CAST(:order AS uuid) AND l.id = w.id
    ),
    added AS (
        INSERT INTO orderloom.order_lines
               (order_id, id, position, parent, root, product, action, quantity, asset, state)
        SELECT CAST(:order AS uuid), id, position - 1, parent, root, product, action, quantity, asset,
               CASE WHEN NOT CAST(:planned AS boolean) THEN (SELECT state FROM orderloom.orders
                                                              WHERE id = CAST(:order AS uuid))
                    WHEN action = 'none' THEN 'completed' ELSE 'inProgress' END
          FROM wanted
        ON CONFLICT (order_id, id) DO NOTHING
    ),
    dropped AS (
        UPDATE orderloom.order_lines SET state = 'cancelled'
          FROM revision
         WHERE order_id = CAST(:order AS uuid) AND id = ANY(CAST(:dropped AS text[])) AND state NOT IN ({quoted(FINAL)})
    ),
    items AS (
        SELECT i.* FROM revision, jsonb_to_recordset(CAST(:items AS jsonb)) AS i(
               id text, position int, function text, system text, subject text, root text, lines text[],
               depends_on text[], no_return boolean)
    ),
    never AS (
        DELETE FROM orderloom.plan_items AS p USING revision
         WHERE p.order_id = CAST(:order AS uuid) AND p.id NOT IN (SELECT id FROM items)
           AND p.state NOT IN ('done', 'skipped', 'undone')
    ),
    plan AS (
        INSERT INTO orderloom.plan_items AS p
               (order_id, id, position, function, system, subject, root, lines, depends_on, no_return)
        SELECT CAST(:order AS uuid), id, position, function, system, subject, root, lines, depends_on, no_return
          FROM items
        ON CONFLICT (order_id, id) DO UPDATE
           SET position = EXCLUDED.position, root = EXCLUDED.root, lines = EXCLUDED.lines,
               depends_on = EXCLUDED.depends_on,
               state = CASE WHEN CAST(:again AS jsonb) ? p.id THEN 'pending' ELSE p.state END,
               key = COALESCE(CAST(:again AS jsonb) ->> p.id, p.key)
    ),
    changed AS (
        SELECT 0 AS position, 'revised' AS type, CAST(:body AS jsonb) AS body FROM revision
        UNION ALL
        SELECT 1, CAST(:state AS text), CAST('{{}}' AS jsonb) FROM revision WHERE CAST(:planned AS boolean)
    )
    """,  # noqa: S608 - built from constants of this module
    also="""
                   , revision = CAST(:revision AS int), document = (SELECT document FROM revision),
                   corrections_included = (SELECT corrections_included FROM revision),
                   priority = CAST((SELECT document ->> 'priority' FROM revision) AS int),
                   requested_start = CAST((SELECT document ->> 'requested_start' FROM revision) AS timestamptz)""",
)

FORMER = text("""
    UPDATE orderloom.order_revisions SET state = 'superseded'
     WHERE order_id = CAST(:order AS uuid) AND revision < :revision AND state = 'active'
""")
