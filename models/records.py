"""Repeat-safe changes of an order's own rows: each is one statement, and the second time without effect.

Every change that a reader may want to see appends to the order's event log under the order's row lock, so that its
numbers have no gaps.
"""

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
from domain.plan import SETTLED, PlanItem
from domain.progress import Assessment, Closing, Done, Fallout, Judgment, Late, OrderRef, Revised, Standing
from domain.revision import Comparison, RevisionState
from domain.validation import validate
from domain.violation import Violation
from models import assets, catalogs
from models.facts import facts, with_assets
from models.tables import IS_OPEN, OF_A_STEP, quoted
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


def changes(sql: str, *, also: str = "") -> Prepared:
    """A statement whose CTE ``changed`` has a row for each event of the order ``:order``, as (position, type, body).

    No row, no change: then the order's log and its state stay as they are. ``state`` and ``finished`` come from the
    parameters of that name; ``also`` are further columns of the order that are set, each behind a comma. The reason of
    a cancellation stays when the order has come to its end.
    """
    return Prepared(f"""
        WITH {sql},
        logged AS (
            UPDATE orderloom.orders
               SET last_seq = last_seq + (SELECT count(*) FROM changed),
                   state = COALESCE(CAST(:state AS text), state),
                   reason = CASE WHEN COALESCE(CAST(:state AS text), '{State.CANCELLED}') = '{State.CANCELLED}'
                                 THEN reason ELSE CAST(:reason AS text) END,
                   completed_at = CASE WHEN CAST(:finished AS boolean) THEN now() ELSE completed_at END{also}
             WHERE id = CAST(:order AS uuid) AND EXISTS (SELECT FROM changed)
            RETURNING last_seq
        ),
        event AS (
            INSERT INTO orderloom.order_events (order_id, seq, type, body)
            SELECT CAST(:order AS uuid), last_seq + 1 - row_number() OVER (ORDER BY position DESC), type, body
              FROM changed, logged
        )
        SELECT last_seq FROM logged
    """)  # noqa: S608 - built from constants of this module


_LOAD = Prepared("""
    SELECT number, submitted_at, catalog_version, revision, document, corrections, corrections_included
      FROM orderloom.orders WHERE id = CAST(:order AS uuid)
""")

_LOAD_REVISION = text("""
    SELECT document, corrections_included FROM orderloom.order_revisions
     WHERE order_id = CAST(:order AS uuid) AND revision = :revision
""")

_PLANNED = changes("""
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

_GIVEN_UP = quoted((State.CANCELLED, State.FAILED))
"""How the first line of a bundle ends that is not carried out."""

_SENT = Prepared(f"""
    WITH given_up AS (
        SELECT FROM orderloom.plan_items AS p
          JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.root
         WHERE p.order_id = CAST(:order AS uuid) AND p.id = ANY(:steps) AND l.state IN ({_GIVEN_UP})
    ),
    sent AS (
        UPDATE orderloom.plan_items SET state = 'inProgress', started_at = statement_timestamp()
         WHERE order_id = CAST(:order AS uuid) AND id = ANY(:steps) AND started_at IS NULL AND state = 'pending'
           AND NOT EXISTS (SELECT FROM given_up)
    )
    SELECT NOT EXISTS (SELECT FROM given_up)
""")  # noqa: S608 - built from constants of this module


def _generation(key: str) -> str:
    """The generation in a key (:func:`domain.order.key`): who was sent before a redo has nothing to say any more."""
    return f"COALESCE(CAST(NULLIF(split_part({key}, ':', 4), '') AS int), 0)"


def _withdrawn(which: str, reason: str) -> str:
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


_STANDING = text(f"""
    SELECT o.state, o.revision, jsonb_array_length(o.corrections) AS corrections,
           o.state = 'inProgress' OR EXISTS (SELECT FROM orderloom.plan_items AS p WHERE p.order_id = o.id)
               AS is_planned,
           (SELECT jsonb_object_agg(p.id, {_generation("p.key")}) FROM orderloom.plan_items AS p
             WHERE p.order_id = o.id AND p.state IN ({quoted(SETTLED)})) AS done,
           (SELECT jsonb_object_agg(f.step, f.id) FROM orderloom.fallouts AS f
             WHERE f.order_id = o.id AND {OF_A_STEP} AND f.{IS_OPEN}) AS asked,
           (SELECT count(*) FROM orderloom.fallouts AS f WHERE f.order_id = o.id AND {OF_A_STEP}) AS fallouts,
           (SELECT jsonb_object_agg(l.id, l.state) FROM orderloom.order_lines AS l
             WHERE l.order_id = o.id AND l.id = l.root AND l.state IN ({_GIVEN_UP})) AS given_up
      FROM orderloom.orders AS o WHERE o.id = CAST(:order AS uuid)
""")  # noqa: S608 - built from constants of this module

_DONE = f"""
    held AS (
        SELECT state FROM orderloom.plan_items
         WHERE order_id = CAST(:order AS uuid)
           AND id IN (SELECT d.step FROM jsonb_to_recordset(CAST(:done AS jsonb)) AS d(step text)) FOR UPDATE
    ),
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
    {_withdrawn("fallouts.step IN (SELECT id FROM done) AND CAST(:asked AS boolean)", "the step is done after all")},
    steps AS (
        SELECT position, 'step_done' AS type, jsonb_build_object('step', id, 'lines', lines, 'at', at) AS body FROM done
    )
"""  # noqa: S608 - built from constants of this module
_IS_LATER = f"{_generation('d.key')} >= {_generation('p.key')}"

_DONE_STEPS = changes(f"""
    {_DONE.format(is_later=_IS_LATER, is_wanted="TRUE")},
    changed AS (TABLE steps)
""")

_FAILED = changes(f"""
    failed AS (
        UPDATE orderloom.plan_items
           SET attempts = attempts + 1, key = :key, last_error = :error, started_at = COALESCE(started_at, now()),
               undo_refusals = undo_refusals + CASE WHEN CAST(:undo_refused AS boolean) THEN 1 ELSE 0 END,
               state = CASE state WHEN 'pending' THEN 'inProgress' ELSE state END
         WHERE order_id = CAST(:order AS uuid) AND id = :step
           AND (state IN ('pending', 'inProgress', 'held')
                OR state = 'done' AND starts_with(CAST(:error AS text), 'undo: '))
           AND {_generation("CAST(:key AS text)")} >= {_generation("key")}
        RETURNING position, attempts
    ),
    changed AS (
        SELECT position, 'step_failed' AS type,
               jsonb_build_object('step', CAST(:step AS text), 'error', CAST(:error AS text),
                                  'attempts', attempts) AS body
          FROM failed
    )
""")  # noqa: S608 - built from constants of this module

_UNDONE = changes("""
    undone AS (
        UPDATE orderloom.plan_items SET state = 'undone', finished_at = statement_timestamp()
         WHERE order_id = CAST(:order AS uuid) AND id = :step AND state <> 'undone'
        RETURNING position
    ),
    changed AS (
        SELECT position, 'step_undone' AS type, jsonb_build_object('step', CAST(:step AS text)) AS body FROM undone
    )
""")

_UNDO_REFUSALS = Prepared("""
    SELECT undo_refusals FROM orderloom.plan_items WHERE order_id = CAST(:order AS uuid) AND id = :step
""")

_RESULTS = Prepared("""
    SELECT id, key, COALESCE(result, jsonb_build_object('at', actual_at)) AS result FROM orderloom.plan_items
     WHERE order_id = CAST(:order AS uuid) AND id = ANY(:steps)
       AND (state = 'done' OR state = 'skipped' AND actual_at IS NOT NULL)
""")

_IS_AS_BELIEVED = """
    EXISTS (SELECT FROM ending
             WHERE NOT CAST(:unrevised AS boolean) OR ending.state <> 'pending' AND ending.revision = 0)
"""
"""Of an order that is taken to end with its only root: no revision is in force, or about to be."""

_INSTALLED = f"""
    ending AS (SELECT state, revision FROM orderloom.orders WHERE id = CAST(:order AS uuid) FOR UPDATE),
    {_DONE.format(is_later=_IS_LATER, is_wanted=_IS_AS_BELIEVED)},
    last AS (SELECT position, id FROM done WHERE id = :last),
    asset AS (
        INSERT INTO orderloom.assets
               (id, product, catalog_version, root, parent, account, service_account, billing_account, billing_profile,
                service_id, service_point, quantity, attributes, price, promotion_ref, numbers, status, billing_type,
                service_start, service_end, created_by_order, created_by_line)
        SELECT a.id, a.product, COALESCE(a.version, o.catalog_version), a.root, a.parent, o.account, a.service_account,
               a.billing_account, a.billing_profile, a.service_id, a.service_point, a.quantity, a.attributes,
               NULLIF(a.price, 'null'), a.promotion_ref, a.numbers, 'active', a.billing_type, a.service_start,
               a.service_end, o.id, a.line
          FROM last, orderloom.orders AS o, jsonb_to_recordset(CAST(:assets AS jsonb)) AS a(
               id uuid, line text, product text, version int, root uuid, parent uuid, service_account text,
               billing_account text, billing_profile text, quantity int, attributes jsonb, price jsonb,
               promotion_ref text, numbers jsonb, service_start timestamptz, service_end timestamptz, service_id text,
               service_point text, billing_type text)
         WHERE o.id = CAST(:order AS uuid)
    ),
    reference AS (
        INSERT INTO orderloom.cross_references (asset, kind, billing_id, valid_from)
        SELECT a.id, r.kind, r.billing_id, a.service_start
          FROM last, jsonb_to_recordset(CAST(:assets AS jsonb)) AS a(
               id uuid, service_start timestamptz, "references" jsonb),
               jsonb_to_recordset(a."references") AS r(kind text, billing_id text)
    ),
    lines AS (
        UPDATE orderloom.order_lines AS l
           SET state = 'completed', actual_delivery_at = CAST(CAST(:delivered AS jsonb) ->> l.id AS timestamptz)
          FROM last
         WHERE l.order_id = CAST(:order AS uuid) AND l.root = :root
           AND l.state NOT IN ('completed', 'cancelled', 'failed', 'rejected')
    ),
    changed AS (
        SELECT * FROM steps WHERE position NOT IN (SELECT position FROM last)
        UNION ALL
        SELECT position, 'assets_installed', jsonb_build_object('step', id, 'root', CAST(:root AS text)) FROM last
        UNION ALL
        SELECT position + 1, CAST(:state AS text), CAST('{{}}' AS jsonb)
          FROM last WHERE CAST(:state AS text) IS NOT NULL
    )
"""  # noqa: S608 - built from constants

_INSTALL = changes(_INSTALLED)

_ALL_OF_FEW = "LIMIT jsonb_array_length(CAST(:{} AS jsonb))"
"""All elements of a list; and PostgreSQL, which takes a list for a long one, looks what they name up by key."""

_INSTALL_CHANGES = changes(f"""
    {_INSTALLED},
    otherwise AS (
        UPDATE orderloom.assets AS a
           SET status = c.status, service_account = c.service_account, billing_account = c.billing_account,
               billing_profile = c.billing_profile, service_id = c.service_id, service_point = c.service_point,
               quantity = c.quantity, attributes = c.attributes, price = NULLIF(c.price, 'null'),
               promotion_ref = c.promotion_ref, numbers = c.numbers, service_start = c.service_start,
               service_end = c.service_end
          FROM last, (
               SELECT * FROM jsonb_to_recordset(CAST(:changed AS jsonb)) AS c(
                   id uuid, status text, service_account text, billing_account text, billing_profile text,
                   service_id text, service_point text, quantity int, attributes jsonb, price jsonb,
                   promotion_ref text, numbers jsonb, service_start timestamptz, service_end timestamptz)
                {_ALL_OF_FEW.format("changed")}) AS c
         WHERE a.id = c.id
    ),
    pointed AS (
        UPDATE orderloom.cross_references AS r SET asset = m.id
          FROM last, (
               SELECT * FROM jsonb_to_recordset(CAST(:assets AS jsonb)) AS m(id uuid, moved_from uuid)
                {_ALL_OF_FEW.format("assets")}) AS m
         WHERE r.asset = m.moved_from AND r.valid_to IS NULL
    ),
    ended AS (
        UPDATE orderloom.cross_references AS r SET valid_to = GREATEST(c.service_end, r.valid_from)
          FROM last, jsonb_to_recordset(CAST(:changed AS jsonb)) AS c(
               id uuid, status text, service_end timestamptz)
         WHERE r.asset = c.id AND c.status = 'inactive' AND r.valid_to IS NULL
           AND r.asset NOT IN (SELECT m.moved_from FROM jsonb_to_recordset(CAST(:assets AS jsonb)) AS m(moved_from uuid)
                                WHERE m.moved_from IS NOT NULL)
    ),
    unclaimed AS (
        DELETE FROM orderloom.asset_claims USING last
         WHERE order_id = CAST(:order AS uuid) AND asset_claims.root = :root
    )
""")  # noqa: S608 - built from constants

_END_ROOT = changes(f"""
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
    {_withdrawn("fallouts.step IN (SELECT id FROM steps)", "the bundle was given up")},
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

_TRANSITION = changes("""
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

_ASSESSED = changes(f"""
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

_APPROVED = changes("""
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

_JUDGED = changes(f"""
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

_JUDGMENT = text("""
    SELECT code FROM orderloom.order_revisions WHERE order_id = CAST(:order AS uuid) AND revision = :revision
""")

_WAITS_FOR_REVISION = text("""
    SELECT EXISTS (SELECT FROM orderloom.order_revisions WHERE order_id = CAST(:order AS uuid) AND state = 'accepted')
""")

_ITEMS_FIRST = text("""
    SELECT FROM orderloom.plan_items WHERE order_id = CAST(:order AS uuid) ORDER BY position FOR UPDATE
""")
"""Before the order, as whoever writes down what a step has done: neither waits for the other in a circle."""

_REVISED = changes(
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

_FORMER = text("""
    UPDATE orderloom.order_revisions SET state = 'superseded'
     WHERE order_id = CAST(:order AS uuid) AND revision < :revision AND state = 'active'
""")

_FINISHED = changes("""
    changed AS (SELECT 0 AS position, CAST(:state AS text) AS type, CAST('{}' AS jsonb) AS body)
""")

_REFUSED_ONCE = "CAST(NOT CAST(:in_doubt AS boolean) AS int)"
"""The attempt that was refused; one that failed is counted when it does."""
_OPEN_FALLOUT = changes(f"""
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

_LATE = Prepared(f"""
    SELECT p.actual_at AS at, CASE WHEN o.state IN ({quoted(FINAL)}) THEN o.state END AS order_state
      FROM orderloom.plan_items AS p
      JOIN orderloom.orders AS o ON o.id = p.order_id
     WHERE p.order_id = CAST(:order AS uuid) AND p.id = :step AND p.state IN ({quoted(SETTLED)})
""")  # noqa: S608 - built from constants

_CLOSE_FALLOUT = changes(f"""
    closed AS (
        UPDATE orderloom.fallouts
           SET state = :fallout_state, closed_at = now(), decision = :decision, actor = :actor, reason = :why
         WHERE id = :id AND {IS_OPEN}
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
         WHERE l.order_id = CAST(:order AS uuid) AND l.id = s.key AND l.state NOT IN ({quoted(FINAL)})
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

_CORRECT = Prepared("""
    UPDATE orderloom.orders SET corrections = corrections || CAST(:correction AS jsonb)
     WHERE id = CAST(:order AS uuid) AND jsonb_array_length(corrections) = :before
""")


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
        """How far the order is: what is in force, and the steps that are done or skipped."""
        with autocommit(self.engine) as connection:
            row = connection.execute(_STANDING, {"order": order}).one()
        return Standing(
            ref=OrderRef(order=order, revision=row.revision, corrections=row.corrections),
            state=State(row.state),
            is_planned=row.is_planned,
            done=row.done or {},
            asked=row.asked or {},
            fallouts=row.fallouts,
            given_up={root: State(state) for root, state in (row.given_up or {}).items()},
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
            return bool(_SENT.on(connection, order=order, steps=list(steps)).scalar_one())

    def done(self, in_flight: InFlight, done: Sequence[Done], *, asked: bool = False) -> State | None:
        """Write down that steps are done, with the last of a bundle its assets and the end of its lines.

        The order's state when that was the last of it. What a person was ``asked`` before is withdrawn; otherwise
        nothing is written once somebody is asked about one of the steps.
        """
        rows = _DONES.dump_json(done, exclude=_NOT_A_COLUMN).decode()
        last = next((x for x in done if x.installation is not None), None)
        if last is None or last.installation is None:
            self._change(_DONE_STEPS, in_flight.id, done=rows, asked=asked)
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
        statement = _INSTALL
        if installation.claimed:
            statement = _INSTALL_CHANGES
            parameters["changed"] = _CHANGED_ASSETS.dump_json(installation.changed).decode()
        return self._end(statement, in_flight.id, installation.root, State.COMPLETED, alone=alone, **parameters)

    def failed(self, order: str, *, step: str, key: str, error: str, undo_refused: bool = False) -> None:
        """Write down one more failed attempt, and its error."""
        self._change(_FAILED, order, step=step, key=key, error=error[:1_000], undo_refused=undo_refused)

    def undo_refusals(self, order: str, *, step: str) -> int:
        """How often it was refused to take a step back."""
        with autocommit(self.engine) as connection:
            return int(_UNDO_REFUSALS.on(connection, order=order, step=step).scalar_one_or_none() or 0)

    def undone(self, order: str, *, step: str) -> None:
        """Write down that a step is taken back."""
        self._change(_UNDONE, order, step=step)

    def results(self, order: str, steps: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The answers written down for steps that are done, by step id; each with the ``key`` that did it.

        Of a step that was skipped the ``at`` that was said.
        """
        with autocommit(self.engine) as connection:
            rows = _RESULTS.on(connection, order=order, steps=list(steps))
            return {row.id: {**row.result, "key": row.key} for row in rows}

    def end_root(self, order: str, root: str, state: State) -> State | None:
        """Bring a root bundle's open lines to a final state; the order's state when that was the last of it."""
        return self._end(_END_ROOT, order, root, state, alone=False, line_state=state)

    def transition(self, order: str, state: State, *, reason: str | None, begun: bool) -> None:
        """Bring the order to a state it may follow into; its lines too while they have no lives of their own yet.

        It waits for its start, or for approval, only before it was ``begun``: a run that was reset does not know.
        """
        before = [x for x, after in NEXT.items() if state in after]
        if state is State.PENDING and not begun:
            before = [State.ACKNOWLEDGED]
        whole = state in (State.REJECTED, State.PENDING, State.CANCELLED)
        self._change(
            _TRANSITION, order, state=state, reason=reason, finished=state in FINAL, before=before, whole=whole
        )

    def assess(self, assessment: Assessment) -> None:
        """Write down that a cancellation was asked for, and what became of it: accepted, or the order goes on (2.3)."""
        cancellation, barrier = assessment.cancellation, assessment.barrier
        self._change(
            _ASSESSED,
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
            _APPROVED,
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
            return connection.execute(_LOAD_REVISION, asked).first() is not None

    def judge(self, judgment: Judgment) -> str | None:
        """Write down whether a revision is accepted; an accepted one keeps the order waiting until it is in force.

        The code of a refusal: ``NOT_OPEN`` also when it was to be accepted, and the order has ended meanwhile.
        """
        accepted = judgment.code is None
        superseded = judgment.code == "SUPERSEDED"
        self._change(
            _JUDGED,
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
            code: str | None = connection.execute(_JUDGMENT, asked).scalar_one()
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
            connection.execute(_ITEMS_FIRST, {"order": ref.order})
            now = connection.execute(
                text("SELECT state FROM orderloom.orders WHERE id = CAST(:order AS uuid) FOR UPDATE"),
                {"order": ref.order},
            ).scalar_one()
            connection.execute(_FORMER, {"order": ref.order, "revision": ref.revision})
            applied = _apply(
                connection,
                _REVISED,
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
            _apply(connection, _FINISHED, ref.order, end, finished=True)
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
        if self._change(_OPEN_FALLOUT, order, **row):
            return None
        with autocommit(self.engine) as connection:
            late = _LATE.on(connection, order=order, step=fallout.step).first()
        return None if late is None else Late(at=late.at, order_state=late.order_state and State(late.order_state))

    def close_fallout(self, closing: Closing, *, lines: Mapping[str, State]) -> None:
        """Close a fallout with the decision taken."""
        resolution = closing.resolution
        self._change(
            _CLOSE_FALLOUT,
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
            _CORRECT.on(connection, **parameters, before=ref.corrections - 1)

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
        self, statement: Prepared, order: str, root: str, state: State, *, alone: bool, **parameters: Parameter
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
            before = connection.execute(
                text("SELECT state FROM orderloom.orders WHERE id = CAST(:order AS uuid) FOR UPDATE"), {"order": order}
            ).scalar_one()
            roots = _root_states(connection, order)
            others = frozenset(x for other, states in roots.items() if other != root for x in states)
            mine = frozenset(state if x not in FINAL else x for x in roots.get(root, ()))
            cancelled = before == State.PENDING_CANCELLATION
            waits = before == State.PENDING and connection.execute(_WAITS_FOR_REVISION, {"order": order}).scalar_one()
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
            _PLANNED,
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
        row = _LOAD.on(connection, order=ref.order).one()
        document, included = row.document, row.corrections_included
        if ref.revision != row.revision:
            asked = {"order": ref.order, "revision": ref.revision}
            document, included = connection.execute(_LOAD_REVISION, asked).one()
    later = _CORRECTIONS.validate_python(row.corrections)[included : ref.corrections]
    order = corrected(ORDER.validate_python(document), later)
    decomposed = catalogs.decomposed(engine, order, row.catalog_version)
    return InFlight(
        id=ref.order, number=row.number, arrived=row.submitted_at, decomposed=decomposed, revision=ref.revision
    )
