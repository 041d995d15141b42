"""Revisions as they are submitted: stored first, judged by the order's run, each kept for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, text

from domain.in_flight import Correction
from domain.order import FINAL, Order
from models.submissions import ORDER, Key, remember
from models.tables import quoted
from sql.connections import autocommit

_CORRECTIONS = TypeAdapter(tuple[Correction, ...])


class Refusal(Enum):
    """Why a revision was not stored."""

    STALE = auto()
    """Another revision was submitted since the client read the order."""
    ENDED = auto()
    """The order has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a revision starts from: the newest one that was not refused, and what operators corrected since.

    ``gone`` are the ids of lines that the order once had.
    """

    order: Order
    latest: int
    corrections: tuple[Correction, ...]
    corrections_included: int
    gone: frozenset[str]
    state: str
    catalog_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A revision to be stored: the whole desired order, who wants it, and why."""

    order_id: str
    order: Order
    force: bool
    actor: str
    reason: str


_BASE = text("""
    SELECT o.state, o.catalog_version, o.corrections, o.corrections_included,
           COALESCE(r.revision, 0) AS latest, COALESCE(r.document, o.document) AS document,
           COALESCE(r.corrections_included, o.corrections_included) AS included,
           ARRAY(SELECT l.id FROM orderloom.order_lines AS l WHERE l.order_id = o.id) AS line_ids
      FROM orderloom.orders AS o
      LEFT JOIN LATERAL (SELECT revision, document, corrections_included FROM orderloom.order_revisions
                          WHERE order_id = o.id AND state <> 'refused' ORDER BY revision DESC LIMIT 1) AS r ON TRUE
     WHERE o.id = CAST(:order AS uuid)
""")
_LOCK = text("SELECT state FROM orderloom.orders WHERE id = CAST(:order AS uuid) FOR UPDATE")
_NUMBERS = text("""
    SELECT COALESCE(max(revision), 0) AS last, COALESCE(max(revision) FILTER (WHERE state <> 'refused'), 0) AS latest
      FROM orderloom.order_revisions WHERE order_id = CAST(:order AS uuid)
""")
_SUBMIT = text("""
    INSERT INTO orderloom.order_revisions
           (order_id, revision, document, corrections_included, force, actor, reason)
    VALUES (CAST(:order AS uuid), :revision, CAST(:document AS jsonb), :included, :force, :actor, :reason)
""")
_REFUSE = text("""
    UPDATE orderloom.order_revisions SET state = 'refused', decided_at = now(), code = 'NOT_OPEN'
     WHERE order_id = CAST(:order AS uuid) AND revision = :revision AND state = 'queued'
""")
_ALL = text("""
    SELECT revision, state, submitted_at, decided_at, actor, reason, force, code, step, document
      FROM orderloom.order_revisions WHERE order_id = CAST(:order AS uuid) ORDER BY revision
""")
_QUEUED = text("""
    SELECT CAST(r.order_id AS text) AS order, r.revision, r.force
      FROM orderloom.order_revisions AS r JOIN orderloom.orders AS o ON o.id = r.order_id
     WHERE r.state = 'queued' AND r.submitted_at < now() - make_interval(secs => :age_s)
       AND o.run_started_at IS NOT NULL
     ORDER BY r.submitted_at LIMIT :limit
""")
_ENDED = text(f"""
    SELECT root FROM orderloom.order_lines WHERE order_id = CAST(:order AS uuid)
     GROUP BY root HAVING bool_and(state IN ({quoted(FINAL)}))
""")  # noqa: S608 - built from constants of this module
_STATE = text("""
    SELECT state FROM orderloom.order_revisions WHERE order_id = CAST(:order AS uuid) AND revision = :revision
""")


def base(engine: Engine, order_id: str) -> Base | None:
    """What a revision of an order starts from; ``None`` when there is no such order."""
    with autocommit(engine) as connection:
        row = connection.execute(_BASE, {"order": order_id}).first()
    if row is None:
        return None
    order = ORDER.validate_python(row.document)
    corrections = _CORRECTIONS.validate_python(row.corrections)
    return Base(
        order=order,
        latest=row.latest,
        corrections=corrections[row.included :],
        corrections_included=len(corrections),
        gone=frozenset(row.line_ids) - order.by_id.keys(),
        state=row.state,
        catalog_version=row.catalog_version,
    )


def ended(connection: Connection, order_id: str) -> frozenset[str]:
    """The bundles of an order that have come to their end, by root."""
    return frozenset(connection.execute(_ENDED, {"order": order_id}).scalars())


def submit(engine: Engine, new: New, *, base: Base, key: Key | None, location: str) -> int | Refusal:
    """Store a revision, and the answer to remember: its number, or why it is not stored."""
    with engine.begin() as connection:
        state = connection.execute(_LOCK, {"order": new.order_id}).scalar_one()
        numbers = connection.execute(_NUMBERS, {"order": new.order_id}).one()
        if state in FINAL:
            return Refusal.ENDED
        if numbers.latest != base.latest:
            return Refusal.STALE
        revision: int = numbers.last + 1
        stored = {
            "order": new.order_id,
            "revision": revision,
            "document": ORDER.dump_json(new.order, exclude_none=True).decode(),
            "included": base.corrections_included,
            "force": new.force,
            "actor": new.actor,
            "reason": new.reason,
        }
        connection.execute(_SUBMIT, stored)
        answer = {"order": new.order_id, "revision": revision}
        remember(connection, key, status=202, location=location, answer=answer)
    return revision


def refuse(engine: Engine, order_id: str, revision: int) -> None:
    """Write down that a revision came too late: the order's run has ended."""
    with autocommit(engine) as connection:
        connection.execute(_REFUSE, {"order": order_id, "revision": revision})


def state(engine: Engine, order_id: str, revision: int) -> str:
    """What has become of a revision."""
    with autocommit(engine) as connection:
        return str(connection.execute(_STATE, {"order": order_id, "revision": revision}).scalar_one())


def of_order(engine: Engine, order_id: str) -> Sequence[Mapping[str, Any]]:
    """Every revision of an order, the first one first; none for an order that was never revised."""
    with autocommit(engine) as connection:
        return [x._asdict() for x in connection.execute(_ALL, {"order": order_id})]


def queued(engine: Engine, *, age_s: float, limit: int) -> Sequence[Row[Any]]:
    """Revisions that nobody has told the run of, which was started; the oldest first.

    As ``order``, ``revision`` and ``force``.
    """
    with autocommit(engine) as connection:
        return connection.execute(_QUEUED, {"age_s": age_s, "limit": limit}).all()
