"""Reconciliation's own rows: what our record and our orders say of services, and what came of each comparison."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, text

from domain.asset import Asset, Tree
from domain.catalog import Product
from domain.fallout import Decision, FalloutType
from domain.money import Money
from domain.neighbour import PAGE
from domain.order import FINAL, Action, Order, asset_id
from domain.plan import Function, StepState
from domain.reconciliation import (
    TOO_MANY,
    Comparison,
    Difference,
    DifferenceClass,
    Ordered,
    Reconciled,
    RecordedService,
    as_ordered,
    as_recorded,
    together,
    too_many,
)
from models import assets, catalogs
from models.tables import quoted
from models.work_list import PostgresWorkList
from sql.connections import autocommit

KEPT = timedelta(days=30)
"""How long a comparison is kept: as long as Temporal keeps its run. Differences are kept for good."""

_ORDER = TypeAdapter(Order)
_ASSET = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOWHERE = "00000000-0000-0000-0000-000000000000"
"""Before every asset."""
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('orderloom.reconciliations'))")

_RECORDED = text("""
    SELECT CAST(x.asset AS text) AS service, x.billing_id AS service_instance, a.product, a.account, a.service_account,
           a.billing_account, a.quantity, x.valid_from AS since
      FROM orderloom.cross_references AS x JOIN orderloom.assets AS a ON a.id = x.asset
     WHERE x.kind = 'service_instance' AND x.valid_to IS NULL AND x.asset > CAST(:after AS uuid)
     ORDER BY x.asset LIMIT :limit
""")

# The steps of the orders are gone through once, not once for each service: an order may have thousands of both.
_ORDERED = text(f"""
    WITH asked AS (
        SELECT l.asset, l.order_id, l.id AS line, l.product, l.state = 'completed' AS is_completed
          FROM orderloom.order_lines AS l WHERE l.asset = ANY(CAST(:services AS uuid[]))
    ),
    step AS (
        SELECT p.order_id, line, max(greatest(p.started_at, p.finished_at)) AS changed_at,
               bool_or(p.function IN ('{Function.PROVISION}', '{Function.RELOCATE}') AND p.subject = line
                       AND p.state <> '{StepState.SKIPPED}') AS on_network
          FROM orderloom.plan_items AS p CROSS JOIN unnest(p.lines) AS line
         WHERE p.order_id IN (SELECT order_id FROM asked)
         GROUP BY p.order_id, line
    )
    SELECT DISTINCT ON (asked.asset)
           CAST(asked.asset AS text) AS service, CAST(o.id AS text) AS "order", o.number, o.account, asked.product,
           o.catalog_version, o.state NOT IN ({quoted(FINAL)}) AS is_open,
           COALESCE(bool_or(step.on_network) OVER about, FALSE) AS on_network,
           NOT (bool_or(asked.is_completed) OVER about AND a.id IS NULL) AS leaves_asset,
           max(step.changed_at) OVER about AS changed_at
      FROM asked
      JOIN orderloom.orders AS o ON o.id = asked.order_id
      LEFT JOIN step ON step.order_id = asked.order_id AND step.line = asked.line
      LEFT JOIN orderloom.assets AS a ON a.id = asked.asset
    WINDOW about AS (PARTITION BY asked.asset)
     ORDER BY asked.asset, is_open DESC, o.number DESC
""")  # noqa: S608 - built from constants

_ADDED = text(f"""
    SELECT CAST(o.id AS text) AS "order", o.document, o.catalog_version, l.id AS line
      FROM orderloom.order_lines AS l JOIN orderloom.orders AS o ON o.id = l.order_id
     WHERE l.asset = CAST(:service AS uuid) AND l.action = '{Action.ADD}'
""")  # noqa: S608

_LATER = text("SELECT EXISTS (SELECT FROM orderloom.reconciliations WHERE as_of > :as_of)")

_STORE = text("""
    INSERT INTO orderloom.reconciliations (id, as_of, active, billed, by_class, leakage, complete)
    VALUES (:id, :as_of, :active, :billed, :by_class, :leakage, :complete)
    ON CONFLICT (id) DO UPDATE SET (as_of, finished_at, active, billed, by_class, leakage, complete)
        = (EXCLUDED.as_of, now(), EXCLUDED.active, EXCLUDED.billed, EXCLUDED.by_class, EXCLUDED.leakage,
           EXCLUDED.complete)
""")

_FORGET = text("DELETE FROM orderloom.reconciliations WHERE as_of < :before")

_TOTALS = text("""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:totals AS jsonb)) AS t(
               account text, billing_service_type text, active int, billed int)
    ),
    gone AS (
        DELETE FROM orderloom.reconciliation_totals AS t
         WHERE NOT EXISTS (SELECT FROM given AS g WHERE g.account = t.account
                                                    AND g.billing_service_type = t.billing_service_type)
    )
    INSERT INTO orderloom.reconciliation_totals AS t (account, billing_service_type, active, billed)
    SELECT account, billing_service_type, active, billed FROM given
    ON CONFLICT (account, billing_service_type) DO UPDATE SET (active, billed) = (EXCLUDED.active, EXCLUDED.billed)
     WHERE (t.active, t.billed) <> (EXCLUDED.active, EXCLUDED.billed)
""")

# When not all differences are listed, one that is not listed may stand all the same.
_DIFFERENCES = text("""
    WITH given AS (
        SELECT DISTINCT ON (class, service, value) * FROM jsonb_to_recordset(CAST(:differences AS jsonb)) AS d(
               class text, service text, value text, account text, product text, "order" uuid, message text,
               leakage_minor bigint, currency text)
    ),
    gone AS (
        UPDATE orderloom.differences AS d SET gone_at = :as_of
         WHERE d.gone_at IS NULL AND :complete
           AND NOT EXISTS (SELECT FROM given AS g
                            WHERE (g.class, g.service, g.value) = (d.class, d.service, d.value))
    )
    INSERT INTO orderloom.differences AS d
           (class, service, value, account, product, order_id, message, leakage_minor, currency, found_at)
    SELECT class, service, value, account, product, "order", message, leakage_minor, currency, :as_of FROM given
    ON CONFLICT (class, service, value) WHERE gone_at IS NULL DO UPDATE
       SET (account, product, order_id, message, leakage_minor, currency)
         = (EXCLUDED.account, EXCLUDED.product, EXCLUDED.order_id, EXCLUDED.message, EXCLUDED.leakage_minor,
            EXCLUDED.currency)
     WHERE (d.account, d.product, d.order_id, d.message, d.leakage_minor, d.currency)
           IS DISTINCT FROM (EXCLUDED.account, EXCLUDED.product, EXCLUDED.order_id, EXCLUDED.message,
                             EXCLUDED.leakage_minor, EXCLUDED.currency)
""")

_STANDING = text("""
    SELECT class, service, value, account, product, CAST(order_id AS text) AS "order", message, leakage_minor, currency
      FROM orderloom.differences WHERE gone_at IS NULL AND accepted_at IS NULL
""")


_ACCEPT = text("""
    UPDATE orderloom.differences SET accepted_at = now(), accepted_by = :actor, accepted_reason = :reason
     WHERE gone_at IS NULL AND accepted_at IS NULL AND concat_ws(':', class, service, NULLIF(value, '')) = :subject
    RETURNING id
""")


def accept(work_list: PostgresWorkList, subject: str, *, actor: str, reason: str) -> bool:
    """Let a difference stand: its fallout is closed, and not opened again while it is the same difference.

    False when it does not stand any more, or is accepted already.
    """
    with work_list.engine.begin() as connection:
        connection.execute(_LOCK)
        if connection.execute(_ACCEPT, {"subject": subject, "actor": actor, "reason": reason}).first() is None:
            return False
        work_list.close([subject], reason=reason, actor=actor, decision=Decision.SKIP, on=connection)
    return True


@dataclass(frozen=True)
class PostgresReconciliations:
    """What reconciliation reads and writes of our own; what it finds goes on the ``work_list``."""

    engine: Engine
    work_list: PostgresWorkList

    def recorded(self, *, after: str) -> Sequence[RecordedService]:
        """A page of our services, with the billing object that each one's cross-reference names."""
        with autocommit(self.engine) as connection:
            rows = connection.execute(_RECORDED, {"after": after or _NOWHERE, "limit": PAGE})
            return [RecordedService(**row._mapping) for row in rows]  # noqa: SLF001 - the public name of columns

    def ordered(self, services: Collection[str]) -> Mapping[str, Ordered]:
        """What our orders say of services, by key; those that no order is about are absent. Without prices."""
        ours = [x for x in services if _ASSET.fullmatch(x)]
        if not ours:
            return {}
        with autocommit(self.engine) as connection:
            rows = connection.execute(_ORDERED, {"services": ours}).all()
        return {row.service: self._ordered(row) for row in rows}

    def _ordered(self, row: Row[Any]) -> Ordered:
        product = catalogs.load(self.engine, row.catalog_version)[row.product]
        return Ordered(
            order=row.order,
            number=row.number,
            account=row.account,
            product=row.product,
            is_open=row.is_open,
            on_network=row.on_network,
            leaves_asset=row.leaves_asset,
            changed_at=row.changed_at,
            billing_service_type=product.billing_service_type,
        )

    def price(self, service: str) -> Money | None:
        """What a service's subscriptions cost together for a month by our record; what leaves no asset, as ordered."""
        with autocommit(self.engine) as connection:
            tree = {x.id: x for x in assets.trees(connection, [service])}
            row = connection.execute(_ADDED, {"service": service}).first()
        prices = list(as_recorded(tree, tree[service], self._product)) if service in tree else []
        untracked = self._untracked(row, tree) if row is not None else ()
        return together((*prices, *untracked))

    def _untracked(self, added: Row[Any], tree: Tree) -> Iterator[Money]:
        """What was ordered with a service, and leaves no asset; a revision may have dropped the service."""
        order = _ORDER.validate_python(added.document)
        if (service := order.by_id.get(added.line)) is None:
            return
        decomposed = catalogs.decomposed(self.engine, order, added.catalog_version)
        for line, price in as_ordered(decomposed, service).items():
            if asset_id(added.order, order.by_id[line]) not in tree:
                yield price

    def _product(self, asset: Asset) -> Product:
        return catalogs.load(self.engine, asset.version)[asset.product]

    def store(self, id: str, comparison: Comparison) -> Reconciled:  # noqa: A002
        """Write a comparison down, and bring the work list up to date with the differences that stand (F07).

        Twice is once, and two at the same time come one after the other; one that is older than what is there already
        changes nothing.
        """
        with self.engine.begin() as connection:
            connection.execute(_LOCK)
            if connection.execute(_LATER, {"as_of": comparison.as_of}).scalar_one():
                return _reconciled(comparison, overtaken=True)
            _write(connection, id, comparison)
            standing = [_standing(row) for row in connection.execute(_STANDING)]
            opened, closed = self._tell(standing, comparison)
            return _reconciled(comparison, opened=opened, closed=closed)

    def _tell(self, standing: Sequence[Difference], comparison: Comparison) -> tuple[int, int]:
        """How many fallouts were opened and closed."""
        wanted = {x.subject: x.finding() for x in standing}
        if not comparison.is_complete:
            wanted[TOO_MANY] = too_many(comparison)
        found = self.work_list.found(FalloutType.RECONCILIATION)
        opened = self.work_list.open(x for subject, x in wanted.items() if subject not in found)
        self.work_list.tell_anew(x for subject, x in wanted.items() if subject in found)
        closed = self.work_list.close(found.keys() - wanted.keys(), reason="the difference is gone")
        return len(opened), len(closed)


def _write(connection: Connection, id: str, comparison: Comparison) -> None:  # noqa: A002
    sides = comparison.sides
    summary = {
        "id": id,
        "as_of": comparison.as_of,
        "active": sides.active,
        "billed": sides.billed,
        "by_class": json.dumps(dict(comparison.by_class)),
        "leakage": json.dumps([{"minor": x.minor, "currency": x.currency} for x in comparison.leakage]),
        "complete": comparison.is_complete,
    }
    totals = [
        {"account": account, "billing_service_type": type_, "active": x.active, "billed": x.billed}
        for (account, type_), x in comparison.totals.items()
    ]
    differences = [_row(x) for x in comparison.differences]
    connection.execute(_STORE, summary)
    connection.execute(_FORGET, {"before": comparison.as_of - KEPT})
    connection.execute(_TOTALS, {"totals": json.dumps(totals)})
    connection.execute(_DIFFERENCES, summary | {"differences": json.dumps(differences)})


def _row(difference: Difference) -> dict[str, Any]:
    leaks = difference.leakage
    return {
        "class": difference.of_class,
        "service": difference.service,
        "value": difference.value,
        "account": difference.account,
        "product": difference.product,
        "order": difference.order,
        "message": difference.message,
        "leakage_minor": leaks.minor if leaks else None,
        "currency": leaks.currency if leaks else None,
    }


def _standing(row: Row[Any]) -> Difference:
    return Difference(
        of_class=DifferenceClass(row._mapping["class"]),  # noqa: SLF001 - the public name of columns
        service=row.service,
        value=row.value,
        account=row.account,
        product=row.product,
        order=row.order,
        message=row.message,
        leakage=None if row.currency is None else Money(row.leakage_minor, row.currency),
    )


def _reconciled(comparison: Comparison, **what: Any) -> Reconciled:  # noqa: ANN401
    sides = comparison.sides
    return Reconciled(
        as_of=comparison.as_of, active=sides.active, billed=sides.billed, by_class=comparison.by_class, **what
    )
