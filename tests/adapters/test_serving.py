"""The embedded neighbours served over HTTP: what is reached beside the operations themselves."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import Engine
from starlette.types import Message

from adapters.billing import server as billing_server
from adapters.billing.embedded import EmbeddedBilling
from adapters.inventory import server as inventory_server
from adapters.inventory.embedded import EmbeddedInventory
from adapters.provisioning import server as provisioning_server
from adapters.provisioning.embedded import EmbeddedProvisioning
from tests.adapters.conftest import Clock, served


@dataclass(frozen=True)
class Served:
    inventory: httpx.Client
    provisioning: httpx.Client
    billing: httpx.Client


@pytest.fixture(scope="module")
def over_http(engine: Engine) -> Iterator[Served]:
    clock = Clock()
    with (
        served(inventory_server.create_app(EmbeddedInventory(engine, clock=clock))) as inventory_url,
        served(provisioning_server.create_app(EmbeddedProvisioning(engine, clock=clock))) as provisioning_url,
        served(billing_server.create_app(EmbeddedBilling(engine, clock=clock))) as billing_url,
        httpx.Client(base_url=inventory_url) as inventory,
        httpx.Client(base_url=provisioning_url) as provisioning,
        httpx.Client(base_url=billing_url) as billing,
    ):
        yield Served(inventory, provisioning, billing)


def _deactivate(over_http: Served, key: str) -> httpx.Response:
    return over_http.provisioning.post("/deactivate", json={"service": "s"}, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("system", ["inventory", "provisioning", "billing"])
def test_a_server_describes_itself_completely(over_http: Served, system: str):
    document = getattr(over_http, system).get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named
    assert named <= set(schemas)
    assert {"/query", "/switches/{operation}", "/journal"} < set(document["paths"])


def test_a_neighbour_is_made_to_misbehave_and_to_behave_again_from_afar(over_http: Served, name: str):
    network = over_http.provisioning
    switch = {"mode": "refuse", "match": name, "code": "NO_COVERAGE", "message": "no mast in reach", "remaining": 2}
    assert network.put("/switches/deactivate", json=switch).status_code == 204
    assert network.get("/switches").json() == {"deactivate": {**switch, "ms": 0}}
    refused = _deactivate(over_http, f"{name}-1")
    assert (refused.status_code, refused.json()) == (
        409,
        {"code": "NO_COVERAGE", "message": "no mast in reach", "lines": []},
    )
    assert network.get("/switches").json()["deactivate"]["remaining"] == 1
    assert network.delete("/switches/deactivate").status_code == 204
    assert network.get("/switches").json() == {}
    assert _deactivate(over_http, f"{name}-2").status_code == 204


@pytest.mark.parametrize(
    ("operation", "switch"),
    [
        ("list_active", {"mode": "slow", "ms": 5}),
        ("fly", {"mode": "refuse"}),
        ("deactivate", {"mode": "explode"}),
        ("deactivate", {}),
    ],
)
def test_a_switch_that_makes_no_sense_is_not_set(over_http: Served, operation: str, switch: dict[str, object]):
    assert over_http.provisioning.put(f"/switches/{operation}", json=switch).status_code in (400, 422)
    assert over_http.provisioning.get("/switches").json() == {}


def test_the_journal_tells_hits_from_effects(over_http: Served, name: str):
    over_http.provisioning.put("/switches/deactivate", json={"mode": "fail_before", "remaining": 1})
    assert [_deactivate(over_http, name).status_code for _ in range(3)] == [503, 204, 204]
    journal = over_http.provisioning.get("/journal").json()
    assert sorted(x["outcome"] for x in journal if x["key"] == name) == ["applied", "failed", "replayed"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"service": "s"}', {}),
        (b"", {"Idempotency-Key": "k"}),
        (b"{", {"Idempotency-Key": "k"}),
        (b'{"service": 5}', {"Idempotency-Key": "k"}),
        (b'{"service": "\\u0000"}', {"Idempotency-Key": "k"}),
        (b'{"service": "\\ud800"}', {"Idempotency-Key": "k"}),
        (b"[" * 100_000, {"Idempotency-Key": "k"}),
    ],
)
def test_a_request_that_makes_no_sense_is_not_understood(over_http: Served, body: bytes, headers: dict[str, str]):
    answer = over_http.provisioning.post("/deactivate", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert over_http.provisioning.get("/query", params={"key": "k"}).status_code == 204


async def test_who_leaves_in_the_middle_of_a_request_is_no_error(engine: Engine):
    app = provisioning_server.create_app(EmbeddedProvisioning(engine, clock=Clock()))
    coming: list[Message] = [
        {"type": "http.request", "body": b'{"serv', "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http", "method": "POST", "path": "/deactivate", "query_string": b"",
        "headers": [(b"idempotency-key", b"k")],
    }  # fmt: skip

    async def receive() -> Message:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        """Nobody is there."""

    await app(scope, receive, send)
    assert EmbeddedProvisioning(engine, clock=Clock()).query(key="k") is None


def test_questions_need_their_parameters(over_http: Served):
    assert over_http.provisioning.get("/query").status_code == 422
    assert over_http.provisioning.get("/list_active", params={"as_of": "yesterday"}).status_code == 422
    assert over_http.provisioning.get("/list_active", params={"as_of": "2026-05-01T00:00:00"}).status_code == 422


@pytest.mark.req("F29", "F30")
def test_shelves_and_pools_are_filled_and_emptied_from_afar(over_http: Served, name: str):
    inventory = over_http.inventory
    stock = {"sku": name, "location": "EAST", "on_hand": 5, "reserved": 0, "reorder_point": 2}
    received = inventory.post("/stock", json={"sku": name, "quantity": 5, "location": "EAST", "reorder_point": 2})
    assert received.json() == stock
    assert stock in inventory.get("/stock").json()
    assert inventory.post("/stock", json={"sku": name, "quantity": -1}).status_code == 422
    assert inventory.post(f"/pools/{name}", json={"first": "1", "last": "3"}).json() == 3
    assert inventory.post(f"/pools/{name}", json={"first": "3", "last": "1"}).status_code == 400
    assert inventory.delete(f"/pools/{name}", params={"value": "2"}).json() == ["2"]
    assert [x["value"] for x in inventory.get(f"/pools/{name}").json()] == ["1", "3"]


@pytest.mark.req("B62")
def test_the_products_of_billing_are_loaded_from_afar(over_http: Served, name: str):
    product = {
        "code": name,
        "name": "Multi-call",
        "billing_type": "subscription",
        "billing_service_type": "/service/ip",
        "price": {"minor": 999, "currency": "USD"},
        "events": ["CALL"],
    }
    assert over_http.billing.put("/products", json=[product]).status_code == 204
    found = over_http.billing.get("/products", params={"service_instances": name}).json()
    assert [x for x in found if x["code"] == name] == [product]
