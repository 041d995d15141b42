"""Publishing catalogs over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import yaml
from temporalio.client import Client

from models import catalogs
from tests.api import hostile
from tests.api.catalog_calls import (
    IP,
    SMS,
    YAML,
    example,
    order,
    patch,
    publish_example,
    put,
    put_products,
    rules,
)
from tests.api.conftest import Served, open_api
from tests.conftest import Database


@pytest.fixture(name="api")
async def _api(database: Database, temporal_client: Client) -> AsyncIterator[Served]:
    """A house with the example catalog, of a test's own."""
    async with open_api(database, temporal_client) as served:
        yield await publish_example(served)


@pytest.fixture(name="unchanged", scope="module")
async def _unchanged(module_database: Database, temporal_client: Client) -> AsyncIterator[Served]:
    """A house with the example catalog, for tests that change nothing; it is proved that they do not."""
    async with open_api(module_database, temporal_client) as served:
        yield await publish_example(served)
        assert catalogs.current(served.engine).version == 2


@pytest.mark.req("B16")
async def test_the_example_is_published_as_yaml_or_json_and_the_same_again_is_the_same_version(unchanged: Served):
    assert catalogs.current(unchanged.engine).version == 2
    as_json = json.dumps(yaml.safe_load(YAML)).encode()
    for content, media_type in ((YAML, "text/yaml"), (as_json, "application/json")):
        again = await put(unchanged, content, media_type)
        assert (again.status_code, again.json()) == (200, {"version": 2, "warnings": []})
        assert again.headers["etag"] == '"2"'


async def test_what_is_read_can_be_published_again_and_is_the_same_version(unchanged: Served):
    read = await unchanged.read("/v1/catalog")
    assert (read["version"], read["source"]) == (2, "import")
    again = await put_products(unchanged, *read["products"])
    assert again.json()["version"] == 2
    assert (await unchanged.read("/v1/catalog?version=1"))["version"] == 1
    assert (await unchanged.http.get("/v1/catalog?version=3")).status_code == 404


@pytest.mark.req("B06", "B04", "B19", "B31", "B32", "B33", "B60")
async def test_every_violation_comes_back_at_once_and_nothing_changes(unchanged: Served):
    wrong = await put_products(
        unchanged,
        {"code": "PHONE", "name": "Phone", "billing_type": "service_bundle", "billing_service_type": SMS,
         "origin": "billing_sync", "components": [{"product": "LINE"}, {"product": "NOWHERE"}]},
        {"code": "LINE", "name": "Line", "billing_type": "subscription", "billing_service_type": IP},
        {"code": "FEE", "name": "Fee", "billing_type": "subscripton"},
        {"code": "GIFT", "name": "Gift", "service_instance": True, "price": {"amount": "1.234", "currency": "USD"}},
        {"code": "USED", "name": "Used", "billing_type": "event", "billing_service_type": "ip"},
    )  # fmt: skip
    assert wrong.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"
    assert set(rules(wrong)) == {
        ("SB_ORIGIN", "B33", "PHONE"),
        ("UNKNOWN_COMPONENT", "2.1", "PHONE"),
        ("BST_MISMATCH", "B06", "LINE"),
        ("BILLING_TYPE", "B04", "FEE"),
        ("SERVICE_INSTANCE", "B60", "GIFT"),
        ("PRICE", "2.1", "GIFT"),
        ("BST_FORMAT", "B19", "USED"),
        ("EVENT_ORIGIN", "B32", "USED"),
    }
    assert "NOWHERE" not in wrong.text
    assert "subscripton" not in wrong.text
    assert catalogs.current(unchanged.engine).version == 2


@pytest.mark.req("B01", "B65")
async def test_advice_does_not_stop_a_publication(api: Served):
    answer = await put_products(
        api,
        {"code": "EMPTY", "name": "Empty", "billing_type": "service_bundle", "billing_service_type": SMS},
        {"code": "HOME", "name": "Home", "billing_type": "service_bundle", "billing_service_type": IP,
         "components": [{"product": "MCF"}]},
        {"code": "MCF", "name": "MCF", "billing_type": "subscription", "billing_service_type": IP},
    )  # fmt: skip
    assert answer.status_code == 200
    assert [(x["code"], x["product"]) for x in answer.json()["warnings"]] == [
        ("EMPTY_BUNDLE", "EMPTY"),
        ("CONSIDER_SSB", "HOME"),
    ]


@pytest.mark.req("B66", "B20")
async def test_a_document_neither_changes_a_kind_nor_what_was_synchronized(unchanged: Served):
    products = example()
    products["INTERNET-ACCESS"] |= {"billing_type": "subscription", "service_instance": True, "components": []}
    products["INTERNET-MCF"] |= {"billing_service_type": "/service/dsl"}
    answer = await put_products(unchanged, *products.values())
    assert answer.status_code == 422
    assert ("KIND_FROZEN", "B66", "INTERNET-ACCESS") in rules(answer)
    assert ("SYNCED_FIELD", "B20", "INTERNET-MCF") in rules(answer)


async def test_a_product_that_is_left_out_is_warned_of_while_orders_use_it(api: Served):
    await order(api, "wireless")
    products = example()
    left = {"MOBILE-STARTER", "HANDSET", "WELCOME-GIFT"}
    answer = await put_products(api, *(x for code, x in products.items() if code not in left))
    assert answer.status_code == 200
    assert [(x["code"], x["product"]) for x in answer.json()["warnings"]] == [("IN_USE", x) for x in sorted(left)]


async def test_whoever_has_seen_an_older_version_may_say_so(unchanged: Served):
    assert (await put(unchanged, YAML, "application/yaml", **{"if-match": '"1"'})).status_code == 412
    assert (await put(unchanged, YAML, "application/yaml", **{"if-match": '"2"'})).status_code == 200
    stale = await unchanged.http.patch("/v1/catalog/products/SMS", json={"name": "x"}, headers={"if-match": '"1"'})
    assert stale.status_code == 412


async def test_many_who_edit_at_once_all_succeed_one_after_the_other(api: Served):
    codes = ["SMS", "HANDSET", "WELCOME-GIFT", "DATA-FEE"]
    answers = await asyncio.gather(*(patch(api, code, name=f"New {code}") for code in codes))
    assert {x.status_code for x in answers} == {200}
    current = catalogs.current(api.engine)
    assert current.version == 6
    assert [current[code].name for code in codes] == [f"New {code}" for code in codes]


HARMFUL = (
    "a: &x 1\nb: *x",
    "products: !!python/name:os.system",
    "products: []\nproducts: []",
    "[" * 100_000,
    "products: [{code: X",
    "- - -",
    "products: .nan",
    "products:\n  - 1e400",
    'products: ["\\0"]',
    "---\na: 1\n---\nb: 2",
    "",
)


@pytest.mark.parametrize("body", HARMFUL)
async def test_harmful_yaml_is_refused(unchanged: Served, body: str):
    answer = await put(unchanged, body.encode(), "application/yaml")
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_json_and_yaml_are_taken(api: Served):
    assert (await put(api, YAML, "text/plain")).status_code == 415
    assert (await put(api, b"\xff", "application/yaml")).status_code == 400
    assert (await api.http.patch("/v1/catalog/products/SMS", content=b"name: x",
                                 headers={"content-type": "application/yaml"})).status_code == 200  # fmt: skip


async def test_a_large_catalog_is_published_in_a_moment(api: Served):
    services = [
        {"code": f"SB{s}", "name": "SB", "billing_type": "service_bundle", "billing_service_type": IP,
         "components": [{"product": f"SB{s}-P{n}"} for n in range(99)]}
        for s in range(20)
    ]  # fmt: skip
    parts = [
        {"code": f"SB{s}-P{n}", "name": "P", "billing_type": "subscription", "billing_service_type": IP}
        for s in range(20)
        for n in range(99)
    ]
    began = time.perf_counter()
    answer = await put(api, yaml.dump({"products": services + parts}).encode(), "application/yaml")
    assert answer.status_code == 200, answer.text
    assert time.perf_counter() - began < 5.0


HOSTILE = [
    {"code": "WELCOME-GIFT", "name": "Gift", "billing_type": "item", "billing_service_type": "/account",
     "origin": "crm", "price": {"amount": "1.00", "currency": "USD"}, "duration_months": 3, "lifecycle": "active",
     "components": [{"product": "HANDSET", "min": 0, "max": 1}], "track_as_asset": True, "synced_at": None}
]  # fmt: skip
HARMLESS = frozenset(
    {("name", x) for x in ("SQL", "a template", "a path", "digits in a string")}
    | {(x, "null") for x in ("billing_type", "price", "duration_months")}
    | {("code", "digits in a string")}
)


@pytest.mark.parametrize("path", ["/v1/catalog", "/v1/catalog/products/HANDSET"])
async def test_hostile_bodies_are_refused_and_never_repeated(unchanged: Served, path: str):
    method = "PUT" if path == "/v1/catalog" else "PATCH"
    for name, raw in hostile.RAW.items():
        answer = await unchanged.http.request(method, path, content=raw, headers={"Content-Type": "application/json"})
        _is_refused(answer, name)
    good: dict[str, Any] = {"products": HOSTILE} if method == "PUT" else {"lifecycle": "active", "max": 1}
    for name, body in hostile.mutated(good, harmless=HARMLESS):
        _is_refused(await unchanged.http.request(method, path, json=body), name)


def _is_refused(answer: httpx.Response, name: str) -> None:
    assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json", name
    assert hostile.MARK not in answer.text, (name, answer.text)
