"""The last step of a bundle: with it come its assets and the end of its lines."""

from models.statements.changes import changes
from models.statements.plans import DONE, HELD, IS_LATER

_IS_AS_BELIEVED = """
    EXISTS (SELECT FROM ending
             WHERE NOT CAST(:unrevised AS boolean) OR ending.state <> 'pending' AND ending.revision = 0)
"""
"""Of an order that is taken to end with its only root: no revision is in force, or about to be."""

_INSTALLED = f"""
    {HELD},
    ending AS (
        SELECT state, revision FROM orderloom.orders, (SELECT count(*) FROM held) AS first
         WHERE id = CAST(:order AS uuid) FOR UPDATE OF orders
    ),
    {DONE.format(is_later=IS_LATER, is_wanted=_IS_AS_BELIEVED)},
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

INSTALL = changes(_INSTALLED)

_ALL_OF_FEW = "LIMIT jsonb_array_length(CAST(:{} AS jsonb))"
"""All elements of a list; and PostgreSQL, which takes a list for a long one, looks what they name up by key."""

INSTALL_CHANGES = changes(f"""
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
