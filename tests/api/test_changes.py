"""Changes of what is installed, over HTTP: started from a profile item, taken as any order is (A07, A08, A18-A20)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.changing import House, open_house
from tests.api.conftest import Served
from tests.api.test_orders import BUNDLE, an_order, places

LATER = "2199-07-01"
CHANGES = ("modify", "suspend", "resume", "disconnect", "move")


@pytest.fixture(scope="module")
async def house(api: Served) -> AsyncIterator[House]:
    async with open_house(api) as found:
        yield found


@pytest.mark.req("A07", "A19", "A20")
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", ["modify", "suspend", "disconnect", "move"]),
        ("suspended", ["resume", "disconnect"]),
        ("inactive", []),
    ],
)
async def test_what_a_profile_item_offers_is_taken_and_what_it_does_not_is_refused(
    house: House, status: str, expected: list[str]
):
    services = {x: (await house.install())["WIRELESS"] for x in CHANGES}
    for change, service in services.items():
        house.becomes(service, status)
        offered = (await house.asset(service))["allowed_actions"]
        answer = await house.ask(service, change)
        assert offered == expected
        if change in offered:
            assert (answer.status_code, answer.json()["state"]) == (202, "acknowledged"), answer.text
        else:
            assert (answer.status_code, answer.json()["title"]) == (409, "Not allowed now")
            assert {x[0] for x in places(answer.json()["violations"])} == {"ASSET_STATE"}


@pytest.mark.req("A07")
async def test_parts_offer_what_leaves_the_service_whole(house: House):
    assets = await house.install()
    items = (await house.http.get("/v1/accounts/ACME/service-profile", params={"limit": 200})).json()["items"]
    offered = {x["product"]: x["allowed_actions"] for x in items if x["asset_id"] in assets.values()}
    assert offered == {
        "WIRELESS": ["modify", "suspend", "disconnect", "move"],
        "TEXTING": ["modify", "suspend", "disconnect"],
        "PLAN": ["modify"],
        **{x: ["modify", "disconnect"] for x in ("MINUTES", "TEXT-BASIC", "CASE", "PHONE")},
    }


@pytest.mark.req("A20")
async def test_what_is_being_disconnected_is_pending_and_not_disconnected_twice(house: House):
    service = (await house.install())["WIRELESS"]
    first = (await house.ask(service, "disconnect", due_date=LATER)).json()

    again = await house.ask(service, "disconnect")

    asset = await house.asset(service)
    assert again.status_code == 409
    assert again.json()["violations"][0]["message"].startswith(
        "A request has already been made to disconnect this service item"
    )
    assert asset["allowed_actions"] == []
    assert asset["pending_changes"] == [
        {"order": first["id"], "number": first["number"], "line": "1", "action": "delete", "due": f"{LATER}T00:00:00Z"}
    ]
    assert {x["pending_changes"][0]["action"] for x in asset["children"]} == {"delete"}


async def test_what_an_order_will_have_done_by_then_counts(house: House):
    service = (await house.install())["WIRELESS"]
    assert (await house.ask(service, "suspend", due_date="2199-06-01")).status_code == 202
    assert (await house.ask(service, "resume", due_date="2199-05-01")).status_code == 409
    assert (await house.ask(service, "resume", due_date=LATER)).status_code == 202
    assert [x["action"] for x in (await house.asset(service))["pending_changes"]] == ["suspend", "resume"]


@pytest.mark.req("C23", "A19")
async def test_a_modification_names_what_changes_and_may_add_and_drop_components(house: House):
    assets = await house.install()
    lines = [
        {"id": "1.1", "product": "VOICEMAIL"},
        {"id": "1.2", "action": "delete", "asset": assets["CASE"]},
    ]
    answer = await house.ask(assets["WIRELESS"], "modify", service_end=LATER, service_id="+1-555-0199", lines=lines)
    assert answer.status_code == 202, answer.text
    read = {x["id"]: x for x in (await house.http.get(answer.headers["location"])).json()["lines"]}
    assert {x: (y["action"], y["product"], y["changes"]) for x, y in read.items()} == {
        "1": ("update", "WIRELESS", ["service_id", "attributes", "service_end"]),
        "1.1": ("add", "VOICEMAIL", None),
        "1.2": ("delete", "CASE", None),
    }
    assert (read["1"]["asset"], read["1"]["attributes"]["apn"]) == (assets["WIRELESS"], "fast")


@pytest.mark.parametrize(
    ("change", "body", "status"),
    [
        ("modify", {"billing_account": "NOBODY"}, 422),
        ("modify", {"quantity": 2}, 422),
        ("move", {"service_point": None, "service_account": "ACME-SA"}, 422),
        ("modify", {"attributes": {}}, 409),
    ],
)
async def test_broken_rules_are_told_apart_from_what_the_asset_does_not_allow(
    house: House, change: str, body: dict[str, Any], status: int
):
    service = (await house.install())["WIRELESS"]
    assert (await house.ask(service, change, **body)).status_code == status


@pytest.mark.req("A19", "B54")
async def test_a_value_on_a_line_that_changes_nothing_is_refused_by_its_name(house: House):
    """Sent at once, or named by a draft that is submitted: neither is taken without it."""
    service = (await house.install())["WIRELESS"]
    named = {"price": {"amount": "1.00", "currency": "USD"}, "location": "NORTH", "quantity": 1}
    suspend = {"id": "1", "action": "suspend", "asset": service}
    answer = await house.http.post("/v1/orders", json={"account": "ACME", "lines": [suspend | named]})
    expected = {("STRUCTURE", "A19", "1", "price"), ("STRUCTURE", "A19", "1", "location")}
    assert (answer.status_code, places(answer.json()["violations"])) == (422, expected)

    path = (await house.ask(service, "suspend", submit=False)).headers["location"]
    await house.http.patch(path, json={"lines": [{"id": "1", "attributes": {"apn": "fast"}}]})
    submitted = await house.http.post(f"{path}/submission")
    assert submitted.status_code == 422
    assert places(submitted.json()["violations"]) == {("STRUCTURE", "A19", "1", "attributes")}


@pytest.mark.req("B53", "B69")
async def test_moves_and_replacements_are_two_halves_of_one_order(house: House):
    moved, replaced = [(await house.install())["WIRELESS"] for _ in range(2)]
    move = await house.ask(moved, "move")
    assert move.status_code == 202, move.text
    halves = {x["action"]: x for x in move.json()["lines"] if x["parent"] is None}
    assert halves["move_add"]["service_point"] == "SP-2"
    assert halves["move_add"]["related_line"] == halves["move_delete"]["id"]
    assert halves["move_delete"]["asset"] == moved

    new = {"product": "WIRELESS", "lines": [{"id": "1.1", "product": "PLAN"}]}
    replacement = await house.ask(replaced, "replace", **new)
    assert replacement.status_code == 202, replacement.text
    roots = [x for x in replacement.json()["lines"] if x["parent"] is None]
    assert [(x["action"], x["replaces"], x["asset"]) for x in roots] == [
        ("add", replaced, None), ("delete", None, replaced)
    ]  # fmt: skip
    assert {x["billing_account"] for x in roots} == {"ACME-BA"}


@pytest.mark.req("A08", "C15")
async def test_a_change_is_started_from_a_profile_item_left_as_a_draft_edited_and_submitted(house: House):
    service = (await house.install())["WIRELESS"]
    started = await house.ask(service, "suspend", submit=False)
    assert (started.status_code, started.json()["state"]) == (201, "draft")
    assert (await house.asset(service))["pending_changes"] == []

    path = started.headers["location"]
    edited = await house.http.patch(path, json={"lines": [{"id": "1", "due_date": LATER}]})
    assert [(x["action"], x["asset"], x["due_date"]) for x in edited.json()["lines"]] == [("suspend", service, LATER)]

    submitted = await house.http.post(f"{path}/submission")
    assert submitted.status_code == 202, submitted.text
    assert {x["action"] for x in submitted.json()["lines"]} == {"suspend"}
    assert len(submitted.json()["lines"]) == 7
    assert (await house.asset(service))["pending_changes"][0]["number"] == submitted.json()["number"]
    assert (await house.http.patch(path, json={"priority": 1})).status_code == 409


@pytest.mark.req("A08")
async def test_a_change_that_waits_for_its_day_is_revised(house: House):
    api, service = house.served, (await house.install())["WIRELESS"]
    submitted = await api.http.post(f"/v1/assets/{service}/suspend", json={"due_date": LATER})
    order = await api.in_state(submitted.json(), "pending")
    lines = [{"id": "1", "action": "suspend", "asset": service, "due_date": "2199-08-01"}]

    revised = await api.http.post(f"/v1/orders/{order['id']}/revisions", json={"account": "ACME", "lines": lines})

    assert (revised.status_code, revised.json()["state"]) == (202, "accepted"), revised.text
    assert {x["due_date"] for x in (await api.read(f"/v1/orders/{order['id']}"))["lines"]} == {"2199-08-01"}
    assert (await house.asset(service))["pending_changes"][0]["due"] == "2199-08-01T00:00:00Z"


@pytest.mark.req("A08")
@pytest.mark.parametrize("action", ["suspend", "delete"])
async def test_what_waits_is_revised_beside_what_the_order_has_changed_already(house: House, action: str):
    api, services = house.served, [(await house.install())["WIRELESS"] for _ in range(2)]
    lines = [{"id": str(n), "action": action, "asset": x} for n, x in enumerate(services, 1)]
    first, second = lines[0], {**lines[1], "due_date": LATER}
    asked = {"account": "ACME", "lines": [first, second]}
    submitted = await api.http.post("/v1/orders", json=asked)
    assert submitted.status_code == 202, submitted.text
    order = await api.in_state(submitted.json(), "pending")
    path = f"/v1/orders/{order['id']}/revisions"

    revised = await api.http.post(path, json={**asked, "lines": [first, {**second, "due_date": "2199-08-01"}]})
    assert (revised.status_code, revised.json().get("state")) == (202, "accepted"), revised.text

    late = await api.http.post(path, json={**asked, "lines": [{**first, "due_date": LATER}, second]})
    assert (late.status_code, late.json()["title"]) == (409, "Past the point of no return"), late.text
    assert late.json()["violations"][0]["line"].startswith("1")


@pytest.mark.req("A07", "A19")
async def test_what_is_suspended_from_its_profile_item_can_be_resumed_from_there(house: House):
    api, service = house.served, (await house.install())["WIRELESS"]
    for change, offered in (("suspend", ["resume", "disconnect"]), ("resume", None), ("disconnect", [])):
        asked = await api.http.post(f"/v1/assets/{service}/{change}")
        order = await api.in_state(asked.json(), "completed")
        assert {x["state"] for x in order["lines"]} == {"completed"}
        allowed = (await house.asset(service))["allowed_actions"]
        assert allowed == (["modify", "suspend", "disconnect", "move"] if offered is None else offered)


async def test_values_that_a_draft_names_one_after_the_other_are_all_changed(house: House):
    service = (await house.install())["WIRELESS"]
    path = (await house.ask(service, "modify", submit=False)).headers["location"]
    await house.http.patch(path, json={"lines": [{"id": "1", "promotion_ref": "SPRING"}]})
    submitted = (await house.http.post(f"{path}/submission")).json()
    assert submitted["lines"][0]["changes"] == ["attributes", "promotion_ref"]


@pytest.mark.req("W4")
async def test_the_same_request_is_the_same_change(house: House):
    service = (await house.install())["WIRELESS"]
    url, headers = f"/v1/assets/{service}/disconnect", {"Idempotency-Key": f"off-{service}"}
    first, again = [await house.http.post(url, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    other = await house.http.post(url, headers=headers, json={"due_date": LATER})
    assert (other.status_code, other.json()["title"]) == (422, "Idempotency key reused")


async def test_an_asset_that_is_not_there_is_not_changed(house: House):
    answer = await house.ask("00000000-0000-0000-0000-000000000000", "suspend")
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such asset.")


@pytest.mark.req("A18")
async def test_what_is_new_names_no_asset(house: House):
    asset = (await house.install())["WIRELESS"]
    answer = await house.http.post("/v1/orders", json=an_order(lines=[{**BUNDLE, "asset": asset}]))
    assert answer.status_code == 422
    assert ("ASSET_STATE", "A18", "1", "asset") in places(answer.json()["violations"])


@pytest.mark.req("A05")
async def test_without_asset_based_ordering_new_products_are_ordered_and_nothing_is_changed(house: House):
    service = (await house.install())["WIRELESS"]
    change = an_order(lines=[{"id": "1", "action": "suspend", "asset": service}])
    async with open_house(house.served, asset_based_ordering=False) as off:
        for view in ("service-profile", "installed-assets", "billing-items", "customer-portal"):
            assert (await off.http.get(f"/v1/accounts/ACME/{view}")).status_code == 404, view
        refused = [
            await off.ask(service, "suspend"),
            await off.ask(service, "suspend", submit=False),
            await off.http.post("/v1/orders", json=change),
        ]
        assert {(x.status_code, x.json()["title"]) for x in refused} == {(409, "Asset-based ordering is off")}
        assert (await off.asset(service))["allowed_actions"] == []
        assert (await off.http.post("/v1/orders", json=an_order())).status_code == 202
