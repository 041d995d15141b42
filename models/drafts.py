"""Orders that are being written: kept as they were sent, judged when they are submitted, gone once they are orders."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from domain.order import Order
from models.submissions import ACTOR, ORDER, Clash, Key, clash, remember
from models.views import Listed, Ordering, Page, listed
from sql.connections import autocommit


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An order that is being written, under the id that it will have; ``version`` counts how often it was saved."""

    id: str
    order: Order
    version: int


_AUDITED = "INSERT INTO orderloom.audit (actor, action, object, decision) SELECT :actor, :action, :id, 'accepted'"
_SAVE = text(f"""
    WITH saved AS (
        INSERT INTO orderloom.drafts (id, account, document)
        VALUES (CAST(:id AS uuid), :account, CAST(:document AS jsonb))
    )
    {_AUDITED}
""")  # noqa: S608 - built from constants of this module
_CHANGE = text("""
    UPDATE orderloom.drafts SET account = :account, document = CAST(:document AS jsonb), version = version + 1
     WHERE id = CAST(:id AS uuid)
""")
_TAKE = text("""
    DELETE FROM orderloom.drafts WHERE id = CAST(:id AS uuid) RETURNING CAST(id AS text) AS id, document, version
""")
_DISCARD = text(f"""
    WITH gone AS (DELETE FROM orderloom.drafts WHERE id = CAST(:id AS uuid) RETURNING id),
    audited AS ({_AUDITED} FROM gone)
    SELECT count(*) FROM gone
""")  # noqa: S608
_READ = """
    SELECT CAST(id AS text) AS id, document, version FROM orderloom.drafts WHERE id = CAST(:id AS uuid)
"""
_DRAFTS = """
    SELECT {columns} FROM orderloom.drafts AS d
     WHERE (CAST(:account AS text) IS NULL OR d.account = :account)
       AND (CAST(:product AS text) IS NULL OR EXISTS (
            SELECT FROM jsonb_array_elements(d.document -> 'lines') AS l WHERE l ->> 'product' = :product))
"""
_COLUMNS = "CAST(d.id AS text) AS id, d.document, d.version, d.drafted_at"


def save(engine: Engine, draft: Draft, *, key: Key | None, location: str, answer: Mapping[str, Any]) -> Clash | None:
    """Store a new draft, and the answer to remember; not, when the key was used meanwhile."""
    try:
        with engine.begin() as connection:
            _audited(connection, _SAVE, draft.id, "draft.save", _stored(draft.order))
            if key:
                remember(connection, key, status=201, location=location, answer=answer)
    except IntegrityError as error:
        return clash(error, among=(Clash.KEY,))
    return None


def change(engine: Engine, draft_id: str, changed: Callable[[Draft], Order]) -> Draft | None:
    """Store what ``changed`` makes of a draft; ``None`` when there is no such draft."""
    with engine.begin() as connection:
        row = connection.execute(text(f"{_READ} FOR UPDATE"), {"id": draft_id}).first()
        if row is None:
            return None
        draft = as_draft(row._asdict())
        order = changed(draft)
        connection.execute(_CHANGE, {"id": draft_id, **_stored(order)})
    return Draft(id=draft_id, order=order, version=draft.version + 1)


def read(engine: Engine, draft_id: str) -> Draft | None:
    """A draft as it stands."""
    with autocommit(engine) as connection:
        row = connection.execute(text(_READ), {"id": draft_id}).first()
    return as_draft(row._asdict()) if row else None


def take(connection: Connection, draft_id: str) -> Draft | None:
    """Take a draft away, to become an order in the same transaction; nobody else has it, or changes it, meanwhile."""
    row = connection.execute(_TAKE, {"id": draft_id}).first()
    return as_draft(row._asdict()) if row else None


def discard(engine: Engine, draft_id: str) -> bool:
    """Forget a draft; whether there was one."""
    with autocommit(engine) as connection:
        return bool(_audited(connection, _DISCARD, draft_id, "draft.discard", {}).scalar())


def of(engine: Engine, page: Page, *, account: str | None, product: str | None) -> Listed:
    """Drafts, newest first, each as ``id``, ``document``, ``version`` and ``drafted_at``."""
    filters = {"account": account, "product": product}
    return listed(engine, _DRAFTS, page, columns=_COLUMNS, order=Ordering("d.drafted_at", "d.id"), filters=filters)


def _audited(connection: Connection, statement: Any, draft_id: str, action: str, given: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return connection.execute(statement, {"id": draft_id, "actor": ACTOR, "action": action, **given})


def _stored(order: Order) -> dict[str, str]:
    return {"account": order.account, "document": ORDER.dump_json(order, exclude_none=True).decode()}


def as_draft(row: Mapping[str, Any]) -> Draft:
    """A draft from a row of ``id``, ``document`` and ``version``."""
    return Draft(id=row["id"], order=ORDER.validate_python(row["document"]), version=row["version"])
