"""What our own tables forbid, whatever the programs do (reliability.md 3, the column C)."""

from typing import Any

import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation, UniqueViolation
from sqlalchemy.exc import IntegrityError, InternalError

from tests.models.conftest import Books

ENDED = "UPDATE orderloom.orders SET state = 'completed', completed_at = now()"
LINES_ENDED = "UPDATE orderloom.order_lines SET state = 'failed'"
KEY = "INSERT INTO orderloom.idempotency_keys (route, key, fingerprint) VALUES ('POST /v1/orders', 'k', 'f')"
EVENT = (
    "INSERT INTO orderloom.order_events (order_id, seq, type, body) SELECT id, 1, 'again', '{}' FROM orderloom.orders"
)
ASSET = """
    INSERT INTO orderloom.assets (id, product, catalog_version, root, account, service_account, billing_account,
                                  billing_profile, quantity, attributes, status, service_start, created_by_order,
                                  created_by_line)
    SELECT gen_random_uuid(), 'WIRELESS', catalog_version, gen_random_uuid(), 'ACME', 'ACME', 'ACME', 'ACME-BP', 1,
           '{{}}', 'active', now(), id, '{line}'
      FROM orderloom.orders
"""
FALLOUT = """
    INSERT INTO orderloom.fallouts (id, subject, type, code, message, priority, due_at{columns})
    VALUES (gen_random_uuid(), 's', 'System', 'C', 'm', 1, now(){values})
"""
OPEN = FALLOUT.format(columns="", values="")
DIFFERENCE = """
    INSERT INTO orderloom.differences (class, service, value, account, message, found_at)
    VALUES ('QTY_MISMATCH', 's', '1', 'A', 'm', now())
"""

FORBIDDEN = {
    "a state after the end of an order": ([ENDED], "UPDATE orderloom.orders SET state = 'held'", CheckViolation),
    "a state after the end of a line": (
        [LINES_ENDED],
        "UPDATE orderloom.order_lines SET state = 'inProgress'",
        CheckViolation,
    ),
    "an end without its date": ([], "UPDATE orderloom.orders SET state = 'completed'", CheckViolation),
    "a date without its end": ([], "UPDATE orderloom.orders SET completed_at = now()", CheckViolation),
    "an event that is changed": ([], "UPDATE orderloom.order_events SET type = 'x'", CheckViolation),
    "an event that is deleted": ([], "DELETE FROM orderloom.order_events", CheckViolation),
    "an event with the number of another": ([], EVENT, UniqueViolation),
    "an audit that is changed": ([], "UPDATE orderloom.audit SET actor = 'x'", CheckViolation),
    "an audit that is deleted": ([], "DELETE FROM orderloom.audit", CheckViolation),
    "an order that is nobody's": ([], "UPDATE orderloom.orders SET account = 'NOBODY'", ForeignKeyViolation),
    "a state that there is none of": ([], "UPDATE orderloom.orders SET state = 'lost'", CheckViolation),
    "a key for two orders": ([KEY], KEY, UniqueViolation),
    "two assets of one line": ([ASSET.format(line="1")], ASSET.format(line="1"), UniqueViolation),
    "an asset of no line": ([], ASSET.format(line="9"), ForeignKeyViolation),
    "two open fallouts about the same": ([OPEN], OPEN, UniqueViolation),
    "a closed fallout that was never closed": (
        [],
        FALLOUT.format(columns=", state", values=", 'closed'"),
        CheckViolation,
    ),
    "a difference that stands twice": ([DIFFERENCE], DIFFERENCE, UniqueViolation),
}


@pytest.mark.req("F07", "W1")
@pytest.mark.parametrize(("allowed", "forbidden", "error"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_must_never_be_cannot_be_stored(
    books: Books, allowed: list[str], forbidden: str, error: type[Exception]
) -> None:
    books.submit()
    with books.engine.connect() as connection:
        for statement in allowed:
            connection.exec_driver_sql(statement)
        with pytest.raises((IntegrityError, InternalError)) as refused:
            connection.exec_driver_sql(forbidden)
    assert isinstance(refused.value.orig, error)


def test_what_is_final_may_be_written_again_as_it_is(books: Books) -> None:
    order = books.submit()
    books.change(f"{ENDED} WHERE id = :o", o=order.id)
    books.change("UPDATE orderloom.orders SET state = state, reason = 'known' WHERE id = :o", o=order.id)
    found: list[dict[str, Any]] = books.rows("SELECT reason FROM orderloom.orders")
    assert found == [{"reason": "known"}]
