"""Read-only questions about many orders and services at once: what differs, and how quickly orders are fulfilled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, TextClause, text

from domain.plan import Function, StepState, System
from models.views import Found, Listed, Ordering, Page, first, listed
from sql.connections import autocommit

NEIGHBOURS = [System.INVENTORY, System.PROVISIONING, System.BILLING]
ACCOUNTS = 100
"""How many accounts out of balance a report names."""
STATEMENT_TIMEOUT = "30s"
"""A report goes through more rows than any other question."""

_LATEST = text("""
    SELECT id, as_of, finished_at, active, billed, by_class, leakage, complete
      FROM orderloom.reconciliations ORDER BY as_of DESC LIMIT 1
""")
_TYPES = text("""
    SELECT billing_service_type, CAST(sum(active) AS int) AS active, CAST(sum(billed) AS int) AS billed
      FROM orderloom.reconciliation_totals WHERE CAST(:account AS text) IS NULL OR account = :account
     GROUP BY billing_service_type ORDER BY billing_service_type
""")
_ACCOUNTS = text("""
    SELECT account, CAST(sum(active) AS int) AS active, CAST(sum(billed) AS int) AS billed
      FROM orderloom.reconciliation_totals WHERE CAST(:account AS text) IS NULL OR account = :account
     GROUP BY account
    HAVING CAST(:account AS text) IS NOT NULL OR sum(active) <> sum(billed)
        OR account IN (SELECT account FROM orderloom.differences WHERE gone_at IS NULL)
     ORDER BY account LIMIT :limit
""")
_DIFFERENCE = """
    CAST(d.id AS text) AS id, d.class, d.service, d.account, d.product, CAST(d.order_id AS text) AS "order", d.message,
    d.leakage_minor, d.currency, d.found_at, d.accepted_at, d.accepted_by, d.accepted_reason,
    (SELECT f.id FROM orderloom.fallouts AS f
      WHERE f.subject = concat_ws(':', d.class, d.service, NULLIF(d.value, ''))
      ORDER BY f.opened_at DESC LIMIT 1) AS fallout
"""
_DIFFERENCES = """
    SELECT {columns} FROM orderloom.differences AS d
     WHERE d.gone_at IS NULL
       AND (CAST(:account AS text) IS NULL OR d.account = :account)
       AND (CAST(:of_class AS text) IS NULL OR d.class = :of_class)
"""

_PERIOD = """
    WITH submitted AS (
        SELECT id, state, greatest(submitted_at, requested_start) AS begins FROM orderloom.orders
         WHERE submitted_at >= :since AND submitted_at < :until
    )
"""
_SPREAD = """
    round(CAST(avg({seconds}) AS numeric), 3) AS mean_s,
    round(CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY {seconds}) AS numeric), 3) AS p50_s,
    round(CAST(percentile_cont(0.95) WITHIN GROUP (ORDER BY {seconds}) AS numeric), 3) AS p95_s
"""
_ORDERS = text(f"""{_PERIOD}
    SELECT count(*) AS submitted, count(*) FILTER (WHERE state = 'completed') AS completed,
           count(*) FILTER (WHERE EXISTS (SELECT FROM orderloom.fallouts AS f WHERE f.order_id = o.id
                                             AND f.step IS NOT NULL)) AS with_fallout
      FROM submitted AS o
""")  # noqa: S608 - built from constants of this module
_PRODUCTS = text(f"""{_PERIOD}
    SELECT l.product, count(*) AS delivered,
           {_SPREAD.format(seconds="extract(epoch FROM p.actual_at - o.begins)")}
      FROM submitted AS o
      JOIN orderloom.plan_items AS p ON p.order_id = o.id
      JOIN orderloom.order_lines AS l ON l.order_id = o.id AND l.id = p.subject
     WHERE p.function IN ('{Function.PROVISION}', '{Function.DELIVER}') AND p.state = '{StepState.DONE}'
     GROUP BY l.product ORDER BY l.product
""")  # noqa: S608
# A step can begin when all that it depends on is done; the first ones, when the plan is there.
_STEPS = text(f"""{_PERIOD},
    step AS (
        SELECT p.order_id, p.id, p.function, p.state, p.attempts, p.finished_at, max(d.finished_at) AS ready_at
          FROM submitted AS o
          JOIN orderloom.plan_items AS p ON p.order_id = o.id
          LEFT JOIN orderloom.plan_items AS d ON d.order_id = p.order_id AND d.id = ANY (p.depends_on)
         GROUP BY p.order_id, p.id
    ),
    fallen AS (
        SELECT f.order_id, f.step, count(*) AS fallouts
          FROM orderloom.fallouts AS f JOIN submitted AS o ON o.id = f.order_id
         WHERE f.step IS NOT NULL GROUP BY f.order_id, f.step
    ),
    planned AS (
        SELECT e.order_id, min(e.at) AS at FROM orderloom.order_events AS e JOIN submitted AS o ON o.id = e.order_id
         WHERE e.type = 'inProgress' GROUP BY e.order_id
    )
    SELECT s.function, count(*) AS planned, count(*) FILTER (WHERE s.state = '{StepState.DONE}') AS done,
           {_SPREAD.format(seconds="extract(epoch FROM s.finished_at - COALESCE(s.ready_at, planned.at))")},
           CAST(COALESCE(sum(f.fallouts), 0) AS int) AS fallouts,
           CAST(sum(greatest(s.attempts - 1, 0)) AS int) AS retries
      FROM step AS s
      LEFT JOIN planned ON planned.order_id = s.order_id
      LEFT JOIN fallen AS f ON f.order_id = s.order_id AND f.step = s.id
     GROUP BY s.function ORDER BY min(array_position(CAST(:functions AS text[]), s.function))
""")  # noqa: S608

# What fails now is looked for among the open orders only; what was done, among those of the period.
_NEIGHBOURS = text(f"""{_PERIOD},
    recent AS (
        SELECT p.system, count(*) FILTER (WHERE p.state = '{StepState.DONE}') AS done,
               CAST(COALESCE(sum(greatest(p.attempts - 1, 0)), 0) AS int) AS retries,
               count(f.step) AS fallouts, max(p.finished_at) FILTER (WHERE p.state = '{StepState.DONE}') AS answered_at
          FROM submitted AS o
          JOIN orderloom.plan_items AS p ON p.order_id = o.id
          LEFT JOIN (SELECT DISTINCT order_id, step FROM orderloom.fallouts WHERE step IS NOT NULL) AS f
               ON f.order_id = p.order_id AND f.step = p.id
         GROUP BY p.system
    ),
    failing AS (
        SELECT p.system, count(*) AS failing, min(p.started_at) AS failing_since, min(p.last_error) AS last_error
          FROM orderloom.orders AS o
          JOIN orderloom.plan_items AS p ON p.order_id = o.id
         WHERE o.completed_at IS NULL AND p.state IN ('{StepState.PENDING}', '{StepState.IN_PROGRESS}')
           AND p.last_error IS NOT NULL AND p.attempts > 0
         GROUP BY p.system
    )
    SELECT system, COALESCE(r.done, 0) AS done, COALESCE(r.retries, 0) AS retries, COALESCE(r.fallouts, 0) AS fallouts,
           COALESCE(f.failing, 0) AS failing, f.failing_since, f.last_error, r.answered_at
      FROM unnest(CAST(:systems AS text[])) WITH ORDINALITY AS named (system, place)
      LEFT JOIN recent AS r USING (system)
      LEFT JOIN failing AS f USING (system)
     ORDER BY place
""")  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The latest comparison; totals by billing service type, and of the accounts that are out of balance or asked for.

    ``run`` is none before the first one.
    """

    run: Found | None
    by_type: Sequence[Found]
    by_account: Sequence[Found]


def reconciliation(engine: Engine, *, account: str | None) -> Reconciliation:
    """What the latest comparison came to, in all or for an account (F06)."""
    given = {"account": account, "limit": ACCOUNTS}
    with autocommit(engine) as connection:
        by_type, by_account = ([x._asdict() for x in connection.execute(x, given)] for x in (_TYPES, _ACCOUNTS))
    return Reconciliation(run=first(engine, _LATEST, {}), by_type=by_type, by_account=by_account)


def differences(engine: Engine, page: Page, *, account: str | None, of_class: str | None) -> Listed:
    """The differences that stand, those found last first (F07)."""
    filters = {"account": account, "of_class": of_class}
    order = Ordering("d.found_at", "d.id")
    return listed(engine, _DIFFERENCES, page, columns=_DIFFERENCE, order=order, filters=filters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfillment:
    """How the orders of a period were fulfilled: in all, by what was delivered, and by function."""

    orders: Found
    products: Sequence[Found]
    steps: Sequence[Found]


def fulfillment(engine: Engine, *, since: datetime, until: datetime) -> Fulfillment:
    """Time to service, durations, fallouts and retries of the orders submitted in a half-open period (F16)."""
    given = {"since": since, "until": until, "functions": [*Function]}
    (orders,), products, steps = _rows(engine, (_ORDERS, _PRODUCTS, _STEPS), given)
    return Fulfillment(orders=orders, products=products, steps=steps)


def neighbours(engine: Engine, *, since: datetime, until: datetime) -> Sequence[Found]:
    """How each neighbour has answered what orders of a half-open period asked of it, and what it fails at now (F41)."""
    (found,) = _rows(engine, (_NEIGHBOURS,), {"since": since, "until": until, "systems": NEIGHBOURS})
    return found


def _rows(engine: Engine, questions: Iterable[TextClause], given: Mapping[str, Any]) -> list[Sequence[Found]]:
    """The answers to long questions about one moment."""
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        return [[x._asdict() for x in connection.execute(question, given)] for question in questions]
