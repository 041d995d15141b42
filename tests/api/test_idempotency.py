"""The same request again is the same answer, however often and however much at once."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Served
from tests.api.test_orders import BUNDLE, an_order

pytestmark = pytest.mark.req("W7")
LATER = "2199-01-01T00:00:00Z"
"""Orders that start then are only stored here."""


async def test_the_same_order_under_the_same_external_id_is_answered_as_it_now_stands(api: Served):
    body = an_order(external_id="crm-again")
    first = await api.http.post("/v1/orders", json=body)
    completed = await api.in_state(first.json(), "completed")

    again = await api.http.post("/v1/orders", json=body, headers={"Idempotency-Key": "another-request"})

    assert (again.status_code, again.json()) == (202, completed)
    assert again.headers["location"] == first.headers["location"]


async def test_the_same_request_gets_the_same_answer_even_after_its_order_has_moved_on(api: Served):
    body, headers = an_order(external_id="crm-retried"), {"Idempotency-Key": "k-retried"}
    first = await api.http.post("/v1/orders", json=body, headers=headers)
    await api.in_state(first.json(), "completed")

    again = await api.http.post("/v1/orders", json=body, headers=headers)

    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]


async def test_another_order_under_the_same_external_id_is_refused_and_the_first_one_stands(api: Served):
    first = await api.submit(an_order(external_id="crm-other"))
    before = api.written()

    answer = await api.http.post("/v1/orders", json=an_order(external_id="crm-other", priority=1))

    assert answer.status_code == 422
    assert answer.json()["title"] == "External id reused"
    assert api.written() == before
    assert (await api.read(f"/v1/orders/{first['id']}"))["number"] == first["number"]


async def test_two_accounts_may_use_the_same_external_id(api: Served):
    first = await api.submit(an_order(external_id="crm-shared"))
    theirs = {"billing_account": "OTHER", "service_account": "OTHER", "billing_profile": "OTHER-BP"}
    (await api.http.post("/v1/accounts/OTHER/billing-profiles", json={"id": "OTHER-BP"})).raise_for_status()
    second = await api.submit(an_order(external_id="crm-shared", account="OTHER", lines=[{**BUNDLE, **theirs}]))

    assert first["id"] != second["id"]


async def test_the_same_key_with_the_same_body_is_the_same_answer_and_with_another_body_it_is_refused(api: Served):
    headers = {"Idempotency-Key": "k-1"}
    first = await api.http.post("/v1/orders", json=an_order(), headers=headers)
    before = api.written()

    again = await api.http.post("/v1/orders", json=an_order(), headers=headers)
    other = await api.http.post("/v1/orders", json=an_order(priority=0), headers=headers)

    assert (again.status_code, again.content) == (202, first.content)
    assert (other.status_code, other.json()["title"]) == (422, "Idempotency key reused")
    assert api.written() == before


async def test_a_key_is_remembered_for_accounts_and_billing_profiles_too(api: Served):
    for path, body, other in (
        (
            "/v1/accounts",
            {"id": "K-1", "name": "One", "class": "customer"},
            {"id": "K-2", "name": "Two", "class": "billing"},
        ),
        ("/v1/accounts/ACME/billing-profiles", {"id": "K-P"}, {"id": "K-Q"}),
    ):
        headers = {"Idempotency-Key": "k-account"}
        first = await api.http.post(path, json=body, headers=headers)
        again = await api.http.post(path, json=body, headers=headers)
        refused = await api.http.post(path, json=other, headers=headers)

        assert (first.status_code, again.status_code, refused.status_code) == (201, 201, 422)
        assert again.content == first.content
        assert again.headers["location"] == first.headers["location"]


async def test_a_refused_request_leaves_its_key_unused(api: Served):
    headers = {"Idempotency-Key": "k-mended"}
    refused = await api.http.post("/v1/orders", json=an_order(account="NOBODY"), headers=headers)
    taken = await api.http.post("/v1/orders", json=an_order(), headers=headers)

    assert (refused.status_code, taken.status_code) == (422, 202)


@pytest.mark.parametrize("field", ["external_id", "key"])
async def test_fifty_at_once_and_one_with_another_body_make_one_order(api: Served, field: str):
    name = f"race-{field}"
    headers = {"Idempotency-Key": name} if field == "key" else {}
    named = {"external_id": name} if field == "external_id" else {}
    before = api.count("orders")
    await api.submit(an_order(requested_start=LATER))  # warm
    bodies = [an_order(requested_start=LATER, **named)] * 50
    bodies.insert(25, an_order(requested_start=LATER, priority=0, **named))

    answers = await asyncio.gather(*(api.http.post("/v1/orders", json=x, headers=headers) for x in bodies))

    assert api.count("orders") == before + 2
    taken = [x for x in answers if x.status_code == 202]
    refused = [x for x in answers if x.status_code == 422]
    assert len({x.content if field == "key" else x.json()["id"] for x in taken}) == 1
    assert (len(taken), len(refused)) in {(50, 1), (1, 50)}  # whichever body came first


async def test_fifty_accounts_of_one_id_at_once_make_one_account(api: Served):
    body = {"id": "RACE", "name": "Race", "class": "customer"}

    answers = await asyncio.gather(*(api.http.post("/v1/accounts", json=body) for _ in range(50)))

    assert sorted(x.status_code for x in answers) == [201] + [409] * 49


_ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(0, 4),
        "reason": st.text("abcÄ名 '\"\\%:{}", min_size=1, max_size=20),
        "requested_completion": st.sampled_from(["2199-02-01T00:00:00Z", "2199-02-01T01:00:00+01:00"]),
    },
)
_LINES = st.fixed_dictionaries(
    {},
    optional={
        "service_id": st.text("0123456789+-", min_size=1, max_size=20),
        "attributes": st.dictionaries(
            st.text("abcdef'%:", min_size=1, max_size=5),
            st.one_of(
                st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text("xyz\\\"'", min_size=1, max_size=9)
            ),
            max_size=4,
        ),
        "due_date": st.dates().map(str),
        "promotion_ref": st.text("PROMO", min_size=1, max_size=10),
    },
)


async def test_any_order_is_stored_as_sent_and_recognized_when_sent_again(api: Served):
    cases: list[dict[str, object]] = []

    @settings(max_examples=40, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(header=_ORDERS, line=_LINES)
    def collect(header: dict[str, object], line: dict[str, object]) -> None:
        cases.append(an_order(requested_start=LATER, **header, lines=[{**BUNDLE, **line}]))

    collect()
    for body in cases:
        body["external_id"] = str(uuid4())
        first = await api.http.post("/v1/orders", json=body)
        again = await api.http.post("/v1/orders", json=body)
        assert (first.status_code, again.status_code) == (202, 202), again.text
        assert again.json()["id"] == first.json()["id"]
