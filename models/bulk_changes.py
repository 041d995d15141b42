"""One request that changes many assets: each becomes an order of its own, and none waits for another."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from domain.asset import IN_PROFILE
from domain.order import State
from models.submissions import ACTOR, Clash, Key, clash, remember
from models.tables import quoted
from models.views import BELOW, Found, Listed, Ordering, Page, first, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSelection:
    """Which assets of service profiles; ``None``: it does not matter. Without a product those that are in no other."""

    ids: Collection[str] | None = None
    account: str | None = None
    product: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One asset of a bulk change, with what is asked of each."""

    bulk: str
    asset: str
    change: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an item: an order, or why there is none."""

    order: str | None = None
    refusal: str | None = None


_SELECTED = f"""
    SELECT a.id, row_number() OVER (ORDER BY array_position(CAST(:ids AS text[]), CAST(a.id AS text)),
                                             a.service_start, a.id) AS position
      FROM orderloom.assets AS a
     WHERE (CAST(:ids AS text[]) IS NULL OR a.id = ANY(CAST(CAST(:ids AS text[]) AS uuid[])))
       AND (CAST(:ids AS text[]) IS NOT NULL OR a.status IN ({quoted(IN_PROFILE)}))
       AND (CAST(:status AS text) IS NULL OR a.status = :status)
       AND (CAST(:product AS text) IS NULL OR a.product = :product)
       AND (CAST(:product AS text) IS NOT NULL OR CAST(:ids AS text[]) IS NOT NULL OR a.parent IS NULL)
       AND (CAST(:account AS text) IS NULL
            OR a.account IN (SELECT id FROM below) OR a.service_account IN (SELECT id FROM below))
     LIMIT :limit
"""  # noqa: S608 - built from constants
_SUBMIT = text(f"""
    {BELOW},
    selected AS ({_SELECTED}),
    bulk AS (
        INSERT INTO orderloom.bulk_changes (id, change, document)
        VALUES (CAST(:id AS uuid), :change, CAST(:document AS jsonb))
    ),
    items AS (
        INSERT INTO orderloom.bulk_change_items (bulk_change, asset, position)
        SELECT CAST(:id AS uuid), id, position FROM selected
    ),
    audited AS (
        INSERT INTO orderloom.audit (actor, action, object, decision, body)
        VALUES (:actor, 'assets.change', :id, 'accepted', CAST(:document AS jsonb))
    )
    SELECT count(*) FROM selected
""")  # noqa: S608
_WAITING = "i.order_id IS NULL AND i.refusal IS NULL"
_UNDER_WAY = quoted((State.ACKNOWLEDGED, State.IN_PROGRESS))
"""Neither held nor pending: what waits for a person or for its day holds no other up."""
_TAKE = text(f"""
    SELECT CAST(b.id AS text) AS bulk, CAST(i.asset AS text) AS asset, b.change, b.document
      FROM orderloom.bulk_changes AS b
     CROSS JOIN LATERAL (
           SELECT count(*) AS orders
             FROM orderloom.bulk_change_items AS j JOIN orderloom.orders AS o ON o.id = j.order_id
            WHERE j.bulk_change = b.id AND o.state IN ({_UNDER_WAY})) AS going
     CROSS JOIN LATERAL (
           SELECT i.asset, i.position FROM orderloom.bulk_change_items AS i
            WHERE i.bulk_change = b.id AND {_WAITING}
            ORDER BY i.position LIMIT GREATEST(0, LEAST(:limit, :under_way - going.orders))
              FOR UPDATE SKIP LOCKED) AS i
     WHERE b.id IN (SELECT i.bulk_change FROM orderloom.bulk_change_items AS i WHERE {_WAITING})
     ORDER BY i.position LIMIT :limit
""")  # noqa: S608
_BECAME = text("""
    UPDATE orderloom.bulk_change_items SET order_id = CAST(:order AS uuid), refusal = :refusal
     WHERE bulk_change = CAST(:bulk AS uuid) AND asset = CAST(:asset AS uuid)
""")
_READ = text(f"""
    SELECT CAST(b.id AS text) AS id, b.change, b.submitted_at, count(*) AS total,
           count(*) FILTER (WHERE {_WAITING}) AS waiting,
           count(*) FILTER (WHERE i.refusal IS NOT NULL) AS refused,
           (SELECT json_object_agg(s.state, s.orders)
              FROM (SELECT o.state, count(*) AS orders
                      FROM orderloom.bulk_change_items AS j JOIN orderloom.orders AS o ON o.id = j.order_id
                     WHERE j.bulk_change = b.id GROUP BY o.state) AS s) AS orders
      FROM orderloom.bulk_changes AS b LEFT JOIN orderloom.bulk_change_items AS i ON i.bulk_change = b.id
     WHERE b.id = CAST(:id AS uuid) GROUP BY b.id
""")  # noqa: S608
_ITEMS = """
    SELECT {columns}
      FROM orderloom.bulk_change_items AS i JOIN orderloom.bulk_changes AS b ON b.id = i.bulk_change
      LEFT JOIN orderloom.orders AS o ON o.id = i.order_id
     WHERE i.bulk_change = CAST(:bulk AS uuid)
       AND (CAST(:state AS text) IS NULL
            OR CASE WHEN i.refusal IS NOT NULL THEN 'refused' ELSE COALESCE(o.state, 'waiting') END = :state)
"""
_COLUMNS = """
    CAST(i.asset AS text) AS id, CAST(i.order_id AS text) AS "order", o.number, i.refusal, b.submitted_at,
    CASE WHEN i.refusal IS NOT NULL THEN 'refused' ELSE COALESCE(o.state, 'waiting') END AS state
"""


class NoneOrTooMany(Exception):  # noqa: N818 - an answer
    """A selection has no asset, or more than may be changed at once: ``found`` so many, at least."""

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found


def submit(
    engine: Engine,
    bulk: str,
    selection: AssetSelection,
    *,
    change: str,
    document: Mapping[str, Any],
    at_most: int,
    key: Key | None,
    location: str,
) -> Clash | None:
    """Store what is asked of which assets: from then on each is asked. :class:`NoneOrTooMany`: nothing is stored."""
    given = {
        "id": bulk,
        "change": change,
        "document": json.dumps(document),
        "actor": ACTOR,
        "limit": at_most + 1,
        "ids": None if selection.ids is None else [*selection.ids],
        "account": selection.account,
        "product": selection.product,
        "status": selection.status,
    }
    try:
        with engine.begin() as connection:
            found = int(connection.execute(_SUBMIT, given).scalar_one())
            if not 0 < found <= at_most:
                raise NoneOrTooMany(found)
            if key:
                remember(connection, key, status=202, location=location, answer={"id": bulk})
    except IntegrityError as error:
        return clash(error, among=(Clash.KEY,))
    return None


def carry(engine: Engine, ask: Callable[[Item], Outcome], *, limit: int, under_way: int) -> int:
    """Ask the next items that wait, and write down what became of each; how many there were.

    None of a bulk change of which ``under_way`` orders are under way already, as far as is known.
    Nobody else is given them meanwhile. Whoever dies over them leaves them waiting: asking twice is asking once.
    """
    with engine.begin() as connection:
        items = [Item(**row._asdict()) for row in connection.execute(_TAKE, {"limit": limit, "under_way": under_way})]
        for item in items:
            became = ask(item)
            given = {"bulk": item.bulk, "asset": item.asset, "order": became.order, "refusal": became.refusal}
            connection.execute(_BECAME, given)
    return len(items)


def read(engine: Engine, bulk: str) -> Found | None:
    """How far a bulk change is: how many assets wait, were refused, and the orders of the others by state."""
    return first(engine, _READ, {"id": bulk})


def items(engine: Engine, bulk: str, page: Page, *, state: str | None) -> Listed:
    """Its assets, each with its order or why there is none."""
    filters = {"bulk": bulk, "state": state}
    return listed(engine, _ITEMS, page, columns=_COLUMNS, order=Ordering("b.submitted_at", "i.asset"), filters=filters)
