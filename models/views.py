"""Read-only questions: orders, plans, events, fallouts, accounts, and the assets that make the service profile.

Nothing here wakes a run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, TextClause, text

from domain.asset import IN_PROFILE
from domain.fallout import SETTLED_FALLOUTS, Decision, FalloutState, FalloutType, decisions, finding_decisions
from domain.in_flight import CORRECTABLE
from domain.plan import BEGUN, Function
from models.tables import IS_OPEN, quoted
from sql.connections import autocommit

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list: at most ``limit``, those after the one at ``(at, id)``."""

    limit: int
    at: datetime | None = None
    id: str | None = None


UNSETTLED = tuple(sorted(set(FalloutState) - SETTLED_FALLOUTS))
"""The states of what is on the work list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which fallouts; ``None``: it does not matter.

    ``step`` is a step such as ``provision:1`` or the function of many; ``taken``: whether somebody has taken it.
    """

    ids: Collection[str] | None = None
    states: Collection[str] | None = UNSETTLED
    type: str | None = None
    account: str | None = None
    order: str | None = None
    product: str | None = None
    owner: str | None = None
    taken: bool | None = None
    step: str | None = None
    code: str | None = None
    overdue: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page of a list, and how many there are in all; ``more``: whether another page follows."""

    items: Sequence[Found]
    total: int
    more: bool


class Ordering(NamedTuple):
    """How a list is ordered: by an instant and an id."""

    at: str
    id: str
    descending: bool = True


_SUMMARY = """
    CAST(o.id AS text) AS id, o.number, o.external_id, o.account, o.revision, o.state, o.reason, o.requested_start,
    o.submitted_at, o.completed_at,
    (SELECT array_agg(DISTINCT l.state) FROM orderloom.order_lines AS l WHERE l.order_id = o.id) AS line_states,
    (SELECT array_agg(DISTINCT l.action) FROM orderloom.order_lines AS l WHERE l.order_id = o.id) AS actions
"""

_ORDER = text(f"""
    SELECT {_SUMMARY}, o.catalog_version, o.document, o.corrections, o.corrections_included, o.last_seq,
           o.run_started_at, o.run_id,
           (SELECT COALESCE(max(r.revision), 0) FROM orderloom.order_revisions AS r
             WHERE r.order_id = o.id AND r.state <> 'refused') AS latest_revision,
           (SELECT json_agg(json_build_array(l.id, l.state, l.actual_delivery_at, l.asset, a.id IS NOT NULL))
              FROM orderloom.order_lines AS l LEFT JOIN orderloom.assets AS a ON a.id = l.asset
             WHERE l.order_id = o.id) AS lines,
           (SELECT json_agg(json_build_object('function', p.function, 'subject', p.subject, 'lines', p.lines,
                                              'state', p.state, 'id', p.id,
                                              'result', CASE WHEN p.system = 'billing' THEN p.result END)
                            ORDER BY p.position)
              FROM orderloom.plan_items AS p WHERE p.order_id = o.id) AS steps,
           (SELECT json_agg(json_build_object('id', f.id, 'step', f.step, 'line', f.line))
              FROM orderloom.fallouts AS f WHERE f.order_id = o.id AND f.{IS_OPEN}) AS fallouts
      FROM orderloom.orders AS o WHERE o.id = CAST(:id AS uuid)
""")  # noqa: S608 - built from constants of this module

_ORDERS = """
    SELECT {columns} FROM orderloom.orders AS o
     WHERE (CAST(:state AS text) IS NULL OR o.state = :state)
       AND (CAST(:account AS text) IS NULL OR o.account = :account)
       AND (CAST(:product AS text) IS NULL OR EXISTS (
            SELECT FROM orderloom.order_lines AS l WHERE l.order_id = o.id AND l.product = :product))
"""

_PLAN = text("""
    SELECT id, function, system, subject, root, lines, depends_on, no_return, state, attempts, started_at, finished_at,
           actual_at, last_error
      FROM orderloom.plan_items WHERE order_id = CAST(:id AS uuid) ORDER BY position
""")
_REVISION = text("SELECT revision FROM orderloom.orders WHERE id = CAST(:id AS uuid)")
_LOG_END = text("SELECT last_seq, state FROM orderloom.orders WHERE id = CAST(:id AS uuid)")
_LOG_ENDS = text("""
    SELECT CAST(id AS text) AS id, last_seq
      FROM orderloom.orders WHERE id = ANY(CAST(CAST(:orders AS text[]) AS uuid[]))
""")
_EVENTS = text("""
    SELECT seq, at, type, body FROM orderloom.order_events
     WHERE order_id = CAST(:id AS uuid) AND seq > :after ORDER BY seq LIMIT :limit
""")

_FALLOUT = f"""
    f.id, f.subject, CAST(f.order_id AS text) AS "order", o.number, f.account, f.line, f.step, f.type, f.code,
    f.message, f.attempts, f.in_doubt, f.priority, f.owner, f.opened_at AS since, f.due_at, f.escalated_at,
    f.{IS_OPEN} AS is_open, f.{IS_OPEN} AND f.due_at <= now() AS overdue, f.state, f.closed_at, f.decision, f.actor,
    f.reason,
    (SELECT array_agg(DISTINCT p.function) FROM orderloom.plan_items AS p
      WHERE f.{IS_OPEN} AND p.order_id = f.order_id AND p.id <> f.step AND p.state IN ({quoted(BEGUN)})
        AND p.root IN (SELECT q.root FROM orderloom.plan_items AS q
                        WHERE q.order_id = f.order_id AND (q.id = f.step OR f.step = ANY(q.depends_on)))) AS begun
"""  # noqa: S608
_FALLOUTS = f"""
    SELECT {{columns}} FROM orderloom.fallouts AS f LEFT JOIN orderloom.orders AS o ON o.id = f.order_id
     WHERE (CAST(:ids AS text[]) IS NULL OR f.id = ANY(CAST(:ids AS text[])))
       AND (CAST(:states AS text[]) IS NULL OR f.state = ANY(CAST(:states AS text[])))
       AND (CAST(:account AS text) IS NULL OR f.account = :account)
       AND (CAST(:type AS text) IS NULL OR f.type = :type)
       AND (CAST(:owner AS text) IS NULL OR f.owner = :owner)
       AND (CAST(:taken AS boolean) IS NULL OR (f.owner IS NOT NULL) = :taken)
       AND (CAST(:code AS text) IS NULL OR f.code = :code)
       AND (CAST(:step AS text) IS NULL OR f.step = :step OR starts_with(f.step, CAST(:step AS text) || ':'))
       AND (CAST(:overdue AS boolean) IS NULL OR (f.due_at <= now() AND f.{IS_OPEN}) = :overdue)
       AND (CAST(:order AS text) IS NULL OR f.order_id = CAST(:order AS uuid))
       AND (CAST(:product AS text) IS NULL OR EXISTS (
            SELECT FROM orderloom.order_lines AS l
             WHERE l.order_id = f.order_id AND l.id = f.line AND l.product = :product))
"""  # noqa: S608
_ONE_FALLOUT = text(f"""
    SELECT {_FALLOUT} FROM orderloom.fallouts AS f LEFT JOIN orderloom.orders AS o ON o.id = f.order_id WHERE f.id = :id
""")  # noqa: S608
_UNKNOWN_FALLOUTS = text("""
    SELECT n.id FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS n(id, at)
     WHERE NOT EXISTS (SELECT FROM orderloom.fallouts AS f WHERE f.id = n.id) ORDER BY n.at
""")

_ACCOUNT = text("""
    SELECT a.id, a.name, a.class, a.parent,
           ARRAY(SELECT p.id FROM orderloom.billing_profiles AS p WHERE p.account = a.id ORDER BY p.id)
             AS billing_profiles
      FROM orderloom.accounts AS a WHERE a.id = :id
""")

BELOW = """
    WITH RECURSIVE below AS (
        SELECT id FROM orderloom.accounts WHERE id = :account
        UNION
        SELECT a.id FROM orderloom.accounts AS a JOIN below AS b ON a.parent = b.id
    )
"""
"""Rows ``below`` of the ids of an account and of all below it."""
_ASSET = """
    CAST(a.id AS text) AS id, a.product, a.catalog_version, a.status, a.account, a.service_account, a.billing_account,
    a.billing_profile, a.service_id, a.service_point, a.quantity, a.attributes, a.billing_type, a.service_start,
    a.service_end, CAST(a.root AS text) AS root, CAST(a.parent AS text) AS parent
"""
_ASSETS = f"""{BELOW}
    SELECT {{columns}} FROM orderloom.assets AS a
     WHERE a.status = ANY(:statuses)
       AND (a.account IN (SELECT id FROM below) OR a.service_account IN (SELECT id FROM below))
       AND (NOT :billed OR a.billing_type IS NOT NULL)
"""  # noqa: S608
_ASSET_TREE = text(f"""
    SELECT {_ASSET},
           (SELECT json_agg(json_build_object('kind', r.kind, 'billing_id', r.billing_id, 'valid_from', r.valid_from,
                                              'valid_to', r.valid_to) ORDER BY r.kind, r.billing_id)
              FROM orderloom.cross_references AS r WHERE r.asset = a.id) AS billing,
           (SELECT json_agg(json_build_object('order', l.order_id, 'number', o.number, 'line', l.id, 'action', l.action,
                                              'state', l.state, 'submitted_at', o.submitted_at) ORDER BY o.number)
              FROM orderloom.order_lines AS l JOIN orderloom.orders AS o ON o.id = l.order_id
             WHERE l.asset = a.id) AS order_history
      FROM orderloom.assets AS a
     WHERE a.root = (SELECT root FROM orderloom.assets WHERE id = CAST(:id AS uuid))
     ORDER BY a.created_by_line, a.id
""")  # noqa: S608

_ON_ORDER = text(f"""{BELOW}
    SELECT l.product, CAST(o.id AS text) AS "order", o.number, l.id AS line, l.quantity, l.state
      FROM orderloom.orders AS o JOIN orderloom.order_lines AS l ON l.order_id = o.id
     WHERE o.account IN (SELECT id FROM below) AND l.action = 'add'
       AND l.state NOT IN ('rejected', 'cancelled', 'failed')
       AND NOT EXISTS (SELECT FROM orderloom.assets AS a WHERE a.id = l.asset)
     ORDER BY o.submitted_at DESC, o.id, l.position LIMIT :limit
""")  # noqa: S608


def order(engine: Engine, order_id: str) -> Found | None:
    """An order with its document, its lines' states, its steps with billing's answers, and its open fallouts."""
    return first(engine, _ORDER, {"id": order_id})


def orders(engine: Engine, page: Page, *, state: str | None, account: str | None, product: str | None) -> Listed:
    """Orders, newest first."""
    filters = {"state": state, "account": account, "product": product}
    return listed(engine, _ORDERS, page, columns=_SUMMARY, order=Ordering("o.submitted_at", "o.id"), filters=filters)


def plan(engine: Engine, order_id: str) -> tuple[int, Sequence[Found]] | None:
    """An order's revision and the steps of its plan."""
    with autocommit(engine) as connection:
        revision = connection.execute(_REVISION, {"id": order_id}).scalar()
        if revision is None:
            return None
        return revision, [x._asdict() for x in connection.execute(_PLAN, {"id": order_id})]


def log_end(engine: Engine, order_id: str) -> tuple[int, str] | None:
    """The number of an order's last event, and its state then."""
    row = first(engine, _LOG_END, {"id": order_id})
    return (row["last_seq"], row["state"]) if row else None


def log_ends(engine: Engine, orders: Collection[str]) -> dict[str, int]:
    """The numbers of orders' last events."""
    with autocommit(engine) as connection:
        return {row.id: row.last_seq for row in connection.execute(_LOG_ENDS, {"orders": [*orders]})}


def events(engine: Engine, order_id: str, *, after: int, limit: int) -> Sequence[Found]:
    """The order's events that follow number ``after``, in order."""
    with autocommit(engine) as connection:
        return [x._asdict() for x in connection.execute(_EVENTS, {"id": order_id, "after": after, "limit": limit})]


def fallouts(engine: Engine, page: Page, selection: Selection, *, by_due_date: bool = False) -> Listed:
    """What needs, or needed, a person, and what may be decided; newest first, or what is due first."""
    lists = {name: x if x is None else [*x] for name, x in (("ids", selection.ids), ("states", selection.states))}
    filters = asdict(selection) | lists
    order = Ordering("f.due_at", "f.id", descending=False) if by_due_date else Ordering("f.opened_at", "f.id")
    found = listed(engine, _FALLOUTS, page, columns=_FALLOUT, order=order, filters=filters)
    return replace(found, items=[_decidable(x) for x in found.items])


def fallout(engine: Engine, fallout_id: str) -> Found | None:
    """One of them."""
    found = first(engine, _ONE_FALLOUT, {"id": fallout_id})
    return _decidable(found) if found else None


def unknown_fallouts(engine: Engine, ids: Sequence[str]) -> Sequence[str]:
    """Those of the ids that no fallout has."""
    if not ids:
        return ()
    with autocommit(engine) as connection:
        return connection.execute(_UNKNOWN_FALLOUTS, {"ids": [*ids]}).scalars().all()


def _decidable(fallout: Found) -> Found:
    """A fallout with what may be decided about it now, as far as its order's rows tell."""
    function = (fallout["step"] or "").partition(":")[0]
    allowed: Sequence[Decision] = ()
    if fallout["is_open"] and function in {*Function}:
        allowed = decisions(Function(function), fallout["begun"] or (), in_doubt=fallout["in_doubt"])
    elif fallout["is_open"] and fallout["step"] is None:
        allowed = finding_decisions(FalloutType(fallout["type"]), code=fallout["code"])
    correctable = sorted(CORRECTABLE) if Decision.RETRY_WITH in allowed else []
    return {**fallout, "decisions": [*allowed], "correctable": correctable}


def account(engine: Engine, account_id: str) -> Found | None:
    """An account and the billing profiles it owns."""
    return first(engine, _ACCOUNT, {"id": account_id})


def profile(engine: Engine, account_id: str, page: Page) -> Listed:
    """The service profile: active and suspended assets of the account and of those below it, newest first (A01)."""
    return _profile(engine, account_id, page, billed=False)


def billing_items(engine: Engine, account_id: str, page: Page) -> Listed:
    """Those of the service profile that billing knows: the same assets, seen from billing (A04)."""
    return _profile(engine, account_id, page, billed=True)


def asset_tree(engine: Engine, asset_id: str) -> Sequence[Found]:
    """An asset's whole bundle, each with its billing ids and the order lines about it; empty if there is none (A17)."""
    with autocommit(engine) as connection:
        return [x._asdict() for x in connection.execute(_ASSET_TREE, {"id": asset_id})]


def on_order(engine: Engine, account_id: str, *, limit: int) -> Sequence[Found]:
    """New lines of the account's orders that are no asset: not yet, or never, for what is not tracked (A09)."""
    with autocommit(engine) as connection:
        return [x._asdict() for x in connection.execute(_ON_ORDER, {"account": account_id, "limit": limit})]


def answers(engine: Engine) -> bool:
    """Whether the database answers, with the schema in it."""
    with autocommit(engine) as connection:
        connection.execute(text("SELECT FROM orderloom.orders LIMIT 1"))
    return True


def _profile(engine: Engine, account_id: str, page: Page, *, billed: bool) -> Listed:
    filters = {"account": account_id, "billed": billed, "statuses": [*IN_PROFILE]}
    return listed(engine, _ASSETS, page, columns=_ASSET, order=Ordering("a.service_start", "a.id"), filters=filters)


def listed(
    engine: Engine, question: str, page: Page, *, columns: str, order: Ordering, filters: Mapping[str, Any]
) -> Listed:
    """One page of ``question``, and the count of all."""
    at, id_, descending = order
    way, follows = ("DESC", "<") if descending else ("ASC", ">")
    after = "" if page.at is None else f"AND ({at}, {id_}) {follows} (:after_at, :after_id)"
    query = text(f"{question.format(columns=columns)} {after} ORDER BY {at} {way}, {id_} {way} LIMIT :limit")
    count = text(question.format(columns="count(*)"))
    with autocommit(engine) as connection:
        asked = {**filters, "after_at": page.at, "after_id": page.id, "limit": page.limit + 1}
        rows = [x._asdict() for x in connection.execute(query, asked)]
        total = connection.execute(count, dict(filters)).scalar_one()
    return Listed(items=rows[: page.limit], total=total, more=len(rows) > page.limit)


def first(engine: Engine, statement: TextClause, parameters: Mapping[str, Any]) -> Found | None:
    """The first row of an answer, if there is any."""
    with autocommit(engine) as connection:
        row = connection.execute(statement, parameters).first()
    return row._asdict() if row else None
