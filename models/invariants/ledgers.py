# ruff: noqa: S608 - statements are made of constants, never of anybody's input
"""What must hold between what we believe and what a neighbour's own ledger knows.

A neighbour is asked for listings: statements with the columns ``key`` (what both sides call the thing), ``about`` (the
order or the asset it is there for) and ``value`` (what is compared). What an open order is about is not judged, unless
it holds at any moment.
"""

from domain.invariant import Invariant
from domain.plan import System
from models.invariants.orders import IS_FINAL

Listing = str
"""A statement with the columns ``key``, ``about`` and ``value``, all text."""

UNDER_WAY = f"""
    SELECT CAST(id AS text) AS about FROM orderloom.orders WHERE state NOT {IS_FINAL}
     UNION
    SELECT CAST(l.asset AS text) FROM orderloom.order_lines AS l JOIN orderloom.orders AS o ON o.id = l.order_id
     WHERE o.state NOT {IS_FINAL}
"""
"""The open orders, and the assets that they are about."""

_RESERVED = """
      FROM orderloom.plan_items AS r
      LEFT JOIN orderloom.plan_items AS c ON c.order_id = r.order_id AND c.root = r.root AND c.function = 'commit'
"""
_RESERVATIONS: Listing = f"""
    SELECT r.key, CAST(r.order_id AS text) AS about,
           CASE c.state WHEN 'done' THEN 'committed' ELSE 'reserved' END AS value
    {_RESERVED}
     WHERE r.function = 'reserve' AND r.state = 'done'
"""
_UNITS: Listing = """
    SELECT format('%s line %s: %s at %s', r.key, held.line, held.sku, held.location) AS key,
           CAST(r.order_id AS text) AS about, CAST(sum(held.quantity) AS text) AS value
      FROM orderloom.plan_items AS r
     CROSS JOIN jsonb_to_recordset(r.result -> 'held') AS held (line text, sku text, location text, quantity int)
     WHERE r.function = 'reserve' AND r.state = 'done' AND held.sku IS NOT NULL
     GROUP BY r.key, held.line, held.sku, held.location, r.order_id
"""
_NUMBERS: Listing = f"""
    SELECT format('%s of %s', number, held.pool) AS key, CAST(r.order_id AS text) AS about,
           format('%s by %s line %s', CASE c.state WHEN 'done' THEN 'assigned' ELSE 'reserved' END, r.key, held.line)
           AS value
    {_RESERVED}
     CROSS JOIN jsonb_to_recordset(r.result -> 'held') AS held (line text, pool text, "values" text[])
     CROSS JOIN unnest(held."values") AS number
     WHERE r.function = 'reserve' AND r.state = 'done' AND held.pool IS NOT NULL
       AND NOT EXISTS (SELECT FROM orderloom.plan_items AS p
                        CROSS JOIN jsonb_to_recordset(p.result -> 'numbers') AS back (
                              pool text, "values" text[], reservation text, line text)
                        WHERE p.function = 'retire' AND p.state = 'done' AND back.reservation = r.key
                          AND (back.line, back.pool) = (held.line, held.pool) AND number = ANY (back."values"))
"""
_SERVICES: Listing = """
    SELECT CAST(l.asset AS text) AS key, CAST(l.asset AS text) AS about,
           CAST(CAST(p.result ->> 'at' AS timestamptz) AS text) AS value
      FROM orderloom.plan_items AS p
      JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.subject
     WHERE p.function IN ('provision', 'relocate') AND p.state = 'done'
       AND l.asset NOT IN (SELECT gone.asset FROM orderloom.plan_items AS off
                             JOIN orderloom.order_lines AS gone
                                  ON gone.order_id = off.order_id AND gone.id = off.subject
                            WHERE off.function = 'disconnect' AND off.state = 'done')
"""
_BILLED: Listing = """
    SELECT made.id AS key, CAST(l.asset AS text) AS about, CAST(p.actual_at AS text) AS value
      FROM orderloom.plan_items AS p
      JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.subject
     CROSS JOIN LATERAL (SELECT p.result ->> 'service_instance' AS id WHERE p.function <> 'charge'
                          UNION ALL
                         SELECT bought ->> 'id' FROM jsonb_array_elements(p.result -> 'purchases') AS bought) AS made
     WHERE p.function IN ('fulfill_billing', 'purchase', 'charge') AND p.state = 'done' AND made.id IS NOT NULL
"""
_INSTALLED: Listing = """
    SELECT r.billing_id AS key, CAST(a.id AS text) AS about, a.status AS value
      FROM orderloom.cross_references AS r JOIN orderloom.assets AS a ON a.id = r.asset
     WHERE a.billing_type <> 'item'
"""
_REFERENCES: Listing = """
    SELECT billing_id AS key, CAST(asset AS text) AS about, format('%s of %s', kind, asset) AS value
      FROM orderloom.cross_references
"""
_UNTRACKED = """
    SELECT CAST(l.asset AS text) FROM orderloom.order_lines AS l
      LEFT JOIN orderloom.assets AS a ON a.id = l.asset WHERE a.id IS NULL AND l.state = 'completed'
"""


def inventory(*, calls: Listing, reservations: Listing, units: Listing, numbers: Listing) -> tuple[Invariant, ...]:
    """Between us and inventory; a released reservation is in none of its listings but ``calls``."""
    who = "inventory"
    return (
        _once(System.INVENTORY, calls),
        _same(
            "I8", "What we have reserved or taken is what inventory holds for us", _RESERVATIONS, reservations, who=who
        ),
        _same("I8-units", "For each line as many units are held as we were told", _UNITS, units, who=who),
        _same("I11", "The numbers of our customers are assigned to them, and no others", _NUMBERS, numbers, who=who),
        Invariant(
            id="I16-inventory",
            statement="Inventory holds nothing for a bundle that was given up",
            query=f"""
                SELECT CASE WHEN theirs.key IS NOT NULL
                            THEN format('order %s: %s is %s for line %s, which is %s',
                                        o.number, theirs.key, theirs.value, l.id, l.state) END AS broken
                  FROM orderloom.order_lines AS l
                  JOIN orderloom.orders AS o ON o.id = l.order_id
                  LEFT JOIN ({reservations}) AS theirs
                       ON theirs.about = CAST(l.order_id AS text)
                      AND starts_with(theirs.key, format('%s:%s:', l.order_id, l.id))
                 WHERE l.parent IS NULL AND l.state IN ('failed', 'cancelled', 'rejected')
            """,
        ),
    )


def provisioning(*, calls: Listing, running: Listing) -> tuple[Invariant, ...]:
    """Between us and the network; ``running`` has the instant since when each service runs as its value."""
    statement = "The network runs the services we activated, since we were told, and no others"
    return (
        _once(System.PROVISIONING, calls),
        _same("I9-services", statement, _SERVICES, running, who="the network"),
        _nothing_left("I16-provisioning", "The network runs nothing for a line that was given up", running),
    )


def billing(
    *,
    calls: Listing,
    initiated: Listing,
    begun: Listing,
    states: Listing,
    payers: Listing,
    objects: Listing,
    charges: Listing,
) -> tuple[Invariant, ...]:
    """Between us and billing.

    ``begun`` are all instances and purchases that ever were active, by id, each with the date from when; ``objects``
    the same with their kind and asset; ``states`` those that go on, or are over, in an asset's words; ``payers`` those
    that go on, with the account that pays; ``initiated`` those that are not active yet; ``charges`` one-time charges.
    """
    begins = "What we closed is billed from the date of its proof, and nothing else is billed"
    resolves = "Our cross-references and billing's objects resolve to one another"
    tracked = f"SELECT * FROM ({objects}) AS found WHERE about NOT IN ({_UNTRACKED})"
    return (
        _once(System.BILLING, calls),
        _same("billing-I4", begins, _BILLED, begun, who="billing"),
        Invariant(
            id="billing-I4-state",
            statement="What is installed is billed in the state that it is in",
            query=f"""
                SELECT CASE WHEN theirs.value <> ours.value
                            THEN format('asset %s is %s, its %s is %s in billing', ours.about, ours.value, key,
                                        theirs.value) END AS broken
                  FROM ({_INSTALLED}) AS ours JOIN ({states}) AS theirs USING (key)
                 WHERE ours.about NOT IN (SELECT about FROM under_way)
            """,
        ),
        Invariant(
            id="I12-account",
            statement="What is installed is billed to the account that it is of",
            query=f"""
                SELECT CASE WHEN theirs.value <> a.billing_account
                            THEN format('asset %s is billed to %s, its %s to %s in billing', a.id, a.billing_account,
                                        theirs.key, theirs.value) END AS broken
                  FROM orderloom.assets AS a JOIN ({payers}) AS theirs ON theirs.about = CAST(a.id AS text)
                 WHERE theirs.about NOT IN (SELECT about FROM under_way)
            """,
        ),
        _same("xref", resolves, _REFERENCES, tracked, who="billing"),
        Invariant(
            id="I13-delivered",
            statement="Nothing is charged but for a completed line",
            query=f"""
                SELECT CASE WHEN l.asset IS NULL
                            THEN format('%s: %s is charged, and no completed line is about it',
                                        theirs.key, theirs.value) END AS broken
                  FROM ({charges}) AS theirs
                  LEFT JOIN orderloom.order_lines AS l ON CAST(l.asset AS text) = theirs.about AND l.state = 'completed'
                 WHERE theirs.about NOT IN (SELECT about FROM under_way)
            """,
        ),
        Invariant(
            id="I14",
            statement="Nothing stays initiated once its order has ended",
            query=f"""
                SELECT CASE WHEN about NOT IN (SELECT about FROM under_way)
                            THEN format('%s of asset %s is %s, its order is not open', key, about, value) END AS broken
                  FROM ({initiated}) AS theirs
            """,
        ),
        _nothing_left(
            "I16-billing",
            "Billing has nothing active or charged for a line that was given up",
            f"SELECT * FROM ({objects}) AS made UNION ALL SELECT * FROM ({charges}) AS charged",
        ),
    )


def provisioned_and_billed(*, running: Listing, instances: Listing) -> tuple[Invariant, ...]:
    """Between the network and billing, by service key (F06); both have the date from when as their value.

    A service that the network has no part in is billed without it, and so is one whose activation a person has skipped.
    Of what a person has let rest, wake up or end by hand nobody knows what the network says.
    """
    on_network = """
        SELECT CAST(l.asset AS text) FROM orderloom.plan_items AS p
          JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.subject
         WHERE p.function IN ('provision', 'relocate') AND p.state <> 'skipped'
    """
    by_hand = """
        SELECT CAST(l.asset AS text) FROM orderloom.plan_items AS p
          JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.subject
         WHERE p.function IN ('suspend', 'resume', 'disconnect') AND p.state = 'skipped'
    """
    moved = """
        SELECT CAST(l.asset AS text) FROM orderloom.plan_items AS p
          JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.subject
         WHERE p.function = 'relocate' AND p.state = 'done'
    """
    return (
        Invariant(
            id="I12",
            statement="The billable services that the network runs are the services that are billed",
            query=f"""
                SELECT CASE WHEN billed.key IS NULL THEN format('service %s runs and is not billed', key)
                            WHEN runs.key IS NULL THEN format('service %s is billed and does not run', key)
                       END AS broken
                  FROM ({running}) AS runs
                  FULL JOIN (SELECT * FROM ({instances}) AS found WHERE key IN ({on_network})) AS billed USING (key)
                 WHERE key NOT IN (SELECT about FROM under_way) AND key NOT IN ({by_hand})
            """,
        ),
        Invariant(
            id="I15",
            statement="No service is billed from before it ran, unless it ran somewhere else then",
            query=f"""
                SELECT CASE WHEN CAST(billed.value AS timestamptz) < CAST(runs.value AS timestamptz)
                            THEN format('service %s runs since %s and is billed from %s', key, runs.value, billed.value)
                       END AS broken
                  FROM ({running}) AS runs JOIN ({instances}) AS billed USING (key)
                 WHERE key NOT IN ({moved})
            """,
        ),
    )


def _same(id: str, statement: str, ours: Listing, theirs: Listing, *, who: str) -> Invariant:  # noqa: A002
    """Both sides list the same, each thing with the same value."""
    return Invariant(
        id=id,
        statement=statement,
        query=f"""
            SELECT CASE WHEN theirs.key IS NULL THEN format('%s: we have %s, {who} has nothing', key, ours.value)
                        WHEN ours.key IS NULL THEN format('%s: {who} has %s, we have nothing', key, theirs.value)
                        WHEN ours.value IS DISTINCT FROM theirs.value
                        THEN format('%s: we have %s, {who} has %s', key, ours.value, theirs.value) END AS broken
              FROM ({ours}) AS ours FULL JOIN ({theirs}) AS theirs USING (key)
             WHERE NOT EXISTS (SELECT FROM under_way WHERE under_way.about = COALESCE(ours.about, theirs.about))
        """,
    )


def _once(system: System, calls: Listing) -> Invariant:
    """Each step that is done had its effect once, under the key we wrote down, and no effect is without a step.

    A key is order, subject, operation and generation (:func:`domain.order.key`); undoing appends to it. A step that a
    revision had done anew has one effect more for each.
    """
    return Invariant(
        id=f"I9-{system}",
        statement=f"Each step done by {system} had its effect once, and {system} did nothing else for us",
        query=f"""
            SELECT CASE WHEN ours.step IS NULL THEN format('%s is no step of ours', theirs.keys[1])
                        WHEN ours.state = 'done' AND theirs.step IS NULL THEN format('%s had no effect', ours.key)
                        WHEN ours.state = 'done' AND (NOT ours.key = ANY (theirs.keys)
                                                      OR cardinality(theirs.keys) - 1 > ours.again)
                        THEN format('%s is on record, the effects are of %s', ours.key, theirs.keys) END AS broken
              FROM (SELECT format('%s:%s:%s', order_id, subject, function) AS step, key, state,
                           (SELECT count(*) FROM orderloom.order_events AS e
                             WHERE e.order_id = p.order_id AND e.type = 'revised' AND e.body -> 'again' ? p.id) AS again
                      FROM orderloom.plan_items AS p WHERE system = '{system}') AS ours
              FULL JOIN (SELECT regexp_replace(key, ':[0-9]+$', '') AS step, array_agg(key ORDER BY key) AS keys
                           FROM ({calls}) AS calls WHERE value = 'applied' AND split_part(key, ':', 5) = ''
                          GROUP BY 1) AS theirs USING (step)
             WHERE ours.state = 'done' OR theirs.step IS NOT NULL
        """,
    )


def _nothing_left(id: str, statement: str, theirs: Listing) -> Invariant:  # noqa: A002
    """Nothing in the listing is about an asset whose line was given up."""
    return Invariant(
        id=id,
        statement=statement,
        query=f"""
            SELECT CASE WHEN theirs.key IS NOT NULL
                        THEN format('order %s: line %s is %s, and there is %s (%s)',
                                    o.number, l.id, l.state, theirs.key, theirs.value) END AS broken
              FROM orderloom.order_lines AS l
              JOIN orderloom.orders AS o ON o.id = l.order_id
              LEFT JOIN ({theirs}) AS theirs ON theirs.about = CAST(l.asset AS text)
             WHERE l.state IN ('failed', 'cancelled', 'rejected') AND l.action = 'add'
        """,
    )
