# ruff: noqa: S608 - statements are made of constants, never of anybody's input
"""The statements of the billing system; several rows go in one statement, as JSON."""

from sqlalchemy import text

from sql.prepared import Prepared

_PURCHASE_COLUMNS = """
    id, product, billing_type, account, service_instance, balance_group, asset, line, quantity, price_minor, currency,
    promotion_ref, duration_months, status, purchase_start, cycle_start, usage_start, ends
"""

_ASKED = """
    jsonb_to_recordset(:purchases) AS p (
        id text, product text, billing_type text, account text, instance text, asset text, line text, quantity integer,
        price_minor bigint, currency text, promotion_ref text, duration_months integer
    )
"""

_CHARGE = """
    INSERT INTO billing.charges (purchase, line, balance_group, amount_minor, currency, at)
    SELECT id, line, balance_group, price_minor * quantity, currency, :starts FROM bought
    WHERE billing_type = 'item' AND price_minor IS NOT NULL
"""


def _with_parts(statement: str) -> str:
    parts = {"{purchase_columns}": _PURCHASE_COLUMNS, "{asked}": _ASKED, "{charge}": _CHARGE}
    for name, part in parts.items():
        statement = statement.replace(name, part)
    return statement


SYNC_CUSTOMER = text("""
INSERT INTO billing.accounts (id, name, owner, balance_group) VALUES (:id, :name, :owner, :balance_group)
ON CONFLICT (id) DO UPDATE SET (name, owner) = (EXCLUDED.name, EXCLUDED.owner)
""")

_MAKE = """
WITH instance AS (
    INSERT INTO billing.service_instances (
        id, billing_service_type, account, profile, service_id, asset, line, status, balance_group, made_at, active_from
    )
    SELECT i.id, i.billing_service_type, a.id, i.profile, i.service_id, i.asset, i.line, :status, i.balance_group, :at,
           :active_from
    FROM jsonb_to_recordset(:instances) AS i (
             id text, billing_service_type text, account text, profile text, service_id text, asset text, line text,
             balance_group text)
    JOIN billing.accounts a ON a.id = i.account AND a.status = 'active'
    ON CONFLICT (asset) WHERE status NOT IN ('closed', 'voided') DO NOTHING
    RETURNING id, balance_group
), holder AS (
    SELECT id, balance_group FROM billing.service_instances
    WHERE asset = :holder AND status NOT IN ('closed', 'voided') FOR SHARE
), bought AS (
    INSERT INTO billing.purchases ({purchase_columns})
    SELECT p.id, p.product, p.billing_type, a.id, COALESCE(i.id, h.id),
           COALESCE(i.balance_group, h.balance_group, a.balance_group), p.asset, p.line, p.quantity, p.price_minor,
           p.currency, p.promotion_ref, p.duration_months, :purchase_status, :starts, :starts, :starts,
           :starts + make_interval(months => p.duration_months)
    FROM {asked}
    JOIN billing.accounts a ON a.id = p.account AND a.status = 'active'
    LEFT JOIN instance i ON i.id = p.instance
    LEFT JOIN holder h ON p.instance IS NULL
    ON CONFLICT (asset) WHERE status NOT IN ('cancelled', 'voided') DO NOTHING
    RETURNING id, line, billing_type, service_instance, balance_group, price_minor, quantity, currency
), charged AS ({charge})
SELECT (SELECT count(*) FROM instance) AS instances, b.id, b.service_instance
FROM (VALUES (1)) AS one (answer) LEFT JOIN bought b ON TRUE
"""
MAKE = Prepared(
    _with_parts(_MAKE),
    instances="jsonb",
    purchases="jsonb",
    holder="text",
    status="text",
    purchase_status="text",
    at="timestamptz",
    active_from="timestamptz",
    starts="timestamptz",
)
"""Instances and purchases, as initiated or as active, with the charges of Items; only those that may be, are made."""

_FULFILL = """
WITH instance AS (
    UPDATE billing.service_instances s SET status = 'active', active_from = :starts
    FROM billing.accounts a
    WHERE s.asset = :asset AND s.status = 'initiated' AND a.id = s.account AND a.status = 'active'
    RETURNING s.id, s.account, s.balance_group
), fulfilled AS (
    UPDATE billing.purchases p SET status = 'active', purchase_start = :starts, cycle_start = :starts,
        usage_start = :starts, ends = :starts + make_interval(months => p.duration_months)
    FROM instance i WHERE p.service_instance = i.id AND p.status = 'initiated'
    RETURNING p.id, p.asset, p.product, p.quantity
), bought AS (
    INSERT INTO billing.purchases ({purchase_columns})
    SELECT p.id, p.product, p.billing_type, i.account, i.id, i.balance_group, p.asset, p.line, p.quantity,
           p.price_minor, p.currency, p.promotion_ref, p.duration_months, 'active', :starts, :starts, :starts,
           :starts + make_interval(months => p.duration_months)
    FROM {asked} CROSS JOIN instance i
    ON CONFLICT (asset) WHERE status NOT IN ('cancelled', 'voided') DO NOTHING
    RETURNING id, asset, line, product, billing_type, balance_group, price_minor, quantity, currency
), charged AS ({charge})
SELECT i.id AS service_instance, i.balance_group, p.id, p.asset, p.product, p.quantity
FROM instance i LEFT JOIN (
    SELECT id, asset, product, quantity FROM fulfilled UNION ALL SELECT id, asset, product, quantity FROM bought
) p ON TRUE
"""
FULFILL = Prepared(_with_parts(_FULFILL), asset="text", starts="timestamptz", purchases="jsonb")
"""An initiated service becomes active with all its products; what was not initiated, its Items, is bought now."""

_VOID = """
WITH instance AS (
    UPDATE billing.service_instances SET status = 'voided', ended_at = :at
    WHERE asset = :asset AND status = 'initiated' RETURNING id, balance_group
), voided AS (
    UPDATE billing.purchases p SET status = 'voided', ended_at = :at FROM instance i
    WHERE p.service_instance = i.id AND p.status = 'initiated'
    RETURNING p.id, p.asset, p.product, p.quantity
)
SELECT i.id AS service_instance, i.balance_group, v.id, v.asset, v.product, v.quantity
FROM instance i LEFT JOIN voided v ON TRUE
"""
VOID = Prepared(_VOID, asset="text", at="timestamptz")

OPEN_INSTANCES = text("""
SELECT id, asset, account, profile, service_id, status, balance_group FROM billing.service_instances
WHERE asset = ANY(CAST(:assets AS text[])) AND status NOT IN ('closed', 'voided')
ORDER BY asset FOR UPDATE
""")

OPEN_PURCHASES = text("""
SELECT id, asset, product, quantity, price_minor, currency, promotion_ref, status, service_instance, purchase_start
FROM billing.purchases
WHERE service_instance = ANY(CAST(:instances AS text[])) AND status NOT IN ('cancelled', 'voided')
ORDER BY asset FOR UPDATE
""")

AMEND_INSTANCE = text("""
UPDATE billing.service_instances s SET account = a.id, profile = :profile, service_id = :service_id
FROM billing.accounts a WHERE s.id = :id AND a.id = :account AND a.status = 'active' RETURNING s.id
""")

AMEND_PURCHASE = text("""
UPDATE billing.purchases SET account = :account, quantity = :quantity, price_minor = CAST(:price_minor AS bigint),
    currency = CAST(:currency AS text), promotion_ref = :promotion_ref, purchase_start = :starts, cycle_start = :starts,
    usage_start = :starts, ends = :starts + make_interval(months => CAST(:duration_months AS integer))
WHERE id = :id
""")

ADD_PURCHASE = text(f"""
INSERT INTO billing.purchases ({_PURCHASE_COLUMNS})
SELECT :id, :product, :billing_type, :account, s.id, s.balance_group, :asset, :line, :quantity,
       CAST(:price_minor AS bigint), CAST(:currency AS text), :promotion_ref, CAST(:duration_months AS integer),
       'initiated', :starts, :starts, :starts, :starts + make_interval(months => CAST(:duration_months AS integer))
FROM billing.service_instances s WHERE s.id = :instance
""")

VOID_PURCHASE = text("UPDATE billing.purchases SET status = 'voided', ended_at = :at WHERE id = :id")

OBSTACLES = text("""
SELECT ARRAY(SELECT DISTINCT w FROM unnest(CAST(:accounts AS text[])) AS w
             WHERE NOT EXISTS (SELECT FROM billing.accounts WHERE id = w AND status = 'active')) AS unknown,
       ARRAY(SELECT asset FROM billing.service_instances
             WHERE asset = ANY(CAST(:services AS text[])) AND status NOT IN ('closed', 'voided')
             UNION
             SELECT asset FROM billing.purchases
             WHERE asset = ANY(CAST(:purchased AS text[])) AND status NOT IN ('cancelled', 'voided')) AS billed
""")
"""What stands in the way of making something: accounts that are unknown or closed, assets billed already."""

LOCK_SERVICES = Prepared(
    """
SELECT id, asset, account, profile, service_id, status, balance_group, active_from AS starts, state_since
FROM billing.service_instances
WHERE status NOT IN ('closed', 'voided') AND id = ANY(ARRAY(
    SELECT id FROM billing.service_instances WHERE asset = ANY(:assets) AND status NOT IN ('closed', 'voided')
    UNION ALL
    SELECT service_instance FROM billing.purchases
    WHERE asset = ANY(:assets) AND status NOT IN ('cancelled', 'voided')))
ORDER BY id FOR UPDATE
""",
    assets="text[]",
)
"""The open instances of these assets, and those that their purchases are in: until the end nothing joins them."""

LOCK_PURCHASES = Prepared(
    """
SELECT id, asset, product, billing_type, account, service_instance, quantity, price_minor, currency, promotion_ref,
       status, purchase_start AS starts, state_since
FROM billing.purchases
WHERE status NOT IN ('cancelled', 'voided') AND id = ANY(ARRAY(
    SELECT id FROM billing.purchases WHERE service_instance = ANY(:services)
    UNION ALL
    SELECT id FROM billing.purchases WHERE asset = ANY(:assets) AND status NOT IN ('cancelled', 'voided')))
ORDER BY id FOR UPDATE
""",
    services="text[]",
    assets="text[]",
)
"""The open purchases of services and of assets; asked only when their instances are locked, so that none is missed."""

BECOME = Prepared(
    """
WITH rested AS (
    INSERT INTO billing.suspensions (id, since, until)
    SELECT id, state_since, :at FROM (
        SELECT id, status, state_since FROM billing.service_instances WHERE id = :service
        UNION ALL
        SELECT id, status, state_since FROM billing.purchases WHERE id = ANY(:purchases)) AS was
    WHERE status = 'suspended' AND state_since < :at
), service AS (
    UPDATE billing.service_instances SET status = :status, ended_at = :ended_at,
        state_since = CASE WHEN :ended_at IS NULL THEN :at ELSE state_since END
    WHERE id = :service
)
UPDATE billing.purchases SET status = :purchase_status, ended_at = :ended_at,
    state_since = CASE WHEN :ended_at IS NULL THEN :at ELSE state_since END
WHERE id = ANY(:purchases)
""",
    service="text",
    purchases="text[]",
    status="text",
    purchase_status="text",
    at="timestamptz",
    ended_at="timestamptz",
)
"""A service and purchases are suspended, resumed or ended; a suspension that is over is a row of its own."""

REWRITE = Prepared(
    """
WITH services AS (
    UPDATE billing.service_instances s
    SET (asset, account, profile, service_id) = (r.asset, r.account, r.profile, r.service_id)
    FROM jsonb_to_recordset(:services) AS r (id text, asset text, account text, profile text, service_id text)
    WHERE s.id = ANY(:ids) AND s.id = r.id
), purchases AS (
    UPDATE billing.purchases p
    SET (asset, account, balance_group, quantity, price_minor, currency, promotion_ref)
      = (r.asset, r.account, COALESCE(r.balance_group, p.balance_group), r.quantity, r.price_minor, r.currency,
         r.promotion_ref)
    FROM jsonb_to_recordset(:purchases) AS r (id text, asset text, account text, balance_group text, quantity integer,
                                              price_minor bigint, currency text, promotion_ref text)
    WHERE p.id = ANY(:ids) AND p.id = r.id
)
INSERT INTO billing.updates (id, at, was)
SELECT id, :at, was FROM jsonb_to_recordset(:was) AS r (id text, was jsonb)
""",
    services="jsonb",
    purchases="jsonb",
    was="jsonb",
    ids="text[]",
    at="timestamptz",
)
"""Services and purchases as they are from now on; what they were stays on record."""

BALANCE_GROUP = text("SELECT balance_group FROM billing.accounts WHERE id = :account AND status = 'active'")

INSTANCE = text("""
SELECT s.status, s.account, a.status AS account_status FROM billing.service_instances s
JOIN billing.accounts a ON a.id = s.account
WHERE s.asset = :asset AND s.status NOT IN ('closed', 'voided')
""")

REFERENCES = text("""
SELECT id FROM billing.purchases WHERE product = :product AND status NOT IN ('cancelled', 'voided') ORDER BY id
""")

# What has ended since the instant is found first, by its end: there is much that ended long ago. A service's product,
# if it has one, says its quantity; what ended with its service may have ended since, too.
_INSTANCE = "asset, id, account, billing_service_type, made_at, active_from, status, state_since"
_INSTANCE_THEN = "least(made_at, active_from) <= :as_of AND asset > :after"
_ALONE = "asset, id, account, purchase_start, status, state_since, quantity, price_minor, currency"
_ALONE_THEN = "status <> 'initiated' AND purchase_start <= :as_of AND asset > :after"
_IS_ALONE = "service_instance IS NULL AND billing_type = 'subscription'"
LIST_ACTIVE = text(f"""
WITH ended AS MATERIALIZED (
    SELECT {_INSTANCE} FROM billing.service_instances WHERE ended_at > :as_of
), ended_alone AS MATERIALIZED (
    SELECT {_ALONE} FROM billing.purchases WHERE ended_at > :as_of AND {_IS_ALONE}
), instances AS (
    (SELECT {_INSTANCE} FROM billing.service_instances
      WHERE status NOT IN ('closed', 'voided') AND {_INSTANCE_THEN} ORDER BY asset LIMIT :limit)
    UNION ALL
    SELECT * FROM ended WHERE {_INSTANCE_THEN}
), alone AS (
    (SELECT {_ALONE} FROM billing.purchases
      WHERE status NOT IN ('cancelled', 'voided') AND {_IS_ALONE} AND {_ALONE_THEN} ORDER BY asset LIMIT :limit)
    UNION ALL
    SELECT * FROM ended_alone WHERE {_ALONE_THEN}
), listed AS (
    SELECT asset, id, id AS instance, account, billing_service_type, COALESCE(active_from <= :as_of, FALSE) AS began,
           made_at, active_from, status, state_since, NULL AS quantity, NULL AS price_minor, NULL AS currency
      FROM instances
     UNION ALL
    SELECT asset, id, NULL, account, NULL, TRUE, NULL, purchase_start, status, state_since, quantity,
           price_minor * quantity, currency
      FROM alone
     ORDER BY asset LIMIT :limit
)
SELECT l.asset AS service, l.account, l.instance AS service_instance, l.billing_service_type,
       CASE WHEN l.began THEN l.active_from ELSE l.made_at END AS since,
       CASE WHEN NOT l.began THEN 'initiated'
            WHEN l.status = 'suspended' AND l.state_since <= :as_of OR x.rests THEN 'suspended'
            ELSE 'active' END AS state,
       CASE WHEN l.state_since <= :as_of THEN l.state_since ELSE x.changed_at END AS state_since,
       COALESCE(l.quantity, b.quantity, 1) AS quantity,
       COALESCE(l.price_minor, b.price_minor) AS price_minor, COALESCE(l.currency, b.currency) AS currency
  FROM listed AS l
  LEFT JOIN LATERAL (
       SELECT max(p.quantity) FILTER (WHERE p.asset = l.asset) AS quantity,
              CAST(sum(p.price_minor * p.quantity) AS bigint) AS price_minor,
              CASE WHEN count(DISTINCT p.currency) = 1 THEN min(p.currency) END AS currency
         FROM billing.purchases AS p
        WHERE p.service_instance = l.instance AND p.billing_type = 'subscription'
          AND (p.status NOT IN ('cancelled', 'voided') OR p.ended_at > :as_of)) AS b ON TRUE
  LEFT JOIN LATERAL (
       SELECT bool_or(x.until > :as_of) AS rests,
              max(CASE WHEN x.until > :as_of THEN x.since ELSE x.until END) AS changed_at
         FROM billing.suspensions AS x
        WHERE l.state_since IS NOT NULL AND x.id = l.id AND x.since <= :as_of) AS x ON TRUE
 ORDER BY l.asset
""")

PRODUCTS = text("""
SELECT code, name, billing_type, billing_service_type, price_minor, currency,
       CASE WHEN code = ANY(CAST(:service_instances AS text[])) THEN events ELSE '{}' END AS events
FROM billing.products ORDER BY code
""")

LOAD_PRODUCT = text("""
INSERT INTO billing.products (code, name, billing_type, billing_service_type, price_minor, currency, events)
VALUES (:code, :name, :billing_type, :billing_service_type, :price_minor, :currency, CAST(:events AS text[]))
ON CONFLICT (code) DO UPDATE SET
    (name, billing_type, billing_service_type, price_minor, currency, events)
    = (EXCLUDED.name, EXCLUDED.billing_type, EXCLUDED.billing_service_type, EXCLUDED.price_minor, EXCLUDED.currency,
       EXCLUDED.events)
""")

CLOSE_ACCOUNT = text("UPDATE billing.accounts SET status = 'closed' WHERE id = :id")
