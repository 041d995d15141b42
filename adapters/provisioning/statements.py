"""The statements of the network.

A service's row says since when it is suspended; a suspension that is over is a row of its own. Every change locks the
service's row first, so that of two at the same time the second one sees what the first one did.
"""

from sqlalchemy import text

from sql.prepared import Prepared

_SERVICE = {
    "service": "text",
    "product": "text",
    "account": "text",
    "billable": "boolean",
    "service_id": "text",
    "features": "text[]",
    "numbers": "jsonb",
    "attributes": "jsonb",
}

ACTIVATE = Prepared(
    """
INSERT INTO provisioning.services
    (service, product, account, billable, service_id, features, numbers, attributes, since)
VALUES (:service, :product, :account, :billable, :service_id, :features, :numbers, :attributes, :at)
ON CONFLICT (service) WHERE until IS NULL DO UPDATE SET
    (product, account, billable, service_id, features, numbers, attributes)
    = (EXCLUDED.product, EXCLUDED.account, EXCLUDED.billable, EXCLUDED.service_id, EXCLUDED.features, EXCLUDED.numbers,
       EXCLUDED.attributes)
    WHERE services.suspended_at IS NULL
RETURNING since
""",
    **_SERVICE,
    at="timestamptz",
)
"""No row when it is there and suspended."""

MODIFY = Prepared(
    """
UPDATE provisioning.services SET
    (product, account, billable, service_id, features, numbers, attributes)
    = (:product, :account, :billable, :service_id, :features, :numbers, :attributes)
WHERE service = :service AND until IS NULL
RETURNING CASE WHEN suspended_at <= :at THEN 'suspended' ELSE 'active' END
""",
    **_SERVICE,
    at="timestamptz",
)

SUSPEND = Prepared(
    """
UPDATE provisioning.services s SET suspended_at = COALESCE(suspended_at, greatest(
    since, :at, (SELECT max(x.until) FROM provisioning.suspensions x WHERE x.service = s.service)))
WHERE service = :service AND until IS NULL
RETURNING suspended_at
""",
    service="text",
    at="timestamptz",
)

RESUME = Prepared(
    """
WITH was AS (
    SELECT id, service, since, suspended_at FROM provisioning.services
    WHERE service = :service AND until IS NULL FOR UPDATE
), over AS (
    INSERT INTO provisioning.suspensions (service, since, until)
    SELECT service, suspended_at, :at FROM was WHERE suspended_at < :at
), resumed AS (
    UPDATE provisioning.services s SET suspended_at = NULL FROM was
    WHERE s.id = was.id AND was.suspended_at IS NOT NULL
)
SELECT CASE WHEN suspended_at IS NOT NULL THEN greatest(since, :at) ELSE COALESCE(
           (SELECT max(x.until) FROM provisioning.suspensions x WHERE x.service = was.service AND x.since >= was.since),
           since) END
FROM was
""",
    service="text",
    at="timestamptz",
)
"""A slow suspension that is called off before it began is none."""

DEACTIVATE = Prepared(
    """
WITH was AS (
    SELECT id, service, suspended_at, greatest(since, :at) AS until FROM provisioning.services
    WHERE service = :service AND until IS NULL FOR UPDATE
), over AS (
    INSERT INTO provisioning.suspensions (service, since, until)
    SELECT service, suspended_at, until FROM was WHERE suspended_at < until
)
UPDATE provisioning.services s SET until = was.until, suspended_at = NULL FROM was WHERE s.id = was.id
RETURNING s.until
""",
    service="text",
    at="timestamptz",
)
"""A slow activation that is called off before it ran leaves an empty period."""

STOPPED = text("SELECT max(until) FROM provisioning.services WHERE service = :service AND until IS NOT NULL")

# What has stopped since the instant is found first, by its end: there is much that stopped long ago.
LIST_ACTIVE = text("""
WITH stopped AS MATERIALIZED (
    SELECT service, account, billable, since, suspended_at FROM provisioning.services WHERE until > :as_of
), listed AS (
    (SELECT service, account, billable, since, suspended_at FROM provisioning.services
      WHERE until IS NULL AND since <= :as_of AND service > :after ORDER BY service LIMIT :limit)
    UNION ALL
    SELECT * FROM stopped WHERE since <= :as_of AND service > :after
    ORDER BY service LIMIT :limit
)
SELECT l.service, l.account, l.billable, l.since,
       CASE WHEN l.suspended_at <= :as_of OR x.rests THEN 'suspended' ELSE 'active' END AS state,
       CASE WHEN l.suspended_at <= :as_of THEN l.suspended_at ELSE x.changed_at END AS state_since
FROM listed l
LEFT JOIN LATERAL (
    SELECT bool_or(x.until > :as_of) AS rests,
           max(CASE WHEN x.until > :as_of THEN x.since ELSE x.until END) AS changed_at
    FROM provisioning.suspensions x
    WHERE x.service = l.service AND x.since <= :as_of AND x.since >= l.since) x ON TRUE
ORDER BY l.service
""")
