"""What the API may write: accounts, billing profiles, orders as submitted, answers to remember, and the audit.

Each is one statement, hence one transaction and one round trip.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import IntegrityError

from domain.catalog import Catalog
from domain.facts import Facts, lookups
from domain.order import Order, asset_id
from domain.violation import Violation
from models import assets, catalogs
from models.facts import FACTS, asked, facts, gathered, with_assets
from sql.connections import autocommit
from sql.prepared import Prepared

ORDER = TypeAdapter(Order)
ACTOR = "api"
"""Who submits, in the audit, as long as the API knows no identities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A client's idempotency key: for one route, with a fingerprint of what was sent."""

    route: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The answer given under a key, to whatever had that fingerprint."""

    fingerprint: str
    location: str
    body: Mapping[str, Any] | None


class Clash(StrEnum):
    """Why nothing was stored, by the name of the constraint that forbade it."""

    KEY = "idempotency_keys_pk"
    EXTERNAL_ID = "orders_account_external_id_key"
    ACCOUNT = "accounts_pk"
    PARENT = "accounts_parent_fk"
    PROFILE = "billing_profiles_pk"
    OWNER = "billing_profiles_account_fk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An order as it was stored when it was submitted."""

    id: str
    number: int
    order: Order
    catalog_version: int
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known before an order is stored: the ids it mentions, the current catalog, and what came before it.

    ``earlier`` is the order of that account with the same external id.
    """

    facts: Facts
    catalog: Catalog
    earlier: Submitted | None
    remembered: Remembered | None


_SUBMITTED = """
    SELECT CAST(id AS text) AS id, number, catalog_version, submitted_at,
           COALESCE((SELECT r.document FROM orderloom.order_revisions AS r WHERE r.order_id = id AND r.revision = 0),
                    document) AS document
      FROM orderloom.orders
"""
_KNOWN = Prepared(f"""
    {FACTS}
    UNION ALL
    SELECT 'catalog', CAST(max(version) AS text), NULL, NULL FROM orderloom.catalog_versions
    UNION ALL
    SELECT 'order', CAST(id AS text), NULL, NULL
      FROM orderloom.orders
     WHERE account = :account AND external_id = :external_id AND CAST(:external_id AS text) IS NOT NULL
    UNION ALL
    SELECT 'key', key, NULL, NULL FROM orderloom.idempotency_keys WHERE route = :route AND key = :key
""")  # noqa: S608 - built from constants
_BY_ID = Prepared(f"{_SUBMITTED} WHERE id = CAST(:id AS uuid)")
_REMEMBERED = Prepared("""
    SELECT fingerprint, location, body FROM orderloom.idempotency_keys WHERE route = :route AND key = :key
""")

_REMEMBER = """
    remembered AS (
        INSERT INTO orderloom.idempotency_keys (route, key, fingerprint, status, body, location)
        SELECT :route, CAST(:key AS text), :fingerprint, CAST(:status AS int), CAST(:answer AS jsonb), :location
         WHERE CAST(:key AS text) IS NOT NULL
    )
"""

_REMEMBER_ALONE = text(f"WITH {_REMEMBER} SELECT")

_SUBMIT = Prepared(f"""
    WITH given AS (SELECT CAST(:document AS jsonb) AS document),
    submitted AS (
        INSERT INTO orderloom.orders
               (id, external_id, account, catalog_version, state, priority, requested_start, document, submitted_at)
        SELECT CAST(:id AS uuid), document ->> 'external_id', document ->> 'account', CAST(:catalog_version AS int),
               'acknowledged', CAST(document ->> 'priority' AS int),
               CAST(document ->> 'requested_start' AS timestamptz), document, statement_timestamp()
          FROM given
        RETURNING number, submitted_at
    ),
    lines AS (
        INSERT INTO orderloom.order_lines
               (order_id, id, position, parent, root, product, action, quantity, asset, state)
        SELECT CAST(:id AS uuid), l.id, l.position - 1, l.parent, l.root, l.product, l.action, l.quantity, l.asset,
               'acknowledged'
          FROM given, ROWS FROM (
               jsonb_to_recordset(document -> 'lines') AS (
                   id text, parent text, root text, product text, action text, quantity int),
               unnest(CAST(CAST(:assets AS text[]) AS uuid[]))
          ) WITH ORDINALITY AS l(id, parent, root, product, action, quantity, asset, position)
    ),
    event AS (
        INSERT INTO orderloom.order_events (order_id, seq, at, type, body)
        VALUES (CAST(:id AS uuid), 1, statement_timestamp(), 'acknowledged', '{{}}')
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision) VALUES (:actor, 'order.submit', :id, 'accepted')
    ),
    {_REMEMBER}
    SELECT number, submitted_at FROM submitted
""")  # noqa: S608 - built from constants of this module

_OPEN_ACCOUNT = Prepared(f"""
    WITH account AS (
        INSERT INTO orderloom.accounts (id, name, class, parent) VALUES (:id, :name, :class, :parent)
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision) VALUES (:actor, 'account.open', :id, 'accepted')
    ),
    {_REMEMBER}
    SELECT
""")  # noqa: S608

_ADD_PROFILE = Prepared(f"""
    WITH profile AS (
        INSERT INTO orderloom.billing_profiles (id, account) VALUES (:id, :account)
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision) VALUES (:actor, 'profile.add', :id, 'accepted')
    ),
    {_REMEMBER}
    SELECT
""")  # noqa: S608

_UNSTARTED = text(f"""
    {_SUBMITTED}
     WHERE run_started_at IS NULL AND submitted_at < now() - make_interval(secs => :age_s)
     ORDER BY submitted_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_STARTED = Prepared("""
    UPDATE orderloom.orders SET run_started_at = now(), run_id = CAST(:runs AS jsonb) ->> CAST(id AS text)
     WHERE id = ANY(CAST(CAST(:orders AS text[]) AS uuid[])) AND run_started_at IS NULL
""")
_ANEW = text("""
    UPDATE orderloom.orders SET run_started_at = now(), run_id = :run WHERE id = CAST(:id AS uuid)
""")
_IS_APPROVED = text("""
    SELECT EXISTS (SELECT FROM orderloom.order_events WHERE order_id = CAST(:id AS uuid) AND type = 'approved')
""")
_REFUSED = text("""
    INSERT INTO orderloom.audit (actor, action, object, decision, reason, body)
    VALUES (:actor, :action, :object, 'refused', :reason, CAST(:body AS jsonb))
""")


def deciding(engine: Engine, order: Order) -> AbstractContextManager[Connection]:
    """A connection on which to decide about an order, and to store it.

    About what is installed one decides at a time: until it is stored, or not, nobody else decides about those assets.
    Orders take turns in that sequence: one has come when it is stored, not when somebody began to decide.
    """
    return assets.deciding(engine, lookups(order).assets)


def lock(connection: Connection, order: Order) -> None:
    """Let nobody else decide about the assets of an order until the transaction ends."""
    if about := lookups(order).assets:
        assets.lock(connection, about)


def known(connection: Connection, order: Order, key: Key | None) -> Known:
    """All that deciding about an order needs."""
    engine, mentioned = connection.engine, lookups(order)
    question = {**asked(mentioned), "external_id": order.external_id, **_name(key)}
    rows = _KNOWN.on(connection, **question).all()
    others = {row.kind: row.id for row in rows}
    found = gathered(rows)
    if mentioned.assets:
        found = with_assets(connection, found, mentioned, arrived=datetime.now(UTC))
    return Known(
        facts=found,
        catalog=catalogs.load(engine, int(others["catalog"])) if others["catalog"] else Catalog(0),
        earlier=submitted(engine, others["order"]) if "order" in others else None,
        remembered=remembered(engine, key) if key and "key" in others else None,
    )


def known_later(connection: Connection, order: Order, order_id: str) -> Facts:
    """What is known of the ids that an order which is stored mentions now: what is open on its assets is others'."""
    mentioned = lookups(order)
    found = facts(connection, mentioned)
    if not mentioned.assets:
        return found
    stored = _as_submitted(_BY_ID.on(connection, id=order_id).one())
    found = with_assets(connection, found, mentioned, arrived=stored.submitted_at, order=order_id, number=stored.number)
    return replace(found, now=datetime.now(UTC))


def remembered(engine: Engine, key: Key) -> Remembered | None:
    """The answer given under a key before, if any."""
    with autocommit(engine) as connection:
        row = _REMEMBERED.on(connection, **_name(key)).first()
    return _as_remembered(row) if row else None


def submitted(engine: Engine, order_id: str) -> Submitted:
    """An order as it was submitted."""
    with autocommit(engine) as connection:
        return _as_submitted(_BY_ID.on(connection, id=order_id).one())


def submit(
    connection: Connection,
    order: Order,
    *,
    order_id: str,
    catalog_version: int,
    key: Key | None,
    location: str,
    actor: str = ACTOR,
) -> Submitted | Clash:
    """Store an order with its lines, its first event, the answer to remember, and the audit: all or nothing (W7)."""
    parameters = {
        "id": order_id,
        "document": ORDER.dump_json(order, exclude_none=True).decode(),
        "assets": [asset_id(order_id, line) for line in order.lines],
        "catalog_version": catalog_version,
        **_remembering(key, status=202, location=location, answer=None),
    }
    row = _store(connection, _SUBMIT, parameters, actor=actor)
    if isinstance(row, Clash):
        return row
    return Submitted(
        id=order_id,
        number=row.number,
        order=order,
        catalog_version=catalog_version,
        submitted_at=row.submitted_at,
    )


def mark_started(engine: Engine, runs: Mapping[str, str | None]) -> None:
    """Write down that orders' runs were started: run ids by order."""
    with autocommit(engine) as connection:
        _STARTED.on(connection, orders=[*runs], runs=json.dumps(runs))


def mark_started_anew(engine: Engine, order_id: str, run: str | None) -> None:
    """Write down that an order is carried out by another run from now on."""
    with autocommit(engine) as connection:
        connection.execute(_ANEW, {"id": order_id, "run": run})


def is_approved(engine: Engine, order_id: str) -> bool:
    """Whether somebody has approved the order (F31)."""
    with autocommit(engine) as connection:
        return bool(connection.execute(_IS_APPROVED, {"id": order_id}).scalar_one())


def start_forgotten(
    engine: Engine, start: Callable[[Sequence[Submitted]], Mapping[str, str | None]], *, age_s: float, limit: int
) -> int:
    """Have orders started that were stored ``age_s`` ago and still have no run; how many there were.

    Another process that asks meanwhile is given other orders.
    """
    with engine.begin() as connection:
        rows = connection.execute(_UNSTARTED, {"age_s": age_s, "limit": limit})
        forgotten = [_as_submitted(row) for row in rows]
        if forgotten and (runs := start(forgotten)):
            _STARTED.on(connection, orders=[*runs], runs=json.dumps(runs))
    return len(forgotten)


def open_account(
    engine: Engine, account: Mapping[str, str | None], *, key: Key | None, location: str, answer: Mapping[str, Any]
) -> Clash | None:
    """Store an account of ``id``, ``name``, ``class`` and ``parent``; a parent is an older account: no circles."""
    if account["parent"] == account["id"]:
        return Clash.PARENT
    memory = _remembering(key, status=201, location=location, answer=answer)
    with autocommit(engine) as connection:
        row = _store(connection, _OPEN_ACCOUNT, {**account, **memory})
    return row if isinstance(row, Clash) else None


def add_profile(
    engine: Engine, profile: str, *, account: str, key: Key | None, location: str, answer: Mapping[str, Any]
) -> Clash | None:
    """Store a billing profile that the account owns (B44)."""
    memory = _remembering(key, status=201, location=location, answer=answer)
    with autocommit(engine) as connection:
        row = _store(connection, _ADD_PROFILE, {"id": profile, "account": account, **memory})
    return row if isinstance(row, Clash) else None


def audit_refusal(engine: Engine, *, action: str, subject: str | None, violations: tuple[Violation, ...]) -> None:
    """Write down that something was refused, and for which broken rules."""
    found = [{"code": x.code, "rule": x.rule, "line": x.line, "field": x.field} for x in violations]
    codes = ", ".join(sorted({x.code for x in violations}))
    with autocommit(engine) as connection:
        connection.execute(
            _REFUSED,
            {"actor": ACTOR, "action": action, "object": subject, "reason": codes, "body": json.dumps(found)},
        )


def _as_submitted(row: Row[Any]) -> Submitted:
    return Submitted(
        id=row.id,
        number=row.number,
        order=ORDER.validate_python(row.document),
        catalog_version=row.catalog_version,
        submitted_at=row.submitted_at,
    )


def _as_remembered(row: Row[Any]) -> Remembered:
    return Remembered(fingerprint=row.fingerprint, location=row.location, body=row.body)


def _name(key: Key | None) -> dict[str, str | None]:
    return {"route": key.route if key else None, "key": key.key if key else None}


def _remembering(key: Key | None, *, status: int, location: str, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        **_name(key),
        "fingerprint": key.fingerprint if key else None,
        "status": status,
        "location": location,
        "answer": json.dumps(answer) if answer is not None else None,
    }


def remember(
    connection: Connection, key: Key | None, *, status: int, location: str, answer: Mapping[str, Any] | None
) -> None:
    """Remember the answer to a request, in the connection's transaction; without effect when it came without a key."""
    connection.execute(_REMEMBER_ALONE, _remembering(key, status=status, location=location, answer=answer))


def clash(error: IntegrityError, *, among: Iterable[Clash] = Clash) -> Clash:
    """Which of the constraints forbade it; what none of them did is raised again."""
    diagnosis = getattr(error.orig, "diag", None)
    for known in among:
        if diagnosis is not None and diagnosis.constraint_name == known:
            return known
    raise error


def _store(
    connection: Connection, statement: Prepared, parameters: Mapping[str, Any], *, actor: str = ACTOR
) -> Row[Any] | Clash:
    try:
        return statement.on(connection, actor=actor, **parameters).one()
    except IntegrityError as error:
        return clash(error)
