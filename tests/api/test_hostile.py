"""Hostile input gets a 4xx problem on every route, is never repeated, and changes nothing."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api import hostile
from tests.api.conftest import Served
from tests.api.test_orders import an_order

ORDER = an_order(
    external_id="crm-hostile",
    requested_start="2026-03-01T00:00:00Z",
    priority=4,
    reason="A reason",
)
GOOD: dict[str, dict[str, Any]] = {
    "/v1/orders": ORDER,
    "/v1/orders/preview": ORDER,
    "/v1/accounts": {"id": "NEW", "name": "New", "class": "customer", "parent": "ACME"},
    "/v1/accounts/ACME-BA/billing-profiles": {"id": "NEW-BP"},
    "/v1/fallouts/1-1/resolution": {"decision": "retry", "reason": "A reason", "actor": "me", "input": {}},
    "/v1/orders/00000000-0000-0000-0000-000000000000/approval": {"decision": "approve", "reason": "Why", "actor": "me"},
    "/v1/fallouts/resolutions": {
        "selection": {"code": "NONE"},
        "decision": "retry",
        "reason": "A reason",
        "actor": "me",
    },
    "/v1/orders/00000000-0000-0000-0000-000000000000/revisions": ORDER,
    "/v1/orders/00000000-0000-0000-0000-000000000000/cancellation": {
        "reason": "A reason", "actor": "me", "force": False,
    },
    "/v1/assets/00000000-0000-0000-0000-000000000000/modify": {"service_id": "+1-555-0100", "reason": "A reason"},
    "/v1/assets/00000000-0000-0000-0000-000000000000/suspend": {"reason": "A reason", "submit": True},
    "/v1/assets/00000000-0000-0000-0000-000000000000/resume": {"reason": "A reason"},
    "/v1/assets/00000000-0000-0000-0000-000000000000/disconnect": {"reason": "A reason"},
    "/v1/assets/00000000-0000-0000-0000-000000000000/move": {"service_point": "SP-2", "reason": "A reason"},
}  # fmt: skip
"""Writing routes with a body they take (neither fallout, nor order, nor asset exists)."""

TEXTS = ("SQL", "a template", "a path", "digits in a string")
FREE_TEXT = ("external_id", "reason", "name", "actor", "service_id", "code")
"""Fields that hold any printable text, verbatim."""
FREE_VALUE = ("apn", "roaming", "gigabytes", "note")
"""Attributes hold texts, whole numbers and truths."""
NULLABLE = (
    "service_id", "external_id", "requested_start", "reason", "parent", "service_account", "billing_account",
    "billing_profile", "code",
)  # fmt: skip
HARMLESS = frozenset(
    {(field, name) for field in FREE_TEXT for name in TEXTS}
    | {(field, name) for field in FREE_VALUE for name in (*TEXTS, "negative", "zero", "2^31", "true", "null")}
    | {(field, "null") for field in NULLABLE}
    | {
        ("priority", "zero"),
        ("input", "an object"),
        ("attributes", "an object"),
        ("id", "digits in a string"),
        ("parent", "digits in a string"),
    }
)


def is_problem(answer: httpx.Response) -> bool:
    body = answer.json()
    return (
        400 <= answer.status_code < 500
        and answer.headers["content-type"] == "application/problem+json"
        and body["status"] == answer.status_code
        and {"type", "title", "instance"} <= body.keys()
        and hostile.MARK not in answer.text
    )


@pytest.mark.parametrize("path", GOOD)
async def test_a_body_that_is_no_acceptable_json_is_refused_and_changes_nothing(api: Served, path: str):
    before = api.written()
    for name, raw in hostile.RAW.items():
        answer = await api.http.post(path, content=raw, headers={"Content-Type": "application/json"})
        assert is_problem(answer), (name, answer.status_code, answer.text)
    assert api.written() == before


@pytest.mark.parametrize("path", GOOD)
async def test_a_good_body_with_one_hostile_field_is_refused_and_changes_nothing(api: Served, path: str):
    before = api.written()
    for name, body in hostile.mutated(GOOD[path], harmless=HARMLESS):
        answer = await api.http.post(path, json=body)
        if path.endswith("preview") and answer.status_code == 200:
            assert answer.json()["violations"], name  # a rule's business: shown, not refused
            continue
        assert is_problem(answer), (name, answer.status_code, answer.text)
    assert api.written() == before


@pytest.mark.parametrize("path", GOOD)
async def test_another_content_type_is_refused(api: Served, path: str):
    body = json.dumps(GOOD[path]).encode()
    for headers in (
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "xyzzy"},
    ):
        answer = await api.http.post(path, content=body, headers=headers)
        assert answer.status_code == 415, headers
        assert is_problem(answer)


@pytest.mark.parametrize("path", GOOD)
async def test_a_body_beyond_one_megabyte_is_refused_with_and_without_a_content_length(api: Served, path: str):
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * 100_000

    json_ = {"Content-Type": "application/json"}
    for content in (b" " * 1_000_001, endless()):
        answer = await api.http.post(path, content=content, headers=json_)
        assert answer.status_code == 413
        assert is_problem(answer)


async def test_a_body_that_never_ends_is_given_up(api: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("api.body.ARRIVES_WITHIN_S", 0.2)

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" "
            await asyncio.sleep(0.05)

    answer = await api.http.post("/v1/accounts", content=slow(), headers={"Content-Type": "application/json"})

    assert answer.status_code == 408
    assert is_problem(answer)


READING = (
    "/v1/orders/{}", "/v1/orders/{}/plan", "/v1/orders/{}/events", "/v1/fallouts/{}", "/v1/accounts/{}",
    "/v1/accounts/{}/service-profile", "/v1/accounts/{}/installed-assets", "/v1/accounts/{}/billing-items",
    "/v1/accounts/{}/customer-portal", "/v1/assets/{}", "/v1/orders?state={}", "/v1/orders?account={}",
    "/v1/orders?cursor={}", "/v1/orders?limit={}", "/v1/fallouts?order={}", "/v1/fallouts?cursor={}",
    "/v1/fallouts?state={}", "/v1/fallouts?type={}", "/v1/fallouts?overdue={}", "/v1/fallouts?sort={}", "/v1/{}", "/{}",
)  # fmt: skip


@pytest.mark.parametrize("path", READING)
async def test_hostile_words_in_a_path_or_a_query_are_refused(api: Served, path: str):
    for word in (
        "xyzzy%00", "xyzzy%ff", "%ed%a0%80xyzzy", "xyzzy'%20OR%201=1", "%2e%2e%2fxyzzy", "xyzzy" * 500, "%0d%0axyzzy",
        "xyzzy%E2%80%AE", "-1", "WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwiJzsiXQ==", "bnVsbA==",
    ):  # fmt: skip
        answer = await api.http.get(path.format(word))
        assert is_problem(answer), (word, answer.status_code, answer.text)


async def test_texts_that_look_like_code_are_kept_verbatim(api: Served):
    name = """Robert'); DROP TABLE orders;-- {{7*7}} ${jndi:ldap://x} %s %(x)s :name \\ "q" <script> ünïcödé 名 🎉"""
    opened = await api.http.post("/v1/accounts", json={"id": "BOBBY", "name": name, "class": "customer"})

    assert opened.status_code == 201, opened.text
    assert (await api.http.get("/v1/accounts/BOBBY")).json()["name"] == name


async def test_unknown_methods_and_paths_are_problems_too(api: Served):
    for method, path, status in (
        ("TRACE", "/v1/orders", 405),
        ("XYZZY", "/v1/orders", 405),
        ("DELETE", "/v1/orders", 405),
        ("PUT", "/v1/accounts", 405),
        ("GET", "/v1/nowhere", 404),
        ("GET", "/v1/orders/", 404),
    ):
        answer = await api.http.request(method, path)
        assert answer.status_code == status, (method, path)
        assert is_problem(answer)


async def test_every_answer_forbids_storing_and_guessing_and_names_its_request(api: Served):
    for path in ("/healthz", "/v1/orders", "/v1/nowhere", "/docs", "/openapi.json"):
        answer = await api.http.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.headers["x-request-id"]) == 36


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/fallouts", "/v1/accounts/ACME/service-profile"])
async def test_a_cursor_that_no_page_has_given_is_refused_or_finds_nothing(api: Served, path: str):
    at = "2000-01-01T00:00:00+00:00"
    for forged in (
        [at, "abc"],
        [at, "1-1"],
        [at, "x' OR 1=1"],
        ["xyzzy", "1-1"],
        [1, 2],
        {"at": at},
        [at],
        "xyzzy",
        None,
    ):
        cursor = urlsafe_b64encode(json.dumps(forged).encode()).decode()
        answer = await api.http.get(path, params={"cursor": cursor})
        found_nothing = answer.status_code == 200 and answer.json()["items"] == []
        assert found_nothing or is_problem(answer), (forged, answer.status_code, answer.text)
