"""The statements of the inventory system.

Stock rows are locked in the order of sku and location before any is changed, and stock before numbers: two reservations
that want the same things in another order wait for each other, and never in a circle.
"""

from sqlalchemy import text

from sql.prepared import Prepared

HOLD = Prepared(
    """
WITH wanted AS (
    SELECT * FROM unnest(:lines, :skus, :locations, :quantities) AS w (line, sku, location, quantity)
), totals AS (
    SELECT sku, location, sum(quantity) AS quantity FROM wanted GROUP BY sku, location
), locked AS (
    SELECT s.sku, s.location FROM inventory.stock s JOIN totals t USING (sku, location)
    ORDER BY s.sku, s.location FOR UPDATE OF s
), taken AS (
    UPDATE inventory.stock s SET reserved = s.reserved + t.quantity
    FROM totals t JOIN locked USING (sku, location)
    WHERE s.sku = t.sku AND s.location = t.location AND s.on_hand - s.reserved >= t.quantity
    RETURNING s.sku
), reservation AS (
    INSERT INTO inventory.reservations (key, order_id, state, at) VALUES (:key, :order, 'reserved', :at)
    ON CONFLICT DO NOTHING
), held AS (
    INSERT INTO inventory.holds (reservation, line, sku, location, quantity)
    SELECT :key, line, sku, location, sum(quantity) FROM wanted GROUP BY line, sku, location
    ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM totals) - (SELECT count(*) FROM taken)
""",
    key="text",
    order="text",
    at="timestamptz",
    lines="text[]",
    skus="text[]",
    locations="text[]",
    quantities="integer[]",
)

SHORTAGES = text("""
SELECT t.sku, t.location, t.quantity, s.on_hand - s.reserved AS available
FROM (SELECT sku, location, sum(quantity) AS quantity
      FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:quantities AS integer[]))
           AS w (sku, location, quantity)
      GROUP BY sku, location) t
LEFT JOIN inventory.stock s USING (sku, location)
WHERE s.sku IS NULL OR s.on_hand - s.reserved < t.quantity
ORDER BY t.sku, t.location
""")

_NOBODYS = "(state = 'available' OR state = 'quarantined' AND quarantined_until <= :at)"

TAKE_WANTED = Prepared(
    f"""
UPDATE inventory.numbers SET state = 'reserved', reservation = :key, line = :line, quarantined_until = NULL
WHERE pool = :pool AND value = :wanted AND {_NOBODYS}
RETURNING value
""",  # noqa: S608 - built from a constant
    key="text",
    line="text",
    pool="text",
    wanted="text",
    at="timestamptz",
)

_TAKE_FREE = """
WITH free AS (
    SELECT value FROM inventory.numbers WHERE pool = :pool AND state = 'available'
    ORDER BY pool, value LIMIT :count FOR UPDATE
)
UPDATE inventory.numbers SET state = 'reserved', reservation = :key, line = :line, quarantined_until = NULL
WHERE pool = :pool AND value = ANY(ARRAY(SELECT value FROM free))
RETURNING value
"""

TAKE_FREE = Prepared(
    _TAKE_FREE.replace("FOR UPDATE", "FOR UPDATE SKIP LOCKED"),
    key="text",
    line="text",
    pool="text",
    count="integer",
)
"""Passes over what others are taking at this moment."""

TAKE_LAST = Prepared(
    _TAKE_FREE.replace("state = 'available'", _NOBODYS),
    key="text",
    line="text",
    pool="text",
    count="integer",
    at="timestamptz",
)
"""Waits for them, so that what is said to be gone is gone; takes also what has been in quarantine long enough."""

RETIRE = Prepared(
    """
UPDATE inventory.numbers SET state = 'quarantined', reservation = NULL, line = NULL, quarantined_until = :until
WHERE pool = :pool AND value = ANY(:values) AND state = 'assigned' AND reservation = :reservation AND line = :line
RETURNING value
""",
    pool="text",
    values="text[]",
    reservation="text",
    line="text",
    until="timestamptz",
)

POOL = text("""
SELECT EXISTS (SELECT FROM inventory.numbers WHERE pool = :pool) AS known,
       EXISTS (SELECT FROM inventory.numbers WHERE pool = :pool AND value = :wanted) AS has_wanted
""")

_OFF_THE_SHELF = """
), totals AS (
    SELECT sku, location, sum(quantity) AS quantity FROM goods GROUP BY sku, location
), locked AS (
    SELECT s.sku, s.location FROM inventory.stock s JOIN totals USING (sku, location)
    ORDER BY s.sku, s.location FOR UPDATE OF s
), shelf AS (
    UPDATE inventory.stock s SET on_hand = s.on_hand - t.quantity, reserved = s.reserved - t.quantity
    FROM totals t JOIN locked USING (sku, location)
    WHERE s.sku = t.sku AND s.location = t.location
    RETURNING s.sku, s.location, s.on_hand, s.reorder_point, t.quantity
), moved AS (
    INSERT INTO inventory.movements (sku, location, quantity, reason, reservation, at)
    SELECT sku, location, -quantity, 'taken', :reservation, :at FROM shelf
), low AS (
    INSERT INTO inventory.low_stock (sku, location, on_hand, at)
    SELECT sku, location, on_hand, :at FROM shelf
    WHERE on_hand <= reorder_point AND on_hand + quantity > reorder_point
"""

_HAND_OUT = """
WITH reservation AS (
    UPDATE inventory.reservations SET handing_out = TRUE WHERE key = :reservation AND state = 'reserved' RETURNING key
), goods AS (
    UPDATE inventory.holds h SET taken_at = :at FROM reservation r
    WHERE h.reservation = r.key AND h.line = :line AND h.taken_at IS NULL
    RETURNING h.sku, h.location, h.quantity
{off_the_shelf})
SELECT count(*) FROM goods
"""
HAND_OUT = Prepared(
    _HAND_OUT.replace("{off_the_shelf}", _OFF_THE_SHELF),
    reservation="text",
    line="text",
    at="timestamptz",
)

HANDED_OUT = text("SELECT max(taken_at) FROM inventory.holds WHERE reservation = :reservation AND line = :line")

_COMMIT = """
WITH reservation AS (
    UPDATE inventory.reservations SET state = 'committed', settled_at = :at
    WHERE key = :reservation AND state = 'reserved' RETURNING key
), goods AS (
    UPDATE inventory.holds h SET taken_at = :at FROM reservation r
    WHERE h.reservation = r.key AND h.taken_at IS NULL
    RETURNING h.sku, h.location, h.quantity
{off_the_shelf}), numbers AS (
    UPDATE inventory.numbers n SET state = 'assigned' FROM reservation r
    WHERE n.reservation = r.key AND n.state = 'reserved'
)
SELECT CAST(c.answer AS text) AS reserved FROM reservation r JOIN inventory.calls c USING (key)
"""
COMMIT = Prepared(_COMMIT.replace("{off_the_shelf}", _OFF_THE_SHELF), reservation="text", at="timestamptz")

_RELEASE = """
WITH reservation AS (
    UPDATE inventory.reservations SET state = 'released', settled_at = :at
    WHERE key = :reservation AND state = 'reserved' AND NOT handing_out RETURNING key
), totals AS (
    SELECT h.sku, h.location, sum(h.quantity) AS quantity
    FROM inventory.holds h JOIN reservation r ON h.reservation = r.key
    GROUP BY h.sku, h.location
), locked AS (
    SELECT s.sku, s.location FROM inventory.stock s JOIN totals USING (sku, location)
    ORDER BY s.sku, s.location FOR UPDATE OF s
), shelf AS (
    UPDATE inventory.stock s SET reserved = s.reserved - t.quantity
    FROM totals t JOIN locked USING (sku, location)
    WHERE s.sku = t.sku AND s.location = t.location
), numbers AS (
    UPDATE inventory.numbers n SET state = 'available', reservation = NULL, line = NULL FROM reservation r
    WHERE n.reservation = r.key AND n.state = 'reserved'
)
SELECT CAST(c.answer AS text) AS reserved FROM reservation r JOIN inventory.calls c USING (key)
"""
RELEASE = Prepared(_RELEASE, reservation="text", at="timestamptz")

RESERVATION = text("""
SELECT r.state, r.handing_out, CAST(c.answer AS text) AS reserved
FROM inventory.reservations r JOIN inventory.calls c USING (key) WHERE key = :reservation
""")
