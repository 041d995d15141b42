"""What a run has written down, when two things are written at the same moment."""

import threading

import pytest
from sqlalchemy import text

from domain.progress import Judgment, OrderRef
from models.records import PostgresRecords
from tests.models.conftest import Books


@pytest.mark.req("B57")
def test_a_revision_refused_while_the_last_step_ends_the_order_is_no_event_after_the_end(books: Books):
    stored = books.submit()
    books.change(
        """
        INSERT INTO orderloom.order_revisions (order_id, revision, document, corrections_included, force, actor, reason)
        VALUES (:o, 1, '{}', 0, FALSE, 'ann', 'changed their mind')
        """,
        o=stored.id,
    )
    late = Judgment(ref=OrderRef(order=stored.id, revision=0), revision=1, code="NO_RETURN", step="provision:1")
    judging = threading.Thread(target=PostgresRecords(books.engine).judge, args=(late,))
    with books.engine.begin() as ending:
        ending.execute(
            text("""
                WITH ended AS (UPDATE orderloom.orders SET state = 'completed', last_seq = 2, completed_at = now()
                                WHERE id = :o)
                INSERT INTO orderloom.order_events (order_id, seq, type, body) VALUES (:o, 2, 'completed', '{}')
            """),
            {"o": stored.id},
        )
        judging.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while judging.is_alive() and books.rows(waits) == [{"count": 0}]:
            judging.join(0.02)
    judging.join()

    assert [x["type"] for x in books.rows("SELECT type FROM orderloom.order_events ORDER BY seq")] == [
        "acknowledged",
        "completed",
    ]
    assert books.rows("SELECT state, code FROM orderloom.order_revisions") == [
        {"state": "refused", "code": "NO_RETURN"}
    ]


@pytest.mark.req("B57")
def test_a_revision_that_is_accepted_after_its_order_ended_is_refused_instead(books: Books):
    stored = books.submit()
    books.change(
        """
        INSERT INTO orderloom.order_revisions (order_id, revision, document, corrections_included, force, actor, reason)
        VALUES (:o, 1, '{}', 0, FALSE, 'ann', 'changed their mind')
        """,
        o=stored.id,
    )
    books.change("UPDATE orderloom.orders SET state = 'completed', completed_at = now() WHERE id = :o", o=stored.id)
    judgment = Judgment(ref=OrderRef(order=stored.id, revision=0), revision=1)

    assert [PostgresRecords(books.engine).judge(judgment) for _ in range(2)] == ["NOT_OPEN", "NOT_OPEN"]

    assert books.rows("SELECT state, code FROM orderloom.order_revisions") == [{"state": "refused", "code": "NOT_OPEN"}]
    assert books.rows("SELECT decision FROM orderloom.audit WHERE action = 'order.revise'") == [{"decision": "refused"}]


def test_when_a_step_was_sent_is_told_by_the_clock_that_tells_when_it_was_done(books: Books):
    stored = books.submit()
    books.change(
        """
        INSERT INTO orderloom.plan_items
               (order_id, id, position, function, system, subject, root, lines, depends_on, no_return)
        VALUES (:o, 'provision:1', 0, 'provision', 'provisioning', '1', '1', '{1}', '{}', TRUE)
        """,
        o=stored.id,
    )

    PostgresRecords(books.engine).sent(stored.id, steps=["provision:1"])

    (step,) = books.rows("SELECT state, now() - started_at < interval '10 seconds' AS is_now FROM orderloom.plan_items")
    assert step == {"state": "inProgress", "is_now": True}
