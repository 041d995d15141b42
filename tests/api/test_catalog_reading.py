"""Reading the catalog over HTTP, and synchronizing it; the examples."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import NAMESPACE_OID, uuid5

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.catalog_sync import BillingProduct, SyncOutcome
from models import catalogs
from tests.api.catalog_calls import (
    EXAMPLES,
    IP,
    SMS,
    example,
    order,
    publish_example,
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


@pytest.mark.req("B15", "B16")
async def test_the_wireless_bundle_has_six_groups_of_components(unchanged: Served):
    groups = (await unchanged.read("/v1/catalog/products/WIRELESS-BUNDLE/components"))["items"]
    assert [x["group"] for x in groups] == [
        "Rate plans", "Activation fees", "Usage fees", "Features", "Discounts", "Text messaging",
    ]  # fmt: skip
    assert [x["product"] for x in groups[0]["components"]] == ["MAIN-LINE-1", "MAIN-LINE-2", "ADD-ON-LINE"]
    (sms,) = groups[5]["components"]
    assert (sms["kind"], sms["billing_type"], sms["billing_service_type"]) == ("service_bundle", "service_bundle", SMS)
    offer = (await unchanged.read("/v1/catalog/products/MOBILE-STARTER/components"))["items"]
    assert [x["group"] for x in offer] == ["Wireless phone service", "Handset X1", "Phone case"]


@pytest.mark.req("B21", "B05", "B07")
async def test_a_product_shows_both_billing_fields_and_what_follows_from_them(unchanged: Served):
    shown = {
        code: await unchanged.read(f"/v1/catalog/products/{code}")
        for code in ("MAIN-LINE-1", "DATA-FEE", "INTERNET-MCF")
    }
    plan = shown["MAIN-LINE-1"]
    assert (plan["billing_type"], plan["billing_service_type"]) == ("subscription", "/service/telco/gsm/telephony")
    assert (plan["kind"], plan["customizable"]) == ("billing_component", True)
    assert plan["price"] == {"amount": "29.99", "currency": "USD"}
    assert [shown[x]["customizable"] for x in ("DATA-FEE", "INTERNET-MCF")] == [False, False]
    assert shown["INTERNET-MCF"]["synced_at"]
    assert (await unchanged.http.get("/v1/catalog/products/NOWHERE")).status_code == 404


@pytest.mark.req("B59")
@pytest.mark.parametrize("billing_type", ["Subscription", "subscription"])
async def test_synchronized_subscriptions_can_be_found(unchanged: Served, billing_type: str):
    page = f"/v1/catalog/products?billing_type={billing_type}&origin=billing_sync"
    assert [x["code"] for x in (await unchanged.read(page))["items"]] == [
        "INTERNET-MCF",
        "INTERNET-EMAIL",
        "INTERNET-SERVICE",
    ]
    assert (await unchanged.http.get("/v1/catalog/products?billing_type=subscripton")).status_code == 422
    assert (await unchanged.http.get("/v1/catalog/products?origin=heaven")).status_code == 422


async def test_products_are_listed_page_by_page_in_the_order_of_the_document(unchanged: Served):
    found: list[str] = []
    cursor = ""
    for _ in range(10):
        answer = await unchanged.http.get(f"/v1/catalog/products?limit=8{cursor}")
        assert answer.headers["x-total-count"] == "35"
        found += [x["code"] for x in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.json()['next_cursor']}"
    assert found == list(example())
    assert (await unchanged.http.get("/v1/catalog/products?cursor=Tk9XSEVSRQ==")).status_code == 422


@pytest.mark.req("B64", "B37")
async def test_the_events_of_a_simple_bundle_can_be_read(unchanged: Served):
    events = (await unchanged.read("/v1/catalog/products/INTERNET-SERVICE/events"))["items"]
    assert [x["product"] for x in events] == ["INTERNET-ACTIVATION", "INTERNET-MONTHLY-CYCLE", "INTERNET-TRAFFIC"]
    assert {x["kind"] for x in events} == {"event"}
    assert (await unchanged.read("/v1/catalog/products/WIRELESS-BUNDLE/events"))["items"] == []
    assert (await unchanged.http.get("/v1/catalog/products/NOWHERE/events")).status_code == 404


# Synchronization


@pytest.mark.req("B18", "B32", "B62", "B63")
async def test_synchronization_is_a_run_that_brings_events(api: Served):
    service = {"code": "INTERNET-SERVICE", "name": "Internet", "billing_service_type": IP}
    new_event = {"code": "INTERNET-NIGHT", "name": "Night", "billing_type": "event", "billing_service_type": IP}
    api.shop.billing.load_products(
        [
            BillingProduct(**service, billing_type="subscription", events=("INTERNET-ACTIVATION", "INTERNET-NIGHT")),  # type: ignore[arg-type]
            BillingProduct(**new_event),  # type: ignore[arg-type]
        ]
    )
    outcome = await synchronized(api)
    assert (outcome.version, outcome.published, outcome.added) == (3, True, ("INTERNET-NIGHT",))
    events = (await api.read("/v1/catalog/products/INTERNET-SERVICE/events"))["items"]
    assert [x["product"] for x in events] == ["INTERNET-ACTIVATION", "INTERNET-NIGHT"]
    assert (await api.read("/v1/catalog"))["source"] == "sync"
    assert not (await synchronized(api)).published


async def synchronized(api: Served) -> SyncOutcome:
    answer = await api.http.post("/v1/catalog/sync")
    assert answer.status_code == 202, answer.text
    run = answer.json()["run"]
    assert run["workflow_id"].startswith("catalog-sync-")
    assert run["temporal_ui"].endswith(f"{run['workflow_id']}/{run['run_id']}/user-metadata")
    handle = api.shop.client.get_workflow_handle(run["workflow_id"], result_type=SyncOutcome)
    return await asyncio.wait_for(handle.result(), 20)


async def test_the_same_key_is_the_same_synchronization(api: Served):
    headers = {"Idempotency-Key": "once"}
    runs = [(await api.http.post("/v1/catalog/sync", headers=headers)).json() for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"products": []}', b"\xff", b" "])
async def test_a_body_is_refused_where_none_is_taken_and_nothing_begins(unchanged: Served, body: bytes):
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"body-{body.hex()}"}
    answer = await unchanged.http.post("/v1/catalog/sync", content=body, headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (400, "No body expected")
    run = f"catalog-sync-{uuid5(NAMESPACE_OID, headers['Idempotency-Key'])}"
    with pytest.raises(RPCError, match="not found"):
        await unchanged.shop.client.get_workflow_handle(run).describe()


# The examples


@pytest.mark.req("B16", "B38", "B39", "B47")
@pytest.mark.parametrize("name", sorted(x.stem for x in (EXAMPLES / "orders").glob("*.json")))
async def test_every_example_order_breaks_no_rule(unchanged: Served, name: str):
    body = json.loads((EXAMPLES / "orders" / f"{name}.json").read_text())
    preview = await unchanged.http.post("/v1/orders/preview", json=body)
    assert preview.status_code == 200, preview.text
    assert preview.json()["violations"] == []
    left_out = {"two-services": ["Its component ACTIVATION-FEE is usually ordered with it"]}.get(name, [])
    assert [x["message"].partition(":")[0] for x in preview.json()["warnings"]] == left_out


@pytest.mark.req("B16", "B35", "B38", "B45", "B47")
async def test_the_example_orders_are_fulfilled_and_both_models_of_internet_access_come_to_the_same(api: Served):
    api.shop.numbers("MSISDN", "+1-555-0100", "+1-555-0142")
    api.shop.numbers("IPV4", *(f"198.51.100.{n}" for n in range(1, 10)))
    api.shop.receive("HANDSET-X1", 1)
    ids = {}
    for name in sorted(x.stem for x in (EXAMPLES / "orders").glob("*.json")):
        completed = await api.in_state(await order(api, name), "completed")
        ids[name] = [x["asset"] for x in completed["lines"]]

    assert _billed(api, ids["internet-service-bundle"]) == (1, [1])
    assert _billed(api, ids["internet-simple-service-bundle"]) == (1, [1])
    assert _billed(api, ids["five-of-one-service"]) == (1, [5])
    assert _billed(api, ids["two-services"])[0] == 4
    assert _billed(api, ids["wireless"])[0] == 2


def _billed(api: Served, assets: list[str]) -> tuple[int, list[int]]:
    """How many instances the assets have in billing, and the quantities of their purchases."""
    instances = "SELECT count(*) FROM billing.service_instances WHERE asset = ANY (:assets) AND status = 'active'"
    purchases = "SELECT quantity FROM billing.purchases WHERE asset = ANY (:assets) AND status = 'active'"
    return api.shop.one(instances, assets=assets), [x["quantity"] for x in api.shop.rows(purchases, assets=assets)]
