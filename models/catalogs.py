"""Published catalog versions: each whole, and never changed once it is there."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from domain.asset import AssetStatus
from domain.catalog import Catalog, Kind, Origin, Product
from domain.catalog_document import digest, read, write
from domain.decomposed import Decomposed
from domain.order import FINAL, Order
from domain.publishing import Usage, known_kinds
from sql.connections import autocommit


class Overtaken(Exception):  # noqa: N818 - a surprise: read the newer version, check again, and publish then
    """Another version has been published since the one that this one was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """When and from what a version was published."""

    version: int
    source: str
    digest: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class PostgresCatalogs:
    """The published catalogs, as activities need them."""

    engine: Engine

    def current(self) -> Catalog:
        """The newest version."""
        return current(self.engine)

    def publish(self, products: Iterable[Product], *, after: Catalog, source: str) -> Catalog:
        """Publish products that were checked against ``after``."""
        return publish(self.engine, products, source=source, after=after)


def publish(engine: Engine, products: Iterable[Product], *, source: str, after: Catalog | None = None) -> Catalog:
    """Store the products as the version that follows ``after`` (the newest unless said), with their cross-references.

    The same products again are the same version. :class:`Overtaken` when another one has followed ``after`` already.
    """
    after = after or current(engine)
    listed = tuple(products)
    if after.version and digest(listed) == digest(after):
        return after
    version = Catalog(after.version + 1, {p.code: p for p in listed}, known_kinds(listed, after))
    try:
        with engine.begin() as connection:
            _insert(connection, version, source)
    except IntegrityError:
        raise Overtaken from None
    return version


def current(engine: Engine) -> Catalog:
    """The newest version; an empty version 0 before anything is published."""
    with autocommit(engine) as connection:
        version = connection.execute(_NEWEST).scalar_one()
    return load(engine, version) if version else Catalog(0)


@lru_cache(maxsize=32)
def load(engine: Engine, version: int) -> Catalog:
    """One version, kept in memory once read: it never changes. ``KeyError`` when there is none of that number."""
    with autocommit(engine) as connection:
        document = connection.execute(_DOCUMENT, {"version": version}).scalar_one_or_none()
    if document is None:
        raise KeyError(version)
    products = {entry["code"]: read(entry) for entry in document["products"]}
    return Catalog(version, products, {code: Kind(kind) for code, kind in document["known"].items()})


def decomposed(engine: Engine, order: Order, version: int) -> Decomposed:
    """An order read with the version it pins, and what it changes with the versions that was made from."""
    made = {x.version for x in order.lines if x.version is not None}
    return Decomposed(order, load(engine, version), {x: load(engine, x) for x in made})


def publication(engine: Engine, version: int) -> Publication:
    """When and from what a version was published; ``KeyError`` when there is none of that number."""
    with autocommit(engine) as connection:
        row = connection.execute(_PUBLICATION, {"version": version}).mappings().one_or_none()
    if row is None:
        raise KeyError(version)
    return Publication(**row)


def usages(engine: Engine, product: str) -> Sequence[Usage]:
    """Our open orders and the assets that are not inactive which reference a product (B40, B61, Q9)."""
    parameters = {"product": product, "final": list(FINAL), "inactive": AssetStatus.INACTIVE}
    with autocommit(engine) as connection:
        rows = connection.execute(_USAGES, parameters)
        return tuple(Usage(system="orderloom", kind=row.kind, id=row.id) for row in rows)


def in_use(engine: Engine, products: Collection[str]) -> frozenset[str]:
    """Those of the products that open orders or assets reference."""
    parameters = {"products": list(products), "final": list(FINAL), "inactive": AssetStatus.INACTIVE}
    with autocommit(engine) as connection:
        return frozenset(connection.execute(_IN_USE, parameters).scalars())


def billing_product(engine: Engine, product: str) -> str | None:
    """The billing system's name of a synchronized product; ``None`` for one it does not know (B55)."""
    with autocommit(engine) as connection:
        return connection.execute(_CROSS_REFERENCE, {"product": product}).scalar_one_or_none()


def _insert(connection: Connection, catalog: Catalog, source: str) -> None:
    document = {"products": [write(product) for product in catalog], "known": catalog.known}
    parameters = {"version": catalog.version, "document": json.dumps(document), "digest": digest(catalog)}
    connection.execute(_INSERT, parameters | {"source": source})
    synchronized = [product.code for product in catalog if product.origin is Origin.BILLING_SYNC]
    connection.execute(_CROSS_REFER, {"products": synchronized})


_NEWEST = text("SELECT max(version) FROM orderloom.catalog_versions")
_DOCUMENT = text("SELECT document FROM orderloom.catalog_versions WHERE version = :version")
_PUBLICATION = text("""
    SELECT version, source, digest, published_at FROM orderloom.catalog_versions WHERE version = :version
""")
_INSERT = text("""
    INSERT INTO orderloom.catalog_versions (version, document, digest, source)
    VALUES (:version, CAST(:document AS jsonb), :digest, :source)
""")
_CROSS_REFER = text("""
    INSERT INTO orderloom.catalog_cross_references (product, billing_product)
    SELECT product, product FROM unnest(CAST(:products AS text[])) AS product ON CONFLICT DO NOTHING
""")
_CROSS_REFERENCE = text("""
    SELECT billing_product FROM orderloom.catalog_cross_references WHERE product = :product
""")
_USAGES = text("""
    SELECT DISTINCT 'order' AS kind, CAST(o.id AS text) AS id
      FROM orderloom.order_lines l JOIN orderloom.orders o ON o.id = l.order_id
     WHERE l.product = :product AND o.state <> ALL (CAST(:final AS text[]))
    UNION ALL
    SELECT 'asset', CAST(id AS text) FROM orderloom.assets WHERE product = :product AND status <> :inactive
    ORDER BY kind, id
""")
_IN_USE = text("""
    SELECT l.product FROM orderloom.order_lines l JOIN orderloom.orders o ON o.id = l.order_id
     WHERE l.product = ANY (CAST(:products AS text[])) AND o.state <> ALL (CAST(:final AS text[]))
    UNION
    SELECT product FROM orderloom.assets
     WHERE product = ANY (CAST(:products AS text[])) AND status <> :inactive
""")
