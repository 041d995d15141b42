# ruff: noqa: S608 - statements are made of constants, never of anybody's input
"""Every invariant asked of one snapshot of the database, without changing anything."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DBAPIError

from domain.invariant import Finding, Invariant
from models.invariants.anew import SHOWN, BilledAssets, judged
from models.invariants.ledgers import UNDER_WAY, Listing
from models.invariants.orders import IS_FINAL

STATEMENT_TIMEOUT = "5min"

_OPEN = text(f"""
    SELECT CAST(id AS text) FROM orderloom.orders
     WHERE state NOT {IS_FINAL} AND (state <> 'acknowledged' OR run_started_at IS NOT NULL)
       AND submitted_at < now() - make_interval(secs => :grace_s)
""")
_ENDED = text(f"""
    SELECT asked.id FROM unnest(CAST(:orders AS text[])) AS asked (id)
      LEFT JOIN orderloom.orders AS o ON CAST(o.id AS text) = asked.id
     WHERE o.id IS NULL OR (o.state {IS_FINAL} AND o.completed_at < now() - make_interval(secs => :grace_s))
""")


def examine(
    engine: Engine,
    invariants: Iterable[Invariant],
    *,
    grace_s: float,
    services: Listing | None,
    purchases: Listing | None,
) -> list[Finding]:
    """What is found; what changed less than ``grace_s`` ago may still be under way.

    ``services`` and ``purchases`` are billing's listings of instances and purchases by asset, where it has any for us.
    The engine needs two connections.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        found = [_examined(connection, invariant, grace_s) for invariant in invariants]
        billed = None
        if services is not None and purchases is not None:
            billed = BilledAssets(services=_listed(connection, services), purchases=_listed(connection, purchases))
        return [*found, *judged(connection, engine, billed)]


def _examined(connection: Connection, invariant: Invariant, grace_s: float) -> Finding:
    """What is found of one; where rows are such that it cannot be asked at all, it is broken and says why."""
    try:
        with connection.begin_nested():
            row = _asked(connection, invariant, grace_s)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        why = str(error.orig).partition("\n")[0]
        offenders = (f"it cannot be looked at: {why}",)
        return Finding(id=invariant.id, statement=invariant.statement, looked_at=1, broken=1, offenders=offenders)
    return Finding(
        id=invariant.id,
        statement=invariant.statement,
        looked_at=row.looked_at,
        broken=row.broken,
        offenders=tuple(row.offenders or ()),
    )


def _asked(connection: Connection, invariant: Invariant, grace_s: float) -> Row[Any]:
    statement = text(f"""
        WITH rest (at) AS (SELECT now() - make_interval(secs => :grace_s)),
        under_way (about) AS ({UNDER_WAY}),
        looked (broken) AS ({invariant.query})
        SELECT count(*) AS looked_at, count(broken) AS broken,
               (array_agg(broken ORDER BY broken) FILTER (WHERE broken IS NOT NULL))[1:{SHOWN}] AS offenders
          FROM looked
    """)
    return connection.execute(statement, {"grace_s": grace_s}).one()


def _listed(connection: Connection, listing: Listing) -> Mapping[str, str]:
    return {row.key: row.value for row in connection.execute(text(listing))}


def open_orders(engine: Engine, *, grace_s: float) -> frozenset[str]:
    """The orders that should have an open run; not those whose run is still to be started (I1-run)."""
    with engine.connect() as connection:
        return frozenset(connection.execute(_OPEN, {"grace_s": grace_s}).scalars())


def ended_orders(engine: Engine, orders: Collection[str], *, grace_s: float) -> frozenset[str]:
    """Those of the orders that have ended, or never were."""
    with engine.connect() as connection:
        return frozenset(connection.execute(_ENDED, {"orders": list(orders), "grace_s": grace_s}).scalars())
