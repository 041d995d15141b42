"""What the API writes: all of it or nothing, and nothing twice."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.order import Order, asset_id
from domain.violation import Violation
from models import submissions
from models.submissions import ORDER, Clash, Key, Known, Submitted
from sql.connections import autocommit
from tests import builders
from tests.models.conftest import Books


def everything(books: Books) -> list[list[dict[str, Any]]]:
    """Every row that a submission writes."""
    tables = ("orders", "order_lines", "order_events", "idempotency_keys", "audit")
    return [books.rows(f"SELECT * FROM orderloom.{table}") for table in tables]  # noqa: S608


KEY = Key(route="POST /v1/orders", key="k", fingerprint="f")


def known_of(books: Books, order: Order, key: Key | None) -> Known:
    with submissions.deciding(books.engine, order) as connection:
        return submissions.known(connection, order, key)


@pytest.mark.req("W7", "W1")
def test_an_order_is_stored_with_its_lines_its_first_event_and_an_audit_row(books: Books):
    stored = books.submit(external_id="crm-1", requested_start=datetime(2026, 3, 1, tzinfo=UTC))

    (order,) = books.rows("SELECT * FROM orderloom.orders")
    assert (str(order["id"]), order["number"], order["external_id"]) == (stored.id, stored.number, "crm-1")
    assert (order["state"], order["revision"], order["last_seq"]) == ("acknowledged", 0, 1)
    assert (order["submitted_at"], order["requested_start"]) == (stored.submitted_at, stored.order.requested_start)
    assert ORDER.validate_python(order["document"]) == stored.order
    lines = books.rows("SELECT * FROM orderloom.order_lines ORDER BY position")
    assert [(x["id"], x["parent"], x["root"], x["product"], x["position"]) for x in lines] == [
        (x.id, x.parent, x.root, x.product, n) for n, x in enumerate(stored.order.lines)
    ]
    assert [str(x["asset"]) for x in lines] == [asset_id(stored.id, x) for x in stored.order.lines]
    assert {x["state"] for x in lines} == {"acknowledged"}
    assert [(x["seq"], x["type"]) for x in books.rows("SELECT * FROM orderloom.order_events")] == [(1, "acknowledged")]
    audit = books.rows("SELECT action, object, decision FROM orderloom.audit ORDER BY id DESC LIMIT 1")
    assert audit == [{"action": "order.submit", "object": stored.id, "decision": "accepted"}]


@pytest.mark.req("W7")
@pytest.mark.parametrize("clash", [Clash.KEY, Clash.EXTERNAL_ID])
def test_what_clashes_is_named_and_stores_nothing(books: Books, clash: Clash):
    books.submit(key=KEY, external_id="crm-1")
    before = everything(books)
    other = replace(builders.WIRELESS_ORDER, external_id="crm-1" if clash is Clash.EXTERNAL_ID else "crm-2")

    with autocommit(books.engine) as connection:
        answer = submissions.submit(
            connection,
            other,
            order_id=str(uuid4()),
            catalog_version=1,
            key=KEY if clash is Clash.KEY else None,
            location="/v1/orders/2",
        )

    assert answer is clash
    assert everything(books) == before


@pytest.mark.req("B23", "B44")
def test_all_that_deciding_needs_is_known_at_once(books: Books):
    asset = str(uuid4())
    order = replace(builders.WIRELESS_ORDER, external_id="crm-1", lines=(
        *builders.WIRELESS_ORDER.lines, replace(builders.WIRELESS_ORDER.lines[0], id="2", root="2", asset=asset),
    ))  # fmt: skip
    fresh = known_of(books, order, KEY)
    assert fresh.facts.accounts.keys() == {"ACME", "ACME-BA"}
    assert fresh.facts.profiles == {"ACME-BP": "ACME-BA"}
    assert fresh.facts.assets == {}
    assert (fresh.catalog.version, fresh.earlier, fresh.remembered) == (1, None, None)
    assert fresh.facts.unsynced_accounts == {"ACME", "ACME-BA"}

    stored = books.submit(key=KEY, external_id="crm-1")
    again = known_of(books, replace(stored.order), KEY)
    assert again.earlier == stored
    assert again.remembered == submissions.Remembered(fingerprint="f", location="/v1/orders/1", body=None)
    assert submissions.submitted(books.engine, stored.id) == stored


@pytest.mark.req("B23", "A12")
@pytest.mark.parametrize(
    ("customer", "known"),
    [
        ("HEAD", {"HEAD", "NORTH", "NORTH-BA", "NORTH-SA", "SOUTH-BA"}),
        ("NORTH", {"NORTH", "NORTH-BA", "NORTH-SA"}),
        ("NORTH-BA", {"NORTH-BA", "NORTH-SA"}),
        ("ACME", {"ACME"}),
        ("NOBODY", set()),
    ],
)
def test_accounts_are_a_customers_own_and_those_below_it(books: Books, customer: str, known: set[str]):
    tree = {"HEAD": None, "NORTH": "HEAD", "SOUTH-BA": "HEAD", "NORTH-BA": "NORTH", "NORTH-SA": "NORTH-BA"}
    for account, parent in tree.items():
        opened = {"id": account, "name": account, "class": "customer", "parent": parent}
        assert submissions.open_account(books.engine, opened, key=None, location="", answer={}) is None
        profile = f"{account}-P"
        assert submissions.add_profile(books.engine, profile, account=account, key=None, location="", answer={}) is None
    lines = [builders.line("CASE", billing_account=x, service_account=x, billing_profile=f"{x}-P") for x in tree]
    header = dict.fromkeys(builders.ACCOUNTS)
    facts = known_of(books, builders.order(*lines, account=customer, **header), None).facts
    assert facts.accounts.keys() == known
    assert facts.profiles.keys() == {f"{x}-P" for x in known & tree.keys()}


def test_before_any_catalog_there_is_an_empty_one(books: Books):
    books.change("DELETE FROM orderloom.catalog_versions")

    assert known_of(books, builders.WIRELESS_ORDER, None).catalog.version == 0


def test_an_account_is_opened_once_under_an_existing_parent_that_is_not_itself(books: Books):
    def open_account(id_: str, parent: str | None) -> Clash | None:
        account = {"id": id_, "name": "Acme", "class": "service", "parent": parent}
        return submissions.open_account(books.engine, account, key=None, location="", answer={})

    assert open_account("NEW", "ACME") is None
    assert open_account("NEW", "ACME") is Clash.ACCOUNT
    assert open_account("LOOP", "LOOP") is Clash.PARENT
    assert open_account("ORPHAN", "NOBODY") is Clash.PARENT
    assert len(books.rows("SELECT FROM orderloom.accounts WHERE id IN ('NEW', 'LOOP', 'ORPHAN')")) == 1


def test_a_billing_profile_has_one_owner_that_exists(books: Books):
    def add_profile(id_: str, account: str) -> Clash | None:
        return submissions.add_profile(books.engine, id_, account=account, key=None, location="", answer={})

    assert add_profile("NEW-BP", "ACME") is None
    assert add_profile("NEW-BP", "OTHER") is Clash.PROFILE
    assert add_profile("LOST-BP", "NOBODY") is Clash.OWNER


def test_a_remembered_answer_is_kept_with_what_it_answered(books: Books):
    key = Key(route="POST /v1/accounts", key="k", fingerprint="f")
    account = {"id": "NEW", "name": "New", "class": "customer", "parent": None}

    submissions.open_account(books.engine, account, key=key, location="/v1/accounts/NEW", answer={"id": "NEW"})

    remembered = submissions.remembered(books.engine, key)
    assert remembered == submissions.Remembered(fingerprint="f", location="/v1/accounts/NEW", body={"id": "NEW"})
    assert submissions.remembered(books.engine, replace(key, route="POST /v1/orders")) is None


def test_a_refusal_is_audited_with_every_broken_rule_and_no_input(books: Books):
    found = (Violation(code="QTY", rule="B47", line="1", field="quantity", message="…"),)

    submissions.audit_refusal(books.engine, action="order.submit", subject=None, violations=found)

    (row,) = books.rows("SELECT actor, decision, reason, body FROM orderloom.audit WHERE decision = 'refused'")
    assert (row["actor"], row["reason"]) == ("api", "QTY")
    assert row["body"] == [{"code": "QTY", "rule": "B47", "line": "1", "field": "quantity"}]


@pytest.mark.req("W1")
def test_orders_without_a_run_are_handed_out_oldest_first_and_to_one_asker_only(books: Books):
    orders = [books.submit().id for _ in range(4)]
    books.change(
        "UPDATE orderloom.orders SET submitted_at = now() - interval '1 minute' WHERE id <> :new", new=orders[3]
    )
    given_meanwhile: list[Sequence[Submitted]] = []

    def take(batch: Sequence[Submitted]) -> Mapping[str, str | None]:
        given_meanwhile.append(batch)
        return {}

    def asker() -> None:
        submissions.start_forgotten(books.engine, take, age_s=2, limit=10)

    def start(batch: Sequence[Submitted]) -> Mapping[str, str | None]:
        other = threading.Thread(target=asker)
        other.start()
        other.join()
        return {x.id: "run" for x in batch[:1]}

    assert submissions.start_forgotten(books.engine, start, age_s=2, limit=2) == 2
    assert [[x.id for x in batch] for batch in given_meanwhile] == [orders[2:3]]
    started = books.rows("SELECT CAST(id AS text) AS id, run_id FROM orderloom.orders WHERE run_started_at IS NOT NULL")
    assert started == [{"id": orders[0], "run_id": "run"}]


def test_a_run_once_written_down_stays(books: Books):
    stored = books.submit()

    submissions.mark_started(books.engine, {stored.id: "first"})
    submissions.mark_started(books.engine, {stored.id: "second"})

    assert books.rows("SELECT run_id FROM orderloom.orders") == [{"run_id": "first"}]


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)
_LINES = st.fixed_dictionaries(
    {},
    optional={
        "quantity": st.integers(1, 2**31 - 1),
        "service_id": _TEXT,
        "attributes": st.dictionaries(_TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT),
        "due_date": st.dates(date(1900, 1, 1)),
    },
)
_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "external_id": _TEXT,
        "reason": _TEXT,
        "priority": st.integers(0, 4),
        "requested_start": st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - UTC is added
    },
)


@settings(max_examples=50, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=_HEADERS, line=_LINES)
def test_any_order_is_read_back_as_it_was_stored(books: Books, header: dict[str, Any], line: dict[str, object]):
    given: Order = builders.changed(builders.WIRELESS_ORDER, "1.1", **line)
    header |= {"external_id": str(uuid4())} if "external_id" in header else {}

    stored = books.submit(given, **header)

    assert submissions.submitted(books.engine, stored.id).order == replace(given, **header)
