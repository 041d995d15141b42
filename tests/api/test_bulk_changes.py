"""One request that changes many assets, over HTTP: an order for each, and how far that is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from adapters.switches import Mode, Switch
from api.bulk_changes import AT_ONCE
from models import bulk_changes
from models.bulk_changes import AssetSelection
from tests.api.changing import House, open_house
from tests.api.conftest import Served, open_api
from tests.conftest import Database

LATER = "2199-07-01"
ANY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def house(fresh_api: Served) -> AsyncIterator[House]:
    async with open_house(fresh_api) as found:
        yield found


async def asked(house: House, **body: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = await house.http.post("/v1/assets/changes", json=body)
    assert answer.status_code == 202, answer.text
    return await settled(house, answer.headers["location"])


async def settled(house: House, location: str) -> dict[str, Any]:
    """How far it is once no asset waits."""
    async with asyncio.timeout(20):
        while True:
            found: dict[str, Any] = (await house.http.get(location)).json()
            if not found["waiting"]:
                return found
            await asyncio.sleep(0.05)


async def items(house: House, bulk: dict[str, Any], **filters: str) -> list[dict[str, Any]]:
    answer = await house.http.get(f"/v1/assets/changes/{bulk['id']}/items", params=filters)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_an_asset_that_cannot_be_asked_holds_no_other_up(house: House):
    """As one whose price was stored before anybody looked whether it is an amount."""
    first, second = [(await house.install())["WIRELESS"] for _ in range(2)]
    nonsense = {"price": {"amount": "5.001", "currency": "USD"}}
    only = AssetSelection(ids=[first])
    poisoned = str(uuid4())
    bulk_changes.submit(
        house.served.engine, poisoned, only, change="modify", document=nonsense, at_most=1, key=None, location=""
    )
    bulk = await asked(house, change="suspend", assets=[second], due_date=LATER)
    assert bulk["refused"] == 0
    await settled(house, f"/v1/assets/changes/{poisoned}")
    (refused,) = await items(house, {"id": poisoned})
    assert refused["refusal"] == "The fault is ours; it has been logged."


@pytest.mark.req("A19")
async def test_each_asset_gets_an_order_of_its_own_and_one_that_does_not_allow_it_is_refused_alone(house: House):
    services = [(await house.install())["WIRELESS"] for _ in range(4)]
    house.becomes(services[1], "suspended")

    bulk = await asked(house, change="suspend", assets=services, due_date=LATER, reason="unpaid")

    assert (bulk["total"], bulk["refused"], bulk["ended"]) == (4, 1, False)
    assert sum(bulk["orders"].values()) == 3
    refused = await items(house, bulk, state="refused")
    assert [(x["asset"], x["order"]) for x in refused] == [(services[1], None)]
    assert refused[0]["refusal"] == "An asset that is suspended does not allow this action."
    taken = [x for x in await items(house, bulk) if x["order"]]
    for each in taken:
        order = (await house.http.get(f"/v1/orders/{each['order']}")).json()
        assert (order["number"], order["actions"]) == (each["number"], ["suspend"])
        assert (order["lines"][0]["asset"], order["lines"][0]["due_date"]) == (each["asset"], LATER)
    assert len({x["order"] for x in taken}) == 3


async def test_many_are_suspended_each_by_its_own_order_until_none_is_open(fresh_api: Served):
    async with open_house(fresh_api) as house:
        services = [(await house.install())["WIRELESS"] for _ in range(3)]
    answer = await fresh_api.http.post("/v1/assets/changes", json={"change": "suspend", "assets": services})
    bulk = answer.json()
    async with asyncio.timeout(30):
        while not bulk["ended"]:
            await asyncio.sleep(0.1)
            bulk = await fresh_api.read(answer.headers["location"])
    assert (bulk["orders"], bulk["waiting"], bulk["refused"]) == ({"completed": 3}, 0, 0)
    assert {(await fresh_api.read(f"/v1/assets/{x}"))["status"] for x in services} == {"suspended"}
    await fresh_api.shop.is_sound()


async def test_few_are_under_way_at_once_and_what_waits_for_a_person_holds_no_other_up(
    database: Database, temporal_client: Client
):
    async with open_api(database, temporal_client, bulk_change_orders=1) as api:
        house = House(api.http, api)
        services = [(await house.install())["WIRELESS"] for _ in range(6)]
        api.shop.provisioning.switches.set("suspend", Switch(mode=Mode.REFUSE))
        answer = await api.http.post("/v1/assets/changes", json={"change": "suspend", "assets": services})
        under_way = 0
        async with asyncio.timeout(30):
            while (found := await api.read(answer.headers["location"]))["orders"] != {"held": 6}:
                going = sum(found["orders"].get(x, 0) for x in ("acknowledged", "inProgress"))
                under_way = max(under_way, going)
    assert 1 <= under_way <= AT_ONCE


async def test_assets_are_selected_by_account_and_product_and_given_values(house: House):
    installed = [await house.install() for _ in range(2)]
    given = {"values": {"attributes": {"minutes": 500}}, "selection": {"account": "ACME", "product": "PLAN"}}
    bulk = await asked(house, change="modify", **given)
    assert {x["asset"] for x in await items(house, bulk)} == {x["PLAN"] for x in installed}
    whole = await asked(house, change="disconnect", selection={"account": "ACME"}, due_date=LATER)
    assert {x["asset"] for x in await items(house, whole)} == {x["WIRELESS"] for x in installed}
    assert sum(whole["orders"].values()) == 2


async def test_whoever_dies_over_an_asset_has_not_asked_it_twice(house: House):
    service = (await house.install())["WIRELESS"]
    bulk = await asked(house, change="suspend", assets=[service], due_date=LATER)
    (before,) = await items(house, bulk)
    with house.served.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orderloom.bulk_change_items SET order_id = NULL")

    await settled(house, f"/v1/assets/changes/{bulk['id']}")

    assert [x["order"] for x in await items(house, bulk)] == [before["order"]]


@pytest.mark.req("W4")
async def test_the_same_request_is_the_same_bulk_change(house: House):
    body = {"change": "suspend", "assets": [(await house.install())["WIRELESS"]]}
    headers = {"Idempotency-Key": "bulk-1"}
    first, again = [await house.http.post("/v1/assets/changes", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert house.served.count("bulk_changes") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"change": "suspend", "assets": [ANY]},
        {"change": "suspend", "selection": {"product": "NOTHING"}},
        {"change": "suspend"},
        {"change": "suspend", "selection": {}},
        {"change": "modify", "selection": {"account": "ACME"}},
        {"change": "suspend", "selection": {"account": "ACME"}, "values": {"quantity": 2}},
        {"change": "modify", "assets": [ANY], "values": {"price": {"amount": "5.001", "currency": "USD"}}},
    ],
)
async def test_a_request_that_names_no_assets_or_asks_nothing_is_refused(house: House, body: dict[str, Any]):
    assert (await house.http.post("/v1/assets/changes", json=body)).status_code == 422
    assert house.served.count("bulk_changes") == 0


async def test_without_asset_based_ordering_nothing_is_changed_in_bulk(house: House):
    async with open_house(house.served, asset_based_ordering=False) as off:
        answer = await off.http.post("/v1/assets/changes", json={"change": "suspend", "selection": {"account": "ACME"}})
        assert (answer.status_code, answer.json()["title"]) == (409, "Asset-based ordering is off")
