"""Editing products over HTTP: what may be changed by hand, and what not."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client

from models import catalogs
from tests.api.catalog_calls import IP, patch, publish_example, put_products, rules
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


@pytest.mark.req("B41", "B66")
async def test_name_description_price_and_lifecycle_are_changed_by_hand(api: Served):
    change = {"name": "Mail", "description": "Ten boxes", "price": {"amount": "4.50", "currency": "USD"}}
    answer = await patch(api, "INTERNET-EMAIL", **change, lifecycle="retired")
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"3"'
    read = await api.read("/v1/catalog/products/INTERNET-EMAIL")
    assert read == answer.json()
    assert {name: read[name] for name in change} == change
    assert read["kind"] == "simple_service_bundle"
    assert (await api.read("/v1/catalog"))["source"] == "edit"
    assert (await patch(api, "INTERNET-EMAIL", description=None)).json()["description"] is None


async def test_an_edit_that_changes_nothing_is_no_new_version(unchanged: Served):
    answer = await patch(unchanged, "SMS", name="Text messaging")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')


@pytest.mark.req("B18", "B20")
async def test_what_comes_from_billing_is_not_typed(unchanged: Served):
    for code in ("SMS", "INTERNET-MCF", "WELCOME-GIFT"):
        answer = await patch(unchanged, code, billing_service_type=IP)
        assert (answer.status_code, rules(answer)) == (403, [("SYNCED_FIELD", "B18", code)])
    answer = await patch(unchanged, "INTERNET-MCF", billing_type="item")
    assert (answer.status_code, rules(answer)) == (403, [("SYNCED_FIELD", "B20", "INTERNET-MCF")])
    assert catalogs.current(unchanged.engine).version == 2


@pytest.mark.req("B41", "B63", "B55", "B60", "B66")
@pytest.mark.parametrize(
    ("code", "change", "violation"),
    [
        ("INTERNET-SERVICE", {"components": [{"product": "WELCOME-GIFT"}]}, ("SSB_CHILD", "B63")),
        ("INTERNET-SERVICE", {"components": [{"product": "MCF-TRAFFIC"}]}, ("SSB_CHILD", "B63")),
        ("MAIN-LINE-1", {"service_instance": True}, ("SERVICE_INSTANCE", "B55")),
        ("ACTIVATION-FEE", {"service_instance": True}, ("SERVICE_INSTANCE", "B60")),
        ("FREE-MINUTES", {"service_instance": True}, ("SERVICE_INSTANCE", "B60")),
        ("MCF-TRAFFIC", {"service_instance": True}, ("SERVICE_INSTANCE", "B60")),
        ("WELCOME-GIFT", {"service_instance": True}, ("SERVICE_INSTANCE", "B60")),
        ("SMS", {"service_instance": True}, ("KIND_FROZEN", "B66")),
        ("SMS", {"billing_type": "subscription", "service_instance": True}, ("KIND_FROZEN", "B66")),
        ("INTERNET-SERVICE", {"billing_type": "service_bundle", "service_instance": False}, ("KIND_FROZEN", "B66")),
    ],
)
async def test_what_a_product_is_forbids_some_edits(
    unchanged: Served, code: str, change: dict[str, Any], violation: tuple[str, str]
):
    answer = await patch(unchanged, code, **change)
    assert answer.status_code == 409
    assert (*violation, code) in rules(answer)
    assert catalogs.current(unchanged.engine).version == 2


async def test_an_edit_that_breaks_a_rule_of_the_catalog_is_refused(unchanged: Served):
    answer = await patch(unchanged, "SMS", components=[{"product": "SMS-BASIC", "min": 2}])
    assert answer.status_code == 422
    assert ("CARDINALITY", "2.1", "SMS") in rules(answer)
    misspelt = await patch(unchanged, "FREE-MINUTES", billing_type="dscount")
    assert (misspelt.status_code, rules(misspelt)) == (422, [("BILLING_TYPE", "B04", "FREE-MINUTES")])
    assert (await patch(unchanged, "NOWHERE", name="x")).status_code == 404
    assert (await patch(unchanged, "SMS", code="X")).status_code == 422


CANDIDATE = {"code": "DSL", "name": "DSL", "billing_type": "Subscription", "billing_service_type": IP,
             "origin": "billing_sync", "delivery_kind": "none"}  # fmt: skip
HOME = {"code": "HOME", "name": "Home", "billing_type": "Service Bundle", "billing_service_type": IP,
        "components": [{"product": "DSL"}, {"product": "EXTRA"}]}  # fmt: skip
EXTRA = {"code": "EXTRA", "name": "Extra", "billing_type": "subscription", "billing_service_type": IP}


def _write(api: Served, sql: str) -> None:
    with api.engine.begin() as connection:
        connection.execute(text(sql))


def an_order_of(*products: str, external_id: str) -> dict[str, Any]:
    first, *below = products
    lines = [{"id": f"1.{n}", "product": x} for n, x in enumerate(below, 1)]
    accounts = {"service_account": "ACME-BA", "billing_account": "ACME-BA", "billing_profile": "ACME-BP"}
    root = {"id": "1", "product": first, "lines": lines, **accounts}
    return {"external_id": external_id, "account": "ACME", "lines": [root]}


@pytest.mark.req("B40", "B55", "B60", "B61")
async def test_a_subscription_is_converted_only_while_nothing_here_or_in_billing_references_it(api: Served):
    assert (await put_products(api, CANDIDATE, HOME, EXTRA)).status_code == 200
    placed = await api.submit(an_order_of("HOME", "DSL", external_id="1"))
    refused = await patch(api, "DSL", service_instance=True)
    assert refused.status_code == 409
    assert ("REFERENCED", "B40", "DSL") in rules(refused)
    await api.in_state(placed, "completed")

    referenced = await patch(api, "DSL", service_instance=True)
    assert referenced.status_code == 409
    assert set(rules(referenced)) == {("REFERENCED", "B40", "DSL")}
    said = [x["message"] for x in referenced.json()["violations"]]
    assert sum("Asset" in x and "orderloom" in x for x in said) == 1
    assert sum("Purchase" in x and "billing" in x for x in said) == 1
    as_document = await put_products(api, CANDIDATE | {"service_instance": True}, HOME, EXTRA)
    assert as_document.status_code == 422
    assert set(rules(as_document)) == {("REFERENCED", "B40", "DSL")}

    _write(api, "UPDATE orderloom.assets SET status = 'inactive'")
    only_billing = await patch(api, "DSL", service_instance=True)
    assert [x["message"].split()[0] for x in only_billing.json()["violations"]] == ["Purchase"]
    _write(api, "UPDATE billing.purchases SET status = 'cancelled', ended_at = now()")
    converted = await patch(api, "DSL", service_instance=True)
    assert (converted.status_code, converted.json()["kind"]) == (200, "simple_service_bundle")
    assert (await patch(api, "DSL", service_instance=False)).status_code == 200
    assert (await patch(api, "DSL", service_instance=True)).status_code == 200

    await api.submit(an_order_of("DSL", external_id="2"))
    frozen = await patch(api, "DSL", service_instance=False)
    assert frozen.status_code == 409
    assert {x[1] for x in rules(frozen)} == {"B61"}
    assert (await patch(api, "DSL", description="Fast")).status_code == 200
