"""What a run has written down, when two things are written at the same moment."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from domain.fallout import TYPE, Decision
from domain.in_flight import InFlight
from domain.installation import Installation
from domain.order import State
from domain.plan import System
from domain.progress import Assessment, Cancellation, Closing, Done, Fallout, Judgment, Late, OrderRef, Resolution
from models.records import PostgresRecords
from tests.models.conftest import Books

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def begin_to_wait(doing: threading.Thread, books: Books) -> None:
    """Let it begin, until it waits for a lock that is held, or has ended."""
    doing.start()
    while doing.is_alive() and books.rows(WAITING) == [{"count": 0}]:
        doing.join(0.02)


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
        begin_to_wait(judging, books)
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


def planned(books: Books) -> InFlight:
    """An order of which two steps are under way."""
    stored = books.submit()
    books.change(
        """
        INSERT INTO orderloom.plan_items
               (order_id, id, position, function, system, subject, root, lines, depends_on, no_return, state,
                started_at)
        VALUES (:o, 'reserve:1', 0, 'reserve', 'inventory', '1', '1', '{1.4}', '{}', FALSE, 'inProgress', now()),
               (:o, 'initiate_billing:1', 1, 'initiate_billing', 'billing', '1', '1', '{1}', '{reserve:1}', FALSE,
                'inProgress', now())
        """,
        o=stored.id,
    )
    return PostgresRecords(books.engine).load(OrderRef(order=stored.id, revision=0))


def both(order: InFlight) -> list[Done]:
    steps = (("reserve:1", f"{order.id}:1:reserve:0"), ("initiate_billing:1", f"{order.id}:1:initiate_billing:0"))
    return [Done(step=step, key=key, at=order.arrived) for step, key in steps]


def asked(order: InFlight) -> Fallout:
    ref = OrderRef(order=order.id, revision=0)
    return Fallout(
        id="1-1", ref=ref, account="ACME", step="reserve:1", lines=("1.4",), type=TYPE[System.INVENTORY],
        code="TIMEOUT", message="no answer", in_doubt=True,
    )  # fmt: skip


def steps(books: Books) -> dict[str, str]:
    return {x["id"]: x["state"] for x in books.rows("SELECT id, state FROM orderloom.plan_items")}


@pytest.mark.req("W5")
def test_what_an_attempt_has_done_that_was_given_up_is_not_written_down_once_a_person_is_asked(books: Books):
    """Not even when both happen at the same moment: nor the steps after the one that the person is asked about."""
    order, records = planned(books), PostgresRecords(books.engine)
    late = threading.Thread(target=records.done, args=(order, both(order)))
    with books.engine.begin() as asking:
        asking.execute(text("UPDATE orderloom.plan_items SET state = 'held' WHERE id = 'reserve:1'"))
        begin_to_wait(late, books)
        assert late.is_alive()
    late.join()

    assert steps(books) == {"reserve:1": "held", "initiate_billing:1": "inProgress"}
    assert books.rows("SELECT FROM orderloom.order_events WHERE type = 'step_done'") == []


@pytest.mark.req("W5")
def test_a_person_is_not_asked_about_what_is_done(books: Books):
    order, records = planned(books), PostgresRecords(books.engine)
    records.done(order, both(order))

    late = records.open_fallout(asked(order), priority=3, due=timedelta(hours=1), lines={"1.4": State.HELD})

    assert late == Late(at=order.arrived, order_state=None)
    assert books.rows("SELECT FROM orderloom.fallouts") == []
    assert steps(books) == {"reserve:1": "done", "initiate_billing:1": "done"}


@pytest.mark.req("W5")
def test_a_question_is_withdrawn_by_who_knew_of_it_and_tried_all_the_same(books: Books):
    order, records = planned(books), PostgresRecords(books.engine)
    assert records.open_fallout(asked(order), priority=3, due=timedelta(hours=1), lines={}) is None
    records.done(order, both(order))
    assert steps(books)["reserve:1"] == "held"

    records.done(order, both(order), asked=True)

    assert steps(books) == {"reserve:1": "done", "initiate_billing:1": "done"}
    assert books.rows("SELECT state, actor FROM orderloom.fallouts") == [{"state": "cancelled", "actor": "system"}]


@pytest.mark.req("W5")
def test_a_line_that_has_ended_meanwhile_is_neither_held_nor_taken_up_again(books: Books):
    order, records = planned(books), PostgresRecords(books.engine)
    books.change("UPDATE orderloom.order_lines SET state = 'completed' WHERE order_id = :o AND id = '1.4'", o=order.id)
    now = "SELECT state FROM orderloom.order_lines WHERE id = '1.4'"

    records.open_fallout(asked(order), priority=3, due=timedelta(hours=1), lines={"1.4": State.HELD})
    assert books.rows(now) == [{"state": "completed"}]

    retry = Resolution(fallout="1-1", decision=Decision.RETRY, actor="ann", reason="test")
    records.close_fallout(
        Closing(ref=OrderRef(order=order.id, revision=0), resolution=retry, step="reserve:1"),
        lines={"1.4": State.IN_PROGRESS},
    )
    assert books.rows(now) == [{"state": "completed"}]
    assert books.rows("SELECT state FROM orderloom.fallouts") == [{"state": "closed"}]


@pytest.mark.req("W5")
def test_a_decision_about_an_order_that_is_cancelled_meanwhile_takes_up_no_line_again(books: Books):
    order, records = planned(books), PostgresRecords(books.engine)
    ref = OrderRef(order=order.id, revision=0)
    records.open_fallout(asked(order), priority=3, due=timedelta(hours=1), lines={"1": State.HELD})
    wish = Cancellation(actor="ann", reason="changed their mind")

    records.assess(Assessment(ref=ref, request="1-1", cancellation=wish))
    retry = Resolution(fallout="1-1", decision=Decision.RETRY, actor="bob", reason="test")
    records.close_fallout(Closing(ref=ref, resolution=retry, step="reserve:1"), lines={"1": State.IN_PROGRESS})

    assert {x["state"] for x in books.rows("SELECT state FROM orderloom.order_lines")} == {"pendingCancellation"}


def ends_alone(records: PostgresRecords, order: InFlight) -> None:
    *first, last = both(order)
    records.done(order, [*first, replace(last, installation=Installation(root="1", assets=(), delivered={}))])


def decided(records: PostgresRecords, order: InFlight) -> None:
    records.open_fallout(asked(order), priority=3, due=timedelta(hours=1), lines={})
    retry = Resolution(fallout="1-1", decision=Decision.RETRY, actor="ann", reason="test")
    ref = OrderRef(order=order.id, revision=0)
    records.close_fallout(Closing(ref=ref, resolution=retry, step="reserve:1"), lines={})


@pytest.mark.parametrize(
    "deed",
    [
        lambda records, order: records.done(order, both(order)),
        ends_alone,
        lambda records, order: ends_alone(records, replace(order, revision=1)),
        lambda records, order: records.end_root(order.id, "1", State.FAILED),
        decided,
    ],
    ids=["steps are done", "its only bundle ends", "a bundle ends", "a bundle is given up", "somebody decides"],
)
def test_who_changes_steps_and_their_order_waits_for_the_steps_without_the_order_and_so_in_no_circle(
    books: Books, deed: Callable[[PostgresRecords, InFlight], object]
):
    order = planned(books)
    doing = threading.Thread(target=deed, args=(PostgresRecords(books.engine), order))
    with books.engine.begin() as before:
        before.execute(text("SELECT FROM orderloom.plan_items FOR UPDATE"))
        begin_to_wait(doing, books)
        assert doing.is_alive()
        before.execute(text("SELECT FROM orderloom.orders FOR UPDATE NOWAIT"))
    doing.join()
