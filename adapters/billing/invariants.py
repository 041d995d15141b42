# ruff: noqa: S608 - statements are made of constants, never of anybody's input
"""What must hold of billing's own ledger, and what it can list for a comparison with others (billing.md 5.7)."""

from domain.billing import PURCHASE_OF
from domain.invariant import Invariant

_NEVER_ACTIVE = "('initiated', 'voided')"
_STATES = ", ".join(f"('{instance}', '{purchase}')" for instance, purchase in PURCHASE_OF.items())
_GOES_ON = "p.billing_type <> 'item'"
_KIND = "CASE billing_type WHEN 'discount' THEN 'discount' ELSE 'purchased_product' END"

CALLS = "SELECT key, NULL AS about, outcome AS value FROM billing.calls"
INITIATED = """
    SELECT id AS key, asset AS about, 'initiated' AS value FROM billing.service_instances WHERE status = 'initiated'
     UNION ALL
    SELECT id, asset, 'initiated' FROM billing.purchases WHERE status = 'initiated'
"""
INSTANCES = """
    SELECT asset AS key, asset AS about, CAST(active_from AS text) AS value
      FROM billing.service_instances WHERE status = 'active'
"""
BEGUN = f"""
    SELECT id AS key, asset AS about, CAST(active_from AS text) AS value
      FROM billing.service_instances WHERE status NOT IN {_NEVER_ACTIVE}
     UNION ALL
    SELECT id, asset, CASE WHEN purchase_start = cycle_start AND cycle_start = usage_start
                           THEN CAST(purchase_start AS text) ELSE 'three dates' END
      FROM billing.purchases WHERE status NOT IN {_NEVER_ACTIVE}
"""
STATES = f"""
    SELECT id AS key, asset AS about, CASE status WHEN 'closed' THEN 'inactive' ELSE status END AS value
      FROM billing.service_instances WHERE status NOT IN {_NEVER_ACTIVE}
     UNION ALL
    SELECT id, asset, CASE status WHEN 'cancelled' THEN 'inactive' ELSE status END
      FROM billing.purchases AS p WHERE status NOT IN {_NEVER_ACTIVE} AND {_GOES_ON}
"""
OBJECTS = f"""
    SELECT id AS key, asset AS about, format('service_instance of %s', asset) AS value
      FROM billing.service_instances WHERE status NOT IN {_NEVER_ACTIVE}
     UNION ALL
    SELECT id, asset, format('%s of %s', {_KIND}, asset) FROM billing.purchases WHERE status NOT IN {_NEVER_ACTIVE}
"""
CHARGES = """
    SELECT c.purchase AS key, p.asset AS about, format('%s %s', c.amount_minor, c.currency) AS value
      FROM billing.charges AS c JOIN billing.purchases AS p ON p.id = c.purchase
"""
PAYERS = f"""
    SELECT id AS key, asset AS about, account AS value FROM billing.service_instances
     WHERE status IN ('active', 'suspended')
     UNION ALL
    SELECT id, asset, account FROM billing.purchases AS p WHERE status IN ('active', 'suspended') AND {_GOES_ON}
"""
SERVICES = """
    SELECT made_for AS key, made_for AS about, CAST(count(*) AS text) AS value
      FROM (SELECT COALESCE((SELECT u.was ->> 'asset' FROM billing.updates AS u
                              WHERE u.id = i.id AND u.was ? 'asset' ORDER BY u.n LIMIT 1), i.asset) AS made_for
              FROM billing.service_instances AS i WHERE i.status <> 'voided') AS made
     GROUP BY made_for
"""
PURCHASES = """
    SELECT asset AS key, asset AS about, format('%s %s x %s %s', quantity, product, price_minor, currency) AS value
      FROM billing.purchases WHERE status NOT IN ('initiated', 'voided', 'cancelled')
"""

INVARIANTS = (
    Invariant(
        id="I13",
        statement="Nothing is charged twice",
        query="""
            SELECT CASE WHEN count(*) > 1 THEN format('asset %s of line %s is charged by %s', p.asset, c.line,
                                                      string_agg(c.purchase, ', ')) END AS broken
              FROM billing.charges AS c JOIN billing.purchases AS p ON p.id = c.purchase
             GROUP BY p.asset, c.line
        """,
    ),
    Invariant(
        id="I13-amount",
        statement="Each Item is charged its price times its quantity, and nothing else is charged",
        query="""
            SELECT CASE WHEN p.id IS NULL THEN format('%s charges %s %s for nothing',
                                                       c.purchase, c.amount_minor, c.currency)
                        WHEN c.purchase IS NULL THEN format('%s is not charged', p.id)
                        WHEN (c.amount_minor, c.currency) <> (p.price_minor * p.quantity, p.currency)
                        THEN format('%s is charged %s %s, its price is %s x %s %s', p.id, c.amount_minor, c.currency,
                                    p.quantity, p.price_minor, p.currency) END AS broken
              FROM billing.charges AS c
              FULL JOIN (SELECT * FROM billing.purchases WHERE billing_type = 'item' AND price_minor IS NOT NULL) AS p
                   ON p.id = c.purchase
        """,
    ),
    Invariant(
        id="I13-group",
        statement="What is charged for a service is on the balance group of the service (B58)",
        query="""
            SELECT CASE WHEN c.balance_group <> i.balance_group
                        THEN format('%s is charged on %s, its service %s has %s', c.purchase, c.balance_group, i.id,
                                    i.balance_group) END AS broken
              FROM billing.charges AS c
              JOIN billing.purchases AS p ON p.id = c.purchase
              JOIN billing.service_instances AS i ON i.id = p.service_instance
        """,
    ),
    Invariant(
        id="billing-I2",
        statement="Nothing is charged before it is active",
        query=f"""
            SELECT CASE WHEN p.status IN {_NEVER_ACTIVE} OR c.at < p.purchase_start
                        THEN format('%s is charged at %s, it is %s from %s', p.id, c.at, p.status, p.purchase_start)
                   END AS broken
              FROM billing.charges AS c JOIN billing.purchases AS p ON p.id = c.purchase
        """,
    ),
    Invariant(
        id="billing-I6",
        statement="A simple service bundle's product is in its instance's state; nothing goes on without its service",
        query=f"""
            SELECT CASE WHEN p.asset = i.asset AND p.status <> state.of_purchase
                             OR p.status = 'initiated' AND i.status <> 'initiated'
                             OR p.status NOT IN {_NEVER_ACTIVE} AND i.status = 'voided'
                             OR {_GOES_ON} AND p.status = 'active' AND i.status IN ('suspended', 'closed')
                             OR {_GOES_ON} AND p.status = 'suspended' AND i.status = 'closed'
                        THEN format('%s is %s, its service %s is %s', p.id, p.status, i.id, i.status) END AS broken
              FROM billing.purchases AS p
              JOIN billing.service_instances AS i ON i.id = p.service_instance
              JOIN (VALUES {_STATES}) AS state (of_instance, of_purchase) ON state.of_instance = i.status
        """,
    ),
    Invariant(
        id="billing-I6-suspended",
        statement="What is billed is suspended only after it began and before it ended, in one period at a time",
        query="""
            SELECT CASE WHEN x.since < x.before THEN format('%s was suspended twice at %s', x.id, x.since)
                        WHEN x.since IS NOT NULL AND billed.id IS NULL
                        THEN format('%s was suspended from %s to %s, and not billed', x.id, x.since, x.until)
                   END AS broken
              FROM (SELECT id, since, until, lag(until) OVER (PARTITION BY id ORDER BY since) AS before
                      FROM (SELECT id, since, until FROM billing.suspensions
                             UNION ALL
                            SELECT id, CASE status WHEN 'suspended' THEN state_since END, NULL
                              FROM billing.service_instances
                             UNION ALL
                            SELECT id, CASE status WHEN 'suspended' THEN state_since END, NULL
                              FROM billing.purchases) AS known) AS x
              LEFT JOIN (SELECT id, active_from AS began, ended_at FROM billing.service_instances
                          UNION ALL
                         SELECT id, purchase_start, ended_at FROM billing.purchases) AS billed
                   ON billed.id = x.id AND billed.began <= x.since
                  AND COALESCE(billed.ended_at, 'infinity') >= COALESCE(x.until, x.since)
        """,
    ),
    Invariant(
        id="billing-I7",
        statement="What moved is known by the asset it moved to, under the id it had before",
        query="""
            SELECT CASE WHEN known.id IS NULL THEN format('%s moved to asset %s and is not there', id, moved.asset)
                        WHEN known.asset <> moved.asset
                        THEN format('%s moved to asset %s and is known by %s', id, moved.asset, known.asset)
                        WHEN known.made_at > moved.at THEN format('%s moved at %s and was made at %s', id, moved.at,
                                                                  known.made_at) END AS broken
              FROM (SELECT id, asset, made_at FROM billing.service_instances
                     UNION ALL
                    SELECT id, asset, NULL FROM billing.purchases) AS known
              FULL JOIN (SELECT DISTINCT ON (id) object.id, object.asset, c.at
                           FROM billing.calls AS c
                          CROSS JOIN jsonb_each_text(c.answer -> 'objects') AS object (id, asset)
                          WHERE c.operation = 'repoint' AND c.outcome = 'applied'
                          ORDER BY id, c.at DESC) AS moved USING (id)
        """,
    ),
)
