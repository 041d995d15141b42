# ruff: noqa: S608 - statements are made of constants, never of anybody's input
"""What must hold of billing's own ledger, and what it can list for a comparison with others (billing.md 5.7)."""

from domain.billing import PURCHASE_OF
from domain.invariant import Invariant

_NEVER_ACTIVE = "('initiated', 'voided')"
_STATES = ", ".join(f"('{instance}', '{purchase}')" for instance, purchase in PURCHASE_OF.items())
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
ACTIVE = f"""
    {INSTANCES}
     UNION
    SELECT asset, asset, CASE WHEN purchase_start = cycle_start AND cycle_start = usage_start
                              THEN CAST(purchase_start AS text) ELSE 'three dates' END
      FROM billing.purchases WHERE status = 'active'
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
SERVICES = """
    SELECT asset AS key, asset AS about, CAST(count(*) AS text) AS value
      FROM billing.service_instances WHERE status <> 'voided' GROUP BY asset
"""
PURCHASES = """
    SELECT asset AS key, asset AS about, format('%s x %s %s', quantity, price_minor, currency) AS value
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
        statement="A simple service bundle's product is in its instance's state; no purchase is in a state without one",
        query=f"""
            SELECT CASE WHEN p.asset = i.asset AND p.status <> state.of_purchase
                             OR p.status = 'initiated' AND i.status <> 'initiated'
                             OR p.status NOT IN {_NEVER_ACTIVE} AND i.status = 'voided'
                        THEN format('%s is %s, its service %s is %s', p.id, p.status, i.id, i.status) END AS broken
              FROM billing.purchases AS p
              JOIN billing.service_instances AS i ON i.id = p.service_instance
              JOIN (VALUES {_STATES}) AS state (of_instance, of_purchase) ON state.of_instance = i.status
        """,
    ),
)
