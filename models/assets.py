"""What is installed: whole trees of assets, what is open on them, and who may change them now (I20)."""

from collections.abc import Collection, Iterable, Sequence
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

_ROOTS = "ARRAY(SELECT root FROM orderloom.assets WHERE id = ANY(CAST(CAST(:assets AS text[]) AS uuid[])))"
"""Found first, so that what they are the roots of is found by key."""
_IN_TREES = f"ARRAY(SELECT id FROM orderloom.assets WHERE root = ANY({_ROOTS}))"  # noqa: S608 - built from constants
_LOCK = Prepared(f"""
    SELECT FROM orderloom.assets WHERE id = ANY({_ROOTS}) ORDER BY id FOR NO KEY UPDATE
""")
_ASSETS = """
    SELECT CAST(id AS text) AS id, product, catalog_version AS version, account, status, CAST(root AS text) AS root,
           CAST(parent AS text) AS parent, service_account, billing_account, billing_profile, service_id,
           service_point, quantity, attributes, price, promotion_ref, numbers, service_start, service_end,
           CAST(created_by_order AS text) AS created_by
      FROM orderloom.assets
"""
_TREES = Prepared(f"{_ASSETS} WHERE root = ANY({_ROOTS}) ORDER BY created_by_order, created_by_line")
_ONE = Prepared(f"{_ASSETS} WHERE id = CAST(:asset AS uuid)")
_PENDING = Prepared(f"""
    SELECT CAST(o.id AS text) AS id, o.number, o.catalog_version, o.submitted_at, o.document, b.roots
      FROM (SELECT DISTINCT l.order_id FROM orderloom.order_lines AS l
             WHERE l.asset = ANY({_IN_TREES})) AS a
      JOIN orderloom.orders AS o ON o.id = a.order_id
     CROSS JOIN LATERAL (
           SELECT array_agg(DISTINCT l.root) AS roots FROM orderloom.order_lines AS l
            WHERE l.order_id = o.id AND l.action <> 'none' AND l.state NOT IN ({quoted(FINAL)})
              AND EXISTS (SELECT FROM orderloom.order_lines AS m
                           WHERE m.order_id = l.order_id AND m.root = l.root
                             AND m.asset = ANY({_IN_TREES}))) AS b
     WHERE o.completed_at IS NULL AND o.state <> '{State.DRAFT}' AND b.roots IS NOT NULL
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
