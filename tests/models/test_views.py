"""The questions the API asks: what is found, what is not, in which order, and page by page."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.order import asset_id
from models import views
from models.reconciliations import PostgresReconciliations
from models.submissions import Submitted
from models.views import Listed, Page, Selection
from models.work_list import PostgresWorkList
from tests import builders
from tests.models.conftest import Books

NOBODY = "00000000-0000-0000-0000-000000000000"
ALL = Page(limit=100)
START = datetime(2026, 3, 1, tzinfo=UTC)


def orders(books: Books, page: Page = ALL, **filters: str) -> Listed:
    return views.orders(books.engine, page, **({"state": None, "account": None, "product": None} | filters))


def install(books: Books, stored: Submitted, line_id: str, *, at: datetime = START, **columns: str) -> str:
    """Write the asset of a line, as the asset step does."""
    line = stored.order.by_id[line_id]
    asset = asset_id(stored.id, line)
    parent = asset_id(stored.id, stored.order.by_id[line.parent]) if line.parent else None
    given = {"status": "active", "billing_type": None, "account": stored.order.account, "service_account": "ACME-SA"}
    books.change(
        """
        INSERT INTO orderloom.assets (id, product, catalog_version, root, parent, account, service_account,
               billing_account, billing_profile, quantity, attributes, status, billing_type, service_start,
               created_by_order, created_by_line)
        VALUES (:id, :product, 1, :root, :parent, :account, :service_account, 'ACME-BA', 'ACME-BP', 1, '{}', :status,
                :billing_type, :at, :order, :line)
        """,
        id=asset, product=line.product, root=asset_id(stored.id, stored.order.by_id[line.root]), parent=parent,
        at=at, order=stored.id, line=line.id, **(given | columns),
    )  # fmt: skip
    return asset


def test_what_does_not_exist_is_not_found(books: Books):
    assert views.order(books.engine, NOBODY) is None
    assert views.plan(books.engine, NOBODY) is None
    assert views.log_end(books.engine, NOBODY) is None
    assert views.events(books.engine, NOBODY, after=0, limit=10) == []
    assert views.account(books.engine, "NOBODY") is None
    assert views.fallout(books.engine, "1-1") is None
    assert views.asset_tree(books.engine, NOBODY) == []
    assert views.answers(books.engine)


def test_orders_of_one_instant_are_still_listed_in_one_order_and_none_is_lost_between_pages(books: Books):
    ids = {books.submit().id for _ in range(7)}
    books.change("UPDATE orderloom.orders SET submitted_at = '2026-03-01T00:00:00Z'")

    seen: list[str] = []
    page: Page | None = Page(limit=3)
    while page is not None:
        found = orders(books, page)
        assert found.total == 7
        seen += [x["id"] for x in found.items]
        last = found.items[-1]
        page = Page(limit=3, at=last["submitted_at"], id=last["id"]) if found.more else None

    assert (len(seen), set(seen)) == (7, ids)
    assert seen == sorted(seen, reverse=True)


def test_orders_are_found_by_state_account_and_product(books: Books):
    first, second = books.submit(), books.submit(builders.order(builders.line("CASE")))
    books.change("UPDATE orderloom.orders SET state = 'completed', completed_at = now() WHERE id = :id", id=second.id)

    assert [x["id"] for x in orders(books).items] == [second.id, first.id]
    assert [x["id"] for x in orders(books, state="completed").items] == [second.id]
    assert [x["id"] for x in orders(books, product="PHONE").items] == [first.id]
    assert orders(books, account="OTHER").items == []


def test_an_order_is_found_with_its_lines_steps_and_open_fallouts(books: Books):
    stored = books.submit()
    books.change(
        """
        INSERT INTO orderloom.plan_items
               (order_id, id, position, function, system, subject, root, lines, depends_on, no_return, state, result)
        VALUES (:o, 'reserve:1', 0, 'reserve', 'inventory', '1', '1', '{1.4}', '{}', false, 'done', '{"a": 0}'),
               (:o, 'purchase:1.4', 1, 'purchase', 'billing', '1.4', '1', '{1.4}', '{reserve:1}', true,
                'held', '{"a": 1}')
        """,
        o=stored.id,
    )
    books.change(
        """
        INSERT INTO orderloom.fallouts
               (id, subject, order_id, account, step, line, type, code, message, priority, due_at, state, closed_at)
        VALUES ('1-1', 'r', :o, 'ACME', 'reserve:1', '1', 'Inventory Allocation', 'C', 'm', 3, now(), 'closed', now()),
               ('1-2', 'p', :o, 'ACME', 'purchase:1.4', '1.4', 'Billing', 'D', 'm', 1, now(), 'inProgress', NULL)
        """,
        o=stored.id,
    )
    found = views.order(books.engine, stored.id)

    assert found is not None
    assert (found["number"], found["revision"], found["line_states"]) == (stored.number, 0, ["acknowledged"])
    assert {line for line, *_ in found["lines"]} == {x.id for x in stored.order.lines}
    assert [(x["id"], x["state"], x["result"]) for x in found["steps"]] == [
        ("reserve:1", "done", None),
        ("purchase:1.4", "held", {"a": 1}),
    ]
    assert [x["id"] for x in found["fallouts"]] == ["1-2"]

    plan = views.plan(books.engine, stored.id)
    assert plan is not None
    assert [x["id"] for x in plan[1]] == ["reserve:1", "purchase:1.4"]
    every = views.fallouts(books.engine, ALL, Selection(states=None, order=stored.id))
    phones = views.fallouts(books.engine, ALL, Selection(product="PHONE"))
    assert (every.total, [x["id"] for x in phones.items]) == (2, ["1-2"])


@pytest.mark.req("A01", "A04", "A14")
def test_the_profile_holds_active_and_suspended_assets_of_the_account_and_of_those_below_it(books: Books):
    stored = books.submit()
    active = install(books, stored, "1", billing_type="service_bundle")
    suspended = install(books, stored, "1.1", status="suspended", billing_type="subscription")
    unbilled = install(books, stored, "1.3")
    install(books, stored, "1.4", status="inactive", billing_type="item")
    other = books.submit(account="OTHER")
    install(books, other, "1", service_account="OTHER")

    def ids(found: Listed) -> set[str]:
        return {x["id"] for x in found.items}

    assert ids(views.profile(books.engine, "ACME", ALL)) == {active, suspended, unbilled}
    assert ids(views.profile(books.engine, "ACME-SA", ALL)) == {active, suspended, unbilled}
    assert ids(views.billing_items(books.engine, "ACME", ALL)) == {active, suspended}
    assert views.profile(books.engine, "ACME-BA", ALL).total == 0
    assert views.profile(books.engine, "OTHER", ALL).total == 1


def test_the_newest_asset_comes_first(books: Books):
    stored = books.submit()
    old = install(books, stored, "1")
    new = install(books, stored, "1.1", at=START + timedelta(days=1))

    assert [x["id"] for x in views.profile(books.engine, "ACME", ALL).items] == [new, old]


@pytest.mark.req("A17")
def test_an_asset_is_found_with_its_whole_bundle_its_billing_ids_and_its_orders(books: Books):
    stored = books.submit()
    root, plan = install(books, stored, "1"), install(books, stored, "1.1")
    books.change(
        "INSERT INTO orderloom.cross_references VALUES (:asset, 'purchased_product', 'PP-1', :at, NULL)",
        asset=plan, at=START,
    )  # fmt: skip

    tree = {x["id"]: x for x in views.asset_tree(books.engine, plan)}

    assert tree.keys() == {root, plan}
    assert tree[plan]["parent"] == root
    assert [(x["kind"], x["billing_id"]) for x in tree[plan]["billing"]] == [("purchased_product", "PP-1")]
    assert [(x["order"], x["line"]) for x in tree[plan]["order_history"]] == [(stored.id, "1.1")]
    assert tree[root]["billing"] is None


@pytest.mark.req("A09", "A03")
def test_new_lines_are_on_order_until_they_are_assets_or_given_up(books: Books):
    stored = books.submit()
    install(books, stored, "1")
    books.change("UPDATE orderloom.order_lines SET state = 'failed' WHERE id = '1.4'")

    found = views.on_order(books.engine, "ACME", limit=100)

    assert {x["line"] for x in found} == {x.id for x in stored.order.lines} - {"1", "1.4"}
    assert views.on_order(books.engine, "OTHER", limit=100) == []
    assert len(views.on_order(books.engine, "ACME", limit=2)) == 2


def test_events_follow_their_numbers(books: Books):
    stored = books.submit()
    books.change(
        "INSERT INTO orderloom.order_events (order_id, seq, type, body)"
        " SELECT :o, n, 'x', '{}' FROM generate_series(2, 9) AS n",
        o=stored.id,
    )
    books.change("UPDATE orderloom.orders SET last_seq = 9")

    assert views.log_end(books.engine, stored.id) == (9, "acknowledged")
    assert [x["seq"] for x in views.events(books.engine, stored.id, after=3, limit=4)] == [4, 5, 6, 7]


@pytest.mark.req("F07")
def test_what_a_revision_has_dropped_has_no_price_any_more(books: Books):
    """Should it run all the same, it is a difference without an estimate; the comparison goes on."""
    stored, records = books.submit(), PostgresReconciliations(books.engine, PostgresWorkList(books.engine))
    service = asset_id(stored.id, stored.order.lines[0])
    books.change(
        "UPDATE orderloom.order_lines SET asset = CAST(:a AS uuid) WHERE order_id = :o AND id = '1'",
        a=service,
        o=stored.id,
    )
    books.change(
        "UPDATE orderloom.orders SET document = jsonb_set(document, '{lines}', '[]') WHERE id = :o", o=stored.id
    )
    assert records.price(service) is None
