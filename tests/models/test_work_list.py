"""What detectors find is on the work list once, goes off it by itself, and is escalated when nobody sees to it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.fallout import ACTIVE_NOT_BILLED, FalloutState, FalloutType, Finding
from models import views
from models.views import Page, Selection
from models.work_list import PostgresWorkList, Taking
from tests.models.conftest import Books

LEAK = Finding(
    subject="service:1",
    type=FalloutType.RECONCILIATION,
    code=ACTIVE_NOT_BILLED,
    message="The network runs service 1, and billing does not know it.",
    account="ACME",
)


@pytest.fixture
def work_list(books: Books) -> PostgresWorkList:
    return PostgresWorkList(books.engine)


def events(books: Books, order: str) -> list[tuple[int, str]]:
    rows = books.rows("SELECT seq, type FROM orderloom.order_events WHERE order_id = :o ORDER BY seq", o=order)
    return [(x["seq"], x["type"]) for x in rows]


@pytest.mark.req("F07")
def test_what_is_found_again_and_again_is_one_fallout_until_it_is_gone(books: Books, work_list: PostgresWorkList):
    (opened,) = work_list.open([LEAK, LEAK])
    assert work_list.open([LEAK]) == []
    assert work_list.found(FalloutType.RECONCILIATION) == {"service:1": opened}
    assert work_list.found(FalloutType.SYSTEM) == {}

    assert work_list.close(["service:1", "service:2"], reason="billed again") == [opened]
    assert work_list.close(["service:1"], reason="billed again") == []
    found = views.fallout(books.engine, opened)
    assert found is not None
    assert (found["state"], found["decision"], found["actor"], found["reason"]) == (
        "closed", "none", "system", "billed again",
    )  # fmt: skip
    audited = books.rows("SELECT actor, decision FROM orderloom.audit WHERE action = 'fallout.resolve'")
    assert audited == [{"actor": "system", "decision": "none"}]

    (again,) = work_list.open([LEAK])
    assert again != opened


@pytest.mark.req("F07")
def test_a_leak_is_found_on_the_list_with_its_account_urgency_and_due_date(books: Books, work_list: PostgresWorkList):
    work_list.open([LEAK])
    (found,) = views.fallouts(books.engine, Page(limit=10), Selection(account="ACME")).items
    assert (found["type"], found["code"], found["priority"], found["decisions"]) == (
        "Reconciliation", "ACTIVE_NOT_BILLED", 1, ["retry", "skip"],
    )  # fmt: skip
    assert found["due_at"] - found["since"] == timedelta(hours=1)
    assert (found["order"], found["number"], found["line"], found["step"]) == (None, None, None, None)


def test_two_detectors_that_find_the_same_at_once_open_it_once(books: Books, work_list: PostgresWorkList):
    with ThreadPoolExecutor(4) as threads:
        opened = [x for found in threads.map(lambda _: work_list.open([LEAK]), range(20)) for x in found]
    assert len(opened) == 1
    assert books.rows("SELECT count(*) AS n FROM orderloom.fallouts") == [{"n": 1}]


def test_what_is_found_about_an_order_is_told_in_its_log_while_it_is_open(books: Books, work_list: PostgresWorkList):
    order, ended = books.submit(), books.submit()
    books.change("UPDATE orderloom.orders SET state = 'failed', completed_at = now() WHERE id = :o", o=ended.id)
    gone = [
        Finding(subject=f"run:{x}", type=FalloutType.SYSTEM, code="RUN_GONE", message="It has no run.", order=x)
        for x in (order.id, ended.id)
    ]
    assert len(work_list.open(gone)) == 2
    work_list.close([x.subject for x in gone], reason="it runs again")

    assert events(books, order.id) == [(1, "acknowledged"), (2, "fallout_opened"), (3, "fallout_closed")]
    assert books.rows("SELECT last_seq FROM orderloom.orders WHERE id = :o", o=order.id) == [{"last_seq": 3}]
    assert events(books, ended.id) == [(1, "acknowledged")]
    accounts = books.rows("SELECT DISTINCT account FROM orderloom.fallouts")
    assert accounts == [{"account": "ACME"}]


@pytest.mark.parametrize("nobody", ["00000000-0000-0000-0000-000000000000", "started by hand"])
def test_what_is_found_about_strangers_is_on_the_list_all_the_same(
    books: Books, work_list: PostgresWorkList, nobody: str
):
    stranger = Finding(
        subject="s", type=FalloutType.SYSTEM, code="C", message="m", order=nobody, account="NOBODY", line="1"
    )
    assert len(work_list.open([stranger])) == 1
    assert books.rows("SELECT order_id, account FROM orderloom.fallouts") == [{"order_id": None, "account": None}]


def test_nothing_found_is_nothing_asked(work_list: PostgresWorkList):
    assert work_list.open([]) == ()
    assert work_list.close([], reason="") == ()


@pytest.mark.req("F26")
def test_a_finding_is_taken_like_any_other_fallout(books: Books, work_list: PostgresWorkList):
    (leak,) = work_list.open([LEAK])
    mine = Taking(actor="ann", hands_over=True, owner="ann", state=FalloutState.IN_PROGRESS)
    assert work_list.take(leak, mine)
    assert not work_list.take(leak, mine)
    found = views.fallout(books.engine, leak)
    assert found is not None
    assert (found["owner"], found["state"], found["is_open"]) == ("ann", "inProgress", True)
    assert work_list.close(["service:1"], reason="billed again") == [leak]
    assert not work_list.take(leak, replace(mine, owner="bob"))


def test_an_overdue_fallout_is_escalated_once_and_told_in_its_orders_log(books: Books, work_list: PostgresWorkList):
    order = books.submit()
    finding = Finding(subject="s", type=FalloutType.SYSTEM, code="C", message="m", order=order.id)
    (late,) = work_list.open([finding])
    work_list.open([LEAK])
    assert work_list.escalate() == []

    books.change("UPDATE orderloom.fallouts SET due_at = now() WHERE id = :f", f=late)
    assert work_list.escalate() == [late]
    assert work_list.escalate() == []
    found = views.fallouts(books.engine, Page(limit=10), Selection(overdue=True))
    (shown,) = found.items
    assert (shown["id"], shown["priority"], shown["escalated_at"] is not None) == (late, 1, True)
    assert events(books, order.id)[-1] == (3, "fallout_escalated")


def test_what_is_settled_is_never_escalated_and_the_most_urgent_stays_so(books: Books, work_list: PostgresWorkList):
    (urgent,) = work_list.open([LEAK])
    work_list.open([Finding(subject="s", type=FalloutType.SYSTEM, code="C", message="m")])
    work_list.close(["s"], reason="gone")
    books.change("UPDATE orderloom.fallouts SET due_at = now()")
    assert work_list.escalate() == [urgent]
    assert books.rows("SELECT priority FROM orderloom.fallouts WHERE id = :f", f=urgent) == [{"priority": 1}]


def test_the_list_can_begin_with_what_is_due_first_page_by_page(books: Books, work_list: PostgresWorkList):
    for subject, type_ in (("a", FalloutType.RECONCILIATION), ("b", FalloutType.SYSTEM), ("c", FalloutType.VALIDATION)):
        work_list.open([Finding(subject=subject, type=type_, code="C", message="m")])
    work_list.open([LEAK])
    first = views.fallouts(books.engine, Page(limit=2), Selection(), by_due_date=True)
    last = first.items[-1]
    rest = views.fallouts(books.engine, Page(limit=2, at=last["due_at"], id=last["id"]), Selection(), by_due_date=True)
    assert [x["priority"] for x in (*first.items, *rest.items)] == [1, 2, 3, 3]
    assert (first.more, rest.more) == (True, False)
