"""What the watch sees of our own rows: little, and by index, for it looks every half minute."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, text

from domain.order import FINAL, State
from domain.plan import Function, StepState
from domain.watch import INITIATED_AT_MOST, LongInitiated, Seen, WatchedOrder
from models.tables import quoted
from sql.connections import autocommit
from sql.prepared import Prepared

AT_MOST = 500
"""How many orders of one kind a glance names."""

_OPEN = "o.completed_at IS NULL"
_GLANCE = Prepared(f"""
    SELECT (SELECT count(*) FROM orderloom.orders AS o
             WHERE {_OPEN} AND o.run_started_at < CAST(:old_before AS timestamptz)) AS open_orders,
           (SELECT COALESCE((SELECT max(as_of) FROM orderloom.reconciliations),
                            (SELECT min(submitted_at) FROM orderloom.orders))) AS compared_at,
           (SELECT json_agg(json_build_object('id', o.id, 'number', o.number, 'state', o.state))
              FROM (SELECT * FROM orderloom.orders AS o
                     WHERE o.run_started_at IS NULL AND {_OPEN} AND o.state <> '{State.DRAFT}'
                       AND o.submitted_at < CAST(:old_before AS timestamptz)
                     ORDER BY o.submitted_at LIMIT {AT_MOST}) AS o) AS not_started,
           (SELECT json_agg(json_build_object('order', o.id, 'number', o.number, 'step', p.id, 'since', p.finished_at))
              FROM (SELECT * FROM orderloom.orders AS o
                     WHERE {_OPEN} AND o.submitted_at < CAST(:initiated_before AS timestamptz)
                     ORDER BY o.submitted_at LIMIT {AT_MOST}) AS o
              JOIN orderloom.plan_items AS p ON p.order_id = o.id
             WHERE p.function = '{Function.INITIATE_BILLING}' AND p.state = '{StepState.DONE}'
               AND p.finished_at < CAST(:initiated_before AS timestamptz)) AS long_initiated
""")  # noqa: S608 - built from constants of this module

_OPEN_ORDERS = text(f"""
    SELECT CAST(o.id AS text) FROM orderloom.orders AS o WHERE {_OPEN} AND o.run_started_at IS NOT NULL
""")  # noqa: S608

_ORDERS = text(f"""
    SELECT CAST(o.id AS text) AS id, o.number, o.state,
           CASE WHEN o.state IN ({quoted(FINAL)}) THEN o.completed_at ELSE o.run_started_at END
             < CAST(:settled_before AS timestamptz) AS is_settled,
           ARRAY(SELECT p.id FROM orderloom.plan_items AS p
                  WHERE p.order_id = o.id AND p.state IN ('{StepState.IN_PROGRESS}', '{StepState.DONE}')
                  ORDER BY p.position LIMIT 10) AS begun
      FROM orderloom.orders AS o WHERE o.id = ANY(CAST(:ids AS uuid[]))
""")  # noqa: S608


@dataclass(frozen=True)
class PostgresWatched:
    """Our rows, as far as they are watched."""

    engine: Engine

    def glance(self, *, old_before: datetime) -> Seen:
        """What there is to be seen at once; old is what began before an instant."""
        asked = {"old_before": old_before, "initiated_before": old_before - INITIATED_AT_MOST}
        with autocommit(self.engine) as connection:
            row = _GLANCE.on(connection, **asked).one()
        return Seen(
            open_orders=row.open_orders,
            not_started=[WatchedOrder(**(x | {"state": State(x["state"])})) for x in row.not_started or ()],
            long_initiated=[
                LongInitiated(**(x | {"since": datetime.fromisoformat(x["since"])})) for x in row.long_initiated or ()
            ],
            compared_at=row.compared_at,
        )

    def open_orders(self) -> frozenset[str]:
        """The orders that were started and are open."""
        with autocommit(self.engine) as connection:
            return frozenset(connection.execute(_OPEN_ORDERS).scalars())

    def orders(self, ids: Collection[str], *, settled_before: datetime) -> Mapping[str, WatchedOrder]:
        """Those of the orders that there are, by id; settled is what was started, or ended, before an instant."""
        asked = {"ids": [x for x in ids if _is_ours(x)], "settled_before": settled_before}
        with autocommit(self.engine) as connection:
            return {row.id: _watched(row) for row in connection.execute(_ORDERS, asked)}


def _watched(row: Row[Any]) -> WatchedOrder:
    return WatchedOrder(
        id=row.id, number=row.number, state=State(row.state), is_settled=bool(row.is_settled), begun=row.begun
    )


def _is_ours(id: str) -> bool:  # noqa: A002
    try:
        return str(UUID(id)) == id
    except ValueError:
        return False
