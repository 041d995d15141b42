# ruff: noqa: S608 - statements are made of constants, never of anybody's input
"""What must hold of orders, plans, fallouts, events and assets by themselves."""

from itertools import chain, combinations

from domain.asset import BECOMES, AssetStatus
from domain.fallout import FalloutType
from domain.invariant import Invariant
from domain.order import FINAL, NEXT, Action, State, roll_up
from domain.reconciliation import TOO_MANY
from models.tables import IS_OPEN, OF_A_STEP, quoted

IS_FINAL = f"IN ({quoted(FINAL)})"
"""How a statement asks whether a state is final."""


_ASKS = f"{OF_A_STEP} AND f.{IS_OPEN}"
"""How a statement asks whether a fallout ``f`` is open for a step of its order."""


_AT_WORK = (State.IN_PROGRESS, State.ASSESSING_CANCELLATION, State.PENDING_CANCELLATION)


def _roll_ups() -> str:
    """The state of an order for every set of final states that its lines can have, as rows (2.3).

    Of one that was cancelled as a whole nothing is completed; lines that a revision dropped are cancelled in any.
    """
    ends = [State.CANCELLED, State.COMPLETED, State.FAILED]
    some = [frozenset(x) for x in chain.from_iterable(combinations(ends, size) for size in (1, 2, 3))]
    rows = {(x, False): roll_up(x) for x in some}
    rows |= {(x, True): roll_up(x, cancelled=True) for x in some if State.COMPLETED not in x}
    rejected = frozenset({State.REJECTED})
    rows |= {(x, False): State.REJECTED for x in (rejected, rejected | {State.CANCELLED})}
    return ", ".join(f"(ARRAY[{quoted(sorted(x))}], {cancelled}, '{state}')" for (x, cancelled), state in rows.items())


def _steps() -> str:
    """What may follow what, as rows; an order begins acknowledged."""
    rows = [(before, after) for before, states in NEXT.items() for after in states]
    return ", ".join(
        [f"(NULL, '{State.ACKNOWLEDGED}')", *(f"('{before}', '{after}')" for before, after in sorted(rows))]
    )


def _left_in() -> str:
    """In which state a completed line leaves its asset, as rows; what only changes it leaves its state (2.5)."""
    rows = {Action.ADD: AssetStatus.ACTIVE, Action.MOVE_ADD: AssetStatus.ACTIVE, **BECOMES}
    return ", ".join(f"('{action}', '{status}')" for action, status in sorted(rows.items()))


_ORDERS = (
    Invariant(
        id="I1",
        statement="An order has an end date exactly when it has ended, and then no open fallout",
        query=f"""
            SELECT CASE
                   WHEN o.state {IS_FINAL} AND o.completed_at IS NULL
                        THEN format('order %s is %s and has no end date', o.number, o.state)
                   WHEN o.state NOT {IS_FINAL} AND o.completed_at IS NOT NULL
                        THEN format('order %s is %s and has an end date', o.number, o.state)
                   WHEN o.state {IS_FINAL} AND f.id IS NOT NULL
                        THEN format('order %s is %s and fallout %s is open', o.number, o.state, f.id)
                   END AS broken
              FROM orderloom.orders AS o LEFT JOIN orderloom.fallouts AS f ON f.order_id = o.id AND {_ASKS}
        """,
    ),
    Invariant(
        id="I1-run",
        statement="An acknowledged order gets its run",
        query="""
            SELECT CASE WHEN state = 'acknowledged' AND run_started_at IS NULL AND submitted_at < rest.at
                        THEN format('order %s waits for its run since %s', number, submitted_at) END AS broken
              FROM orderloom.orders, rest
        """,
    ),
    Invariant(
        id="I1-held",
        statement="An order is held because a fallout is open",
        query=f"""
            SELECT CASE WHEN NOT EXISTS (SELECT FROM orderloom.fallouts AS f WHERE f.order_id = o.id AND {_ASKS})
                        THEN format('order %s is held, and nobody is asked', o.number) END AS broken
              FROM orderloom.orders AS o, rest
             WHERE o.state = 'held'
               AND NOT EXISTS (SELECT FROM orderloom.order_events AS e WHERE e.order_id = o.id AND e.at >= rest.at)
        """,
    ),
    Invariant(
        id="I1-rest",
        statement="At rest, an order that has begun and not ended waits for a person",
        query=f"""
            SELECT CASE WHEN rest.at = now() AND o.state IN ({quoted(_AT_WORK)})
                             AND NOT EXISTS (SELECT FROM orderloom.fallouts AS f
                                              WHERE f.order_id = o.id AND f.{IS_OPEN})
                        THEN format('order %s is %s, and nobody is asked', o.number, o.state) END AS broken
              FROM orderloom.orders AS o, rest WHERE o.state NOT {IS_FINAL}
        """,
    ),
    Invariant(
        id="I1-step",
        statement="A step of an open order is held exactly while a fallout is open for it",
        query=f"""
            SELECT CASE WHEN f.id IS NULL THEN format('order %s: %s is held, and nobody is asked', o.number, p.id)
                        WHEN p.id IS NULL THEN format('order %s: fallout %s is open, and %s is not held',
                                                      o.number, f.id, f.step) END AS broken
              FROM (SELECT order_id, id FROM orderloom.plan_items WHERE state = 'held') AS p
              FULL JOIN (SELECT order_id, step, id FROM orderloom.fallouts AS f
                          WHERE {_ASKS}) AS f
                   ON f.order_id = p.order_id AND f.step = p.id
              JOIN orderloom.orders AS o ON o.id = COALESCE(p.order_id, f.order_id)
             WHERE o.state NOT {IS_FINAL}
        """,
    ),
    Invariant(
        id="I2",
        statement="Nothing happens to an order after its end",
        query=f"""
            SELECT CASE WHEN o.last_seq > e.ended THEN format('order %s ended with event %s and has %s',
                                                              o.number, e.ended, o.last_seq) END AS broken
              FROM orderloom.orders AS o
              JOIN (SELECT order_id, min(seq) AS ended FROM orderloom.order_events WHERE type {IS_FINAL}
                     GROUP BY order_id) AS e ON e.order_id = o.id
        """,
    ),
    Invariant(
        id="I3",
        statement="An idempotency key stands for one order, which exists",
        query="""
            SELECT CASE WHEN o.id IS NULL THEN format('key %s stands for %s, which is not there', k.key, k.location)
                        WHEN count(*) OVER (PARTITION BY k.location) > 1
                        THEN format('%s has more than one key, such as %s', k.location, k.key) END AS broken
              FROM orderloom.idempotency_keys AS k
              LEFT JOIN orderloom.orders AS o ON CAST(o.id AS text) = split_part(k.location, '/', 4)
             WHERE k.location LIKE '/v1/orders/%' AND k.body IS NULL
        """,
    ),
    Invariant(
        id="I4",
        statement="An order that has ended is what its lines add up to",
        query=f"""
            SELECT CASE WHEN o.state IS DISTINCT FROM r.state
                        THEN format('order %s is %s, its lines are %s', o.number, o.state, l.states) END AS broken
              FROM orderloom.orders AS o
              JOIN (SELECT order_id, COALESCE(array_agg(DISTINCT state ORDER BY state) FILTER (WHERE action <> 'none'),
                                              array_agg(DISTINCT state ORDER BY state)) AS states
                      FROM orderloom.order_lines GROUP BY order_id) AS l ON l.order_id = o.id
              LEFT JOIN (VALUES {_roll_ups()}) AS r (states, cancelled, state)
                ON r.states = l.states
               AND r.cancelled = EXISTS (SELECT FROM orderloom.order_events AS e
                                          WHERE e.order_id = o.id AND e.type = '{State.PENDING_CANCELLATION}')
             WHERE o.state {IS_FINAL}
        """,
    ),
    Invariant(
        id="I22-bundle",
        statement="When an order has ended, what was added with a bundle and not cancelled is completed when it is",
        query=f"""
            SELECT CASE WHEN (l.state = 'completed') <> (above.state = 'completed') AND l.state <> 'cancelled'
                        THEN format('order %s: line %s is %s under line %s, which is %s',
                                    o.number, l.id, l.state, above.id, above.state) END AS broken
              FROM orderloom.order_lines AS l
              JOIN orderloom.order_lines AS above ON above.order_id = l.order_id AND above.id = l.parent
              JOIN orderloom.orders AS o ON o.id = l.order_id
             WHERE o.state {IS_FINAL} AND l.action = 'add' AND above.action = 'add'
        """,
    ),
)

_PLANS = (
    Invariant(
        id="I15-plan",
        statement="A step is done only after all that it depends on, but for what a revision has done anew",
        query=f"""
            SELECT CASE WHEN d.id IS NULL
                             OR (d.state NOT IN ('done', 'skipped')
                                 AND (o.revision = 0 OR p.no_return OR o.state {IS_FINAL}))
                        THEN format('order %s: %s is done, and %s is %s', o.number, p.id, after,
                                    COALESCE(d.state, 'missing'))
                        WHEN d.function <> p.function AND d.finished_at > p.finished_at AND o.revision = 0
                        THEN format('order %s: %s was done before %s', o.number, p.id, after) END AS broken
              FROM orderloom.plan_items AS p
              JOIN orderloom.orders AS o ON o.id = p.order_id
              CROSS JOIN unnest(p.depends_on) AS after
              LEFT JOIN orderloom.plan_items AS d ON d.order_id = p.order_id AND d.id = after
             WHERE p.state = 'done'
        """,
    ),
    Invariant(
        id="I17",
        statement="When an order has ended, every step is settled: done, skipped, or never done and taken back",
        query=f"""
            SELECT CASE WHEN p.state IN ('inProgress', 'held')
                             OR (l.state = 'completed' AND p.state NOT IN ('done', 'skipped'))
                             OR (l.state <> 'completed' AND p.state = 'done'
                                 AND p.function IN ('reserve', 'initiate_billing', 'provision'))
                        THEN format('order %s: %s is %s, and line %s is %s', o.number, p.id, p.state, l.id, l.state)
                   END AS broken
              FROM orderloom.plan_items AS p
              JOIN orderloom.orders AS o ON o.id = p.order_id
              JOIN orderloom.order_lines AS l ON l.order_id = p.order_id AND l.id = p.root
             WHERE o.state {IS_FINAL} AND NOT (p.state = 'undone' AND o.revision > 0)
        """,
    ),
)

_ASSETS = (
    Invariant(
        id="I10",
        statement="No number or address is on two assets that are not gone",
        query="""
            SELECT CASE WHEN count(*) > 1 THEN format('%s of %s is on assets %s', value, pool, string_agg(asset, ', '))
                   END AS broken
              FROM (SELECT held.pool, value, CAST(a.id AS text) AS asset
                      FROM orderloom.assets AS a
                     CROSS JOIN jsonb_to_recordset(a.numbers) AS held (pool text, "values" text[])
                     CROSS JOIN unnest(held."values") AS value
                     WHERE a.status <> 'inactive') AS found
             GROUP BY pool, value
        """,
    ),
    Invariant(
        id="I18-state",
        statement="An asset is in the state that the last completed line about it left it in",
        query=f"""
            SELECT CASE WHEN a.status <> l.left_in
                        THEN format('asset %s is %s, line %s of order %s has left it %s',
                                    a.id, a.status, l.id, l.number, l.left_in) END AS broken
              FROM orderloom.assets AS a
              JOIN (SELECT DISTINCT ON (l.asset) l.asset, l.id, o.number, known.left_in
                      FROM orderloom.order_lines AS l
                      JOIN (VALUES {_left_in()}) AS known (action, left_in) ON known.action = l.action
                      JOIN orderloom.orders AS o ON o.id = l.order_id
                      JOIN orderloom.plan_items AS p
                           ON p.order_id = l.order_id AND p.root = l.root AND p.function = 'asset'
                     WHERE l.state = 'completed'
                     ORDER BY l.asset, p.finished_at DESC) AS l ON l.asset = a.id
        """,
    ),
    Invariant(
        id="I18-tree",
        statement="An asset is of its line's product, stands in the tree of its root, and is of its order's account",
        query="""
            SELECT CASE WHEN root.id IS NULL THEN format('asset %s has the root %s, which is not there', a.id, a.root)
                        WHEN above.root <> a.root THEN format('asset %s has another root than %s', a.id, above.id)
                        WHEN a.product <> l.product THEN format('asset %s is of %s, line %s of order %s asked for %s',
                                                                a.id, a.product, l.id, o.number, l.product)
                        WHEN a.account <> o.account OR above.account <> a.account
                        THEN format('asset %s is of account %s, and what it came with is not', a.id, a.account)
                   END AS broken
              FROM orderloom.assets AS a
              JOIN orderloom.orders AS o ON o.id = a.created_by_order
              JOIN orderloom.order_lines AS l ON l.order_id = a.created_by_order AND l.id = a.created_by_line
              LEFT JOIN orderloom.assets AS root ON root.id = a.root
              LEFT JOIN orderloom.assets AS above ON above.id = a.parent
        """,
    ),
    Invariant(
        id="I20",
        statement="Only a bundle that is under way holds assets, and it holds the whole tree that it is about",
        query=f"""
            SELECT CASE WHEN a.parent IS NOT NULL THEN format('asset %s is held, and is no root', a.id)
                        WHEN NOT EXISTS (SELECT FROM orderloom.order_lines AS l
                                          WHERE l.order_id = c.order_id AND l.root = c.root AND l.state NOT {IS_FINAL})
                        THEN format('asset %s is held by order %s, whose bundle %s is over', a.id, c.order_id, c.root)
                   END AS broken
              FROM orderloom.asset_claims AS c
              JOIN orderloom.assets AS a ON a.id = c.asset
        """,
    ),
    Invariant(
        id="I19",
        statement="An asset has the billing objects of its billing type, and one that is not billed has none",
        query="""
            SELECT CASE WHEN a.wanted IS NULL AND r.kinds IS NOT NULL
                        THEN format('asset %s of %s is not billed and has a %s', a.id, a.product, r.kinds[1])
                        WHEN a.wanted IS NOT NULL AND a.is_live AND COALESCE(NOT a.wanted = ANY (r.kinds), TRUE)
                        THEN format('asset %s of %s has no %s', a.id, a.product, a.wanted) END AS broken
              FROM (SELECT id, product, status <> 'inactive' AS is_live, CASE billing_type
                           WHEN 'service_bundle' THEN 'service_instance'
                           WHEN 'discount' THEN 'discount'
                           WHEN 'subscription' THEN 'purchased_product'
                           WHEN 'item' THEN 'purchased_product' END AS wanted
                      FROM orderloom.assets) AS a
              LEFT JOIN (SELECT asset, array_agg(kind ORDER BY kind) AS kinds FROM orderloom.cross_references
                          GROUP BY asset) AS r ON r.asset = a.id
        """,
    ),
)

_EVENTS = (
    Invariant(
        id="I23",
        statement="An order's events are numbered from one without a gap",
        query="""
            SELECT CASE WHEN e.count IS NULL OR e.first <> 1 OR e.count <> e.last OR e.last <> o.last_seq
                        THEN format('order %s has %s events numbered %s to %s, and counts %s',
                                    o.number, COALESCE(e.count, 0), e.first, e.last, o.last_seq) END AS broken
              FROM orderloom.orders AS o
              LEFT JOIN (SELECT order_id, count(*) AS count, min(seq) AS first, max(seq) AS last
                           FROM orderloom.order_events GROUP BY order_id) AS e ON e.order_id = o.id
        """,
    ),
    Invariant(
        id="I24",
        statement="An order is in the state that its last event of a state says",
        query=f"""
            SELECT CASE WHEN e.type IS DISTINCT FROM o.state
                        THEN format('order %s is %s, its events say %s', o.number, o.state, e.type) END AS broken
              FROM orderloom.orders AS o
              LEFT JOIN (SELECT DISTINCT ON (order_id) order_id, type FROM orderloom.order_events
                          WHERE type IN ({quoted(State)}) ORDER BY order_id, seq DESC) AS e ON e.order_id = o.id
        """,
    ),
    Invariant(
        id="I24-life",
        statement="An order's states follow one another as the life of an order allows",
        query=f"""
            SELECT CASE WHEN allowed.after IS NULL AND NOT e.pends_for_a_revision
                        THEN format('order %s became %s after %s at event %s',
                                    o.number, e.type, COALESCE(e.before, 'nothing'), e.seq) END AS broken
              FROM (SELECT order_id, seq, type, before,
                           before = type AND type = '{State.PENDING}' AND body ? 'revision' AS pends_for_a_revision
                      FROM (SELECT *, lag(type) OVER (PARTITION BY order_id ORDER BY seq) AS before
                              FROM orderloom.order_events WHERE type IN ({quoted(State)})) AS e) AS e
              JOIN orderloom.orders AS o ON o.id = e.order_id
              LEFT JOIN (VALUES {_steps()}) AS allowed (before, after)
                   ON allowed.after = e.type AND allowed.before IS NOT DISTINCT FROM e.before
        """,
    ),
    Invariant(
        id="I24-audit",
        statement="Whoever submitted an order or decided a fallout is on record",
        query="""
            SELECT CASE WHEN NOT EXISTS (SELECT FROM orderloom.audit AS a
                                          WHERE a.action = done.action AND a.object = done.object)
                        THEN format('%s of %s by nobody', done.action, done.object) END AS broken
              FROM (SELECT 'order.submit' AS action, CAST(id AS text) AS object FROM orderloom.orders
                     UNION ALL
                    SELECT 'fallout.resolve', id FROM orderloom.fallouts WHERE closed_at IS NOT NULL) AS done
        """,
    ),
    Invariant(
        id="I29",
        statement="No connection is idle within a transaction",
        query="""
            SELECT CASE WHEN state LIKE 'idle in transaction%' AND state_change < rest.at
                        THEN format('process %s of %s since %s: %s',
                                    pid, application_name, state_change, left(query, 100)) END AS broken
              FROM pg_stat_activity, rest
             WHERE datname = current_database() AND backend_type = 'client backend'
        """,
    ),
    Invariant(
        id="I30",
        statement="A fallout is of its order's account",
        query="""
            SELECT CASE WHEN f.account <> o.account
                        THEN format('fallout %s is of %s, its order of %s', f.id, f.account, o.account) END AS broken
              FROM orderloom.fallouts AS f JOIN orderloom.orders AS o ON o.id = f.order_id
        """,
    ),
)

_DIFFERENCES = (
    Invariant(
        id="reconciliation",
        statement="A difference between network and billing is on the work list, unless a person has accepted it",
        query=f"""
            SELECT CASE WHEN f.subject IS NULL THEN format('%s of %s stands, and nobody is asked', d.class, d.service)
                        WHEN d.subject IS NULL
                        THEN format('fallout %s is about %s, which does not stand', f.id, f.subject) END AS broken
              FROM (SELECT class, service, concat_ws(':', class, service, NULLIF(value, '')) AS subject
                      FROM orderloom.differences, rest
                     WHERE gone_at IS NULL AND accepted_at IS NULL AND found_at < rest.at) AS d
              FULL JOIN (SELECT id, subject FROM orderloom.fallouts, rest
                          WHERE type = '{FalloutType.RECONCILIATION}' AND subject <> '{TOO_MANY}' AND {IS_OPEN}
                            AND opened_at < rest.at) AS f USING (subject)
        """,
    ),
)

OWN = (*_ORDERS, *_PLANS, *_ASSETS, *_EVENTS, *_DIFFERENCES)
"""In the order they are told."""
