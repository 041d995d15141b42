"""What has reached its service end, and the orders that end it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Engine, text

from domain.allowed import refused
from domain.asset import AssetStatus
from domain.change import completed
from domain.ending import ending
from domain.order import FINAL, Action
from domain.violation import Violation
from models import assets, submissions
from models.submissions import Clash
from models.tables import quoted
from sql.connections import autocommit

ACTOR = "system"
"""Who disconnects what ends by itself, in the audit."""

_REACHED = text(f"""
    SELECT DISTINCT CAST(a.root AS text) AS root FROM orderloom.assets AS a
     WHERE a.service_end <= :now AND a.status <> '{AssetStatus.INACTIVE}' AND a.root > CAST(:after AS uuid)
       AND NOT EXISTS (SELECT FROM orderloom.order_lines AS l
                        WHERE l.asset = a.id AND l.action IN ('{Action.DELETE}', '{Action.MOVE_DELETE}')
                          AND l.state NOT IN ({quoted(FINAL)}))
     ORDER BY root LIMIT :limit
""")  # noqa: S608 - built from constants


@dataclass(frozen=True)
class PostgresEndings:
    """What has reached its service end."""

    engine: Engine

    def reached(self, *, now: datetime, after: str, limit: int) -> Sequence[str]:
        """Root assets of trees in which something has reached its end and is not being disconnected, in their order."""
        with autocommit(self.engine) as connection:
            return connection.execute(_REACHED, {"now": now, "after": after, "limit": limit}).scalars().all()

    def end(self, root: str, *, now: datetime) -> tuple[Violation, ...]:
        """Store the order that disconnects what has reached its end in a tree; what it breaks, if it may not be.

        Twice is once: as soon as it is stored, it is being disconnected.
        """
        with self.engine.begin() as connection:
            assets.lock(connection, [root])
            order = ending({x.id: x for x in assets.trees(connection, [root])}, now=now)
            if order is None:
                return ()
            known = submissions.known(connection, order, None)
            whole = completed(order, known.catalog, known.facts)
            if violations := refused(whole, known.catalog, known.facts):
                return violations
            order_id = str(uuid4())
            stored = submissions.submit(
                connection,
                whole,
                order_id=order_id,
                catalog_version=known.catalog.version,
                key=None,
                location=f"/v1/orders/{order_id}",
                actor=ACTOR,
            )
            assert not isinstance(stored, Clash), "it has no key and no external id"
        return ()
