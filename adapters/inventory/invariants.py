"""What must hold of inventory's own ledger, and what it can list for a comparison with others."""

from domain.invariant import Invariant

CALLS = "SELECT key, NULL AS about, outcome AS value FROM inventory.calls"
RESERVATIONS = "SELECT key, order_id AS about, state AS value FROM inventory.reservations WHERE state <> 'released'"
UNITS = """
    SELECT format('%s line %s: %s at %s', h.reservation, h.line, h.sku, h.location) AS key, r.order_id AS about,
           CAST(h.quantity AS text) AS value
      FROM inventory.holds AS h JOIN inventory.reservations AS r ON r.key = h.reservation
     WHERE r.state <> 'released'
"""
NUMBERS = """
    SELECT format('%s of %s', n.value, n.pool) AS key, r.order_id AS about,
           format('%s by %s line %s', n.state, n.reservation, n.line) AS value
      FROM inventory.numbers AS n LEFT JOIN inventory.reservations AS r ON r.key = n.reservation
     WHERE n.reservation IS NOT NULL
"""

INVARIANTS = (
    Invariant(
        id="I7",
        statement="What is on a shelf is what came in less what was taken",
        query="""
            SELECT CASE WHEN COALESCE(s.on_hand, 0) <> COALESCE(m.quantity, 0)
                        THEN format('%s at %s: %s on hand, %s by its movements', sku, location, s.on_hand, m.quantity)
                   END AS broken
              FROM inventory.stock AS s
              FULL JOIN (SELECT sku, location, sum(quantity) AS quantity FROM inventory.movements
                          GROUP BY sku, location) AS m USING (sku, location)
        """,
    ),
    Invariant(
        id="I7-taken",
        statement="What was taken from a shelf was taken for somebody it was held for",
        query="""
            SELECT CASE WHEN h.quantity IS DISTINCT FROM m.quantity
                        THEN format('%s at %s for %s: %s taken, %s handed over', sku, location, reservation,
                                    COALESCE(m.quantity, 0), COALESCE(h.quantity, 0)) END AS broken
              FROM (SELECT sku, location, reservation, sum(-quantity) AS quantity FROM inventory.movements
                     WHERE reason = 'taken' GROUP BY sku, location, reservation) AS m
              FULL JOIN (SELECT sku, location, reservation, sum(quantity) AS quantity FROM inventory.holds
                          WHERE taken_at IS NOT NULL GROUP BY sku, location, reservation) AS h
                   USING (sku, location, reservation)
        """,
    ),
    Invariant(
        id="I7-reserved",
        statement="What is reserved on a shelf is what is held and not taken yet",
        query="""
            SELECT CASE WHEN COALESCE(s.reserved, 0) <> COALESCE(h.quantity, 0)
                        THEN format('%s at %s: %s reserved, %s held', sku, location, s.reserved,
                                    COALESCE(h.quantity, 0))
                   END AS broken
              FROM inventory.stock AS s
              FULL JOIN (SELECT h.sku, h.location, sum(h.quantity) AS quantity
                           FROM inventory.holds AS h JOIN inventory.reservations AS r ON r.key = h.reservation
                          WHERE r.state = 'reserved' AND h.taken_at IS NULL
                          GROUP BY h.sku, h.location) AS h USING (sku, location)
        """,
    ),
    Invariant(
        id="I8-settled",
        statement="All of a committed reservation is taken, and nothing of a released one",
        query="""
            SELECT CASE WHEN r.key IS NULL THEN format('line %s holds %s without a reservation', h.line, h.what)
                        WHEN r.state = 'committed' AND NOT h.taken
                        THEN format('%s is committed, %s is not taken', r.key, h.what)
                        WHEN r.state = 'released' AND h.taken
                        THEN format('%s is released, %s is taken', r.key, h.what)
                   END AS broken
              FROM (SELECT reservation, line, sku AS what, taken_at IS NOT NULL AS taken FROM inventory.holds
                     UNION ALL
                    SELECT reservation, line, value, state = 'assigned' FROM inventory.numbers
                     WHERE reservation IS NOT NULL) AS h
              LEFT JOIN inventory.reservations AS r ON r.key = h.reservation
        """,
    ),
    Invariant(
        id="I11-retired",
        statement="What was given back is in quarantine until its day, and not with whom it was before",
        query="""
            SELECT CASE WHEN n.reservation = back.reservation AND n.line = back.line
                        THEN format('%s of %s was given back, and %s still has it', value, pool, n.reservation)
                        WHEN back.until > now() AND n.state IS DISTINCT FROM 'quarantined'
                        THEN format('%s of %s is in quarantine until %s, and is %s', value, pool, back.until,
                                    COALESCE(n.state, 'gone')) END AS broken
              FROM inventory.numbers AS n
              FULL JOIN (SELECT DISTINCT ON (pool, value) given.pool, value, given.reservation, given.line,
                                CAST(c.answer ->> 'until' AS timestamptz) AS until
                           FROM inventory.calls AS c
                          CROSS JOIN jsonb_to_recordset(c.answer -> 'numbers') AS given (
                                pool text, "values" text[], reservation text, line text)
                          CROSS JOIN unnest(given."values") AS value
                          WHERE c.operation = 'retire' AND c.outcome = 'applied'
                          ORDER BY pool, value, c.at DESC) AS back USING (pool, value)
        """,
    ),
    Invariant(
        id="I9-reservations",
        statement="There is a reservation for each answer that says so, and no other",
        query="""
            SELECT CASE WHEN r.key IS NULL THEN format('%s was answered and is not there', key)
                        WHEN c.key IS NULL THEN format('%s is there and was never answered', key) END AS broken
              FROM inventory.reservations AS r
              FULL JOIN (SELECT key FROM inventory.calls
                          WHERE operation IN ('reserve', 'amend_reservation') AND outcome = 'applied') AS c USING (key)
        """,
    ),
)
