"""What is installed: whole trees of assets, what is open on them, and who may change them now (I20)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row

from domain.asset import Asset
from domain.change import due
from domain.facts import Pending
from domain.order import FINAL, Order, State
from models.tables import quoted
from sql.connections import autocommit
from sql.prepared import Prepared

_ORDER = TypeAdapter(Order)
_ASSET = TypeAdapter(Asset)

_ROOTS = """
    roots AS MATERIALIZED (
        SELECT DISTINCT a.root
          FROM unnest(CAST(CAST(:assets AS text[]) AS uuid[])) AS given (id)
         CROSS JOIN LATERAL (SELECT root FROM orderloom.assets WHERE id = given.id OFFSET 0) AS a)
"""
"""Each found by its key, and so is what they are the roots of: ``OFFSET 0`` keeps PostgreSQL from reading whole tables
instead, which looks cheaper as long as they are small."""
_LOCK = Prepared(f"""
    WITH {_ROOTS}
    SELECT FROM (SELECT root FROM roots ORDER BY root) AS roots
     CROSS JOIN LATERAL (SELECT FROM orderloom.assets WHERE id = roots.root FOR NO KEY UPDATE) AS locked
""")  # noqa: S608
_COLUMNS = """
    CAST(id AS text) AS id, product, catalog_version AS version, account, status, CAST(root AS text) AS root,
    CAST(parent AS text) AS parent, service_account, billing_account, billing_profile, service_id,
    service_point, quantity, attributes, price, promotion_ref, numbers, service_start, service_end,
    CAST(created_by_order AS text) AS created_by
"""
_TREES = Prepared(f"""
    WITH {_ROOTS}
    SELECT {_COLUMNS}
      FROM (SELECT a.* FROM roots CROSS JOIN LATERAL (
                   SELECT * FROM orderloom.assets WHERE root = roots.root OFFSET 0) AS a) AS assets
     ORDER BY created_by_order, created_by_line
""")  # noqa: S608
_ONE = Prepared(f"SELECT {_COLUMNS} FROM orderloom.assets WHERE id = CAST(:asset AS uuid)")  # noqa: S608
_PENDING = Prepared(f"""
    WITH {_ROOTS},
    touched AS MATERIALIZED (
        SELECT l.order_id, array_agg(DISTINCT l.root) AS bundles
          FROM roots CROSS JOIN LATERAL (SELECT id FROM orderloom.assets WHERE root = roots.root OFFSET 0) AS a
         CROSS JOIN LATERAL (SELECT order_id, root FROM orderloom.order_lines WHERE asset = a.id OFFSET 0) AS l
         GROUP BY l.order_id)
    SELECT CAST(o.id AS text) AS id, o.number, o.catalog_version, o.submitted_at, o.document, l.roots
      FROM touched
     CROSS JOIN LATERAL (SELECT * FROM orderloom.orders WHERE id = touched.order_id OFFSET 0) AS o
     CROSS JOIN LATERAL (
           SELECT array_agg(DISTINCT root) AS roots FROM orderloom.order_lines
            WHERE order_id = o.id AND root = ANY(touched.bundles)
              AND action <> 'none' AND state NOT IN ({quoted(FINAL)})) AS l
     WHERE o.completed_at IS NULL AND o.state <> '{State.DRAFT}' AND l.roots IS NOT NULL
     ORDER BY o.number
""")  # noqa: S608
_HOLDER = Prepared("""
    SELECT o.number FROM orderloom.asset_claims AS c JOIN orderloom.orders AS o ON o.id = c.order_id
     WHERE c.asset = CAST(:asset AS uuid) AND (c.order_id <> CAST(:order AS uuid) OR c.root <> :root)
""")
_CLAIM = Prepared("""
    INSERT INTO orderloom.asset_claims (asset, order_id, root)
    VALUES (CAST(:asset AS uuid), CAST(:order AS uuid), :root) ON CONFLICT (asset) DO NOTHING
""")
_UNCLAIM = Prepared("""
    DELETE FROM orderloom.asset_claims WHERE order_id = CAST(:order AS uuid) AND root = :root
""")


def lock(connection: Connection, assets: Collection[str]) -> None:
    """Until the transaction ends nobody else decides about the trees of these assets."""
    _LOCK.on(connection, assets=[*assets])


@contextmanager
def deciding(engine: Engine, assets: Collection[str]) -> Iterator[Connection]:
    """A connection on which to decide about the trees of these assets: nobody else does until the block ends.

    What is written in it is one transaction; where there are no assets, each statement is one.
    """
    with autocommit(engine) as connection:
        if assets:
            _LOCK.first_on(connection, assets=[*assets])
        yield connection
        if assets:
            connection.exec_driver_sql("COMMIT")


def trees(connection: Connection, assets: Collection[str]) -> Sequence[Asset]:
    """The whole trees of these assets, parents before what is below them."""
    return [_read(row) for row in _TREES.on(connection, assets=[*assets])]


def one(engine: Engine, asset: str) -> Asset | None:
    """One asset as it stands."""
    with autocommit(engine) as connection:
        return next((_read(row) for row in _ONE.on(connection, asset=asset)), None)


def _read(row: Row[Any]) -> Asset:
    return _ASSET.validate_python(row._asdict())


def pending(connection: Connection, assets: Collection[str], *, but_of: str | None = None) -> tuple[Pending, ...]:
    """What open orders ask of the trees of these assets, but for one order's own wishes; what is due first is first."""
    rows = (row for row in _PENDING.on(connection, assets=[*assets]) if row.id != but_of)
    return tuple(sorted((x for row in rows for x in _bundles(row)), key=lambda x: (x.due, x.number)))


def _bundles(row: Row[Any]) -> Iterable[Pending]:
    order = _ORDER.validate_python(row.document)
    for root in (x for x in order.bundles if x in row.roots):
        yield Pending(
            order=row.id,
            number=row.number,
            version=row.catalog_version,
            due=due(order, root, arrived=row.submitted_at),
            lines=order.bundles[root],
        )


def holder(connection: Connection, asset: str, *, order: str, root: str) -> int | None:
    """The number of the order that is changing the tree of a root asset now, unless it is this bundle."""
    number: int | None = _HOLDER.on(connection, asset=asset, order=order, root=root).scalar()
    return number


def claim(connection: Connection, asset: str, *, order: str, root: str) -> None:
    """Let this bundle change the tree of a root asset, and no other."""
    _CLAIM.on(connection, asset=asset, order=order, root=root)


def unclaim(connection: Connection, *, order: str, root: str) -> None:
    """Let others change what this bundle has claimed."""
    _UNCLAIM.on(connection, order=order, root=root)


def next_on(connection: Connection, assets: Collection[str], *, order: str, now: datetime) -> str | None:
    """The order that waits for the trees of these assets and comes next, if its time has come."""
    return next((x.order for x in pending(connection, assets, but_of=order) if x.due <= now), None)
