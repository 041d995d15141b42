"""An order from submission to installed asset."""

import tomllib
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.records import RecordActivities
from domain.order import Action
from domain.progress import OrderRef
from domain.propagation import PropagatedFields
from models.records import PostgresRecords
from tests.builders import line, order
from tests.conftest import Database
from tests.shop import Shop, open_shop, stages
from tests.workflows.catalog import WIRELESS, furnish


@pytest.mark.req("W1", "W2", "A02", "A11", "B02")
async def test_a_wireless_bundle_becomes_installed_assets_without_any_manual_step(shop: Shop) -> None:
    done = await shop.fulfil(order(WIRELESS))

    assert shop.state(done) == "completed"
    assert set(shop.line_states(done).values()) == {"completed"}
    assert set(shop.steps(done).values()) == {"done"}
    assets = shop.rows("SELECT product, status FROM orderloom.assets")
    assert {(x["product"], x["status"]) for x in assets} == {
        (product, "active") for product in ("WIRELESS", "RATE", "FEE", "HALF-PRICE", "GIFT", "SMS", "SMS-BASIC")
    }
    assert shop.one("SELECT count(*) FROM billing.service_instances") == 2


@pytest.mark.req("W2", "B49", "F21")
async def test_the_stages_stand_in_the_history_by_name_in_their_order(shop: Shop) -> None:
    handle = await shop.start(order(WIRELESS))
    await handle.result()
    expected = ["validate", "decompose", "reserve", "initiate_billing", "provision", "fulfill_billing", "asset"]
    assert [x for x in await stages(handle) if x in expected] == expected


async def test_the_history_of_a_wireless_order_stays_below_thirty_events(shop: Shop) -> None:
    handle = await shop.start(order(WIRELESS))
    await handle.result()
    history = await handle.fetch_history()
    assert len(history.events) <= 30


@pytest.mark.req("B14")
async def test_an_order_of_nothing_billed_makes_no_billing_call(shop: Shop) -> None:
    await shop.fulfil(order(line("GIFT")))
    assert shop.one("SELECT count(*) FROM billing.calls") == 0
    assert shop.one("SELECT count(*) FROM orderloom.assets") == 1


@pytest.mark.req("B47", "B45", "B35")
async def test_five_of_a_simple_service_bundle_are_one_instance_and_one_purchase_of_five(shop: Shop) -> None:
    done = await shop.fulfil(order(line("INTERNET", quantity=5)))
    assert shop.one("SELECT count(*) FROM billing.service_instances") == 1
    assert [x["quantity"] for x in shop.rows("SELECT quantity FROM billing.purchases")] == [5]
    assert [x["quantity"] for x in shop.rows("SELECT quantity FROM orderloom.assets")] == [5]
    kinds = {x["kind"] for x in shop.rows("SELECT kind FROM orderloom.cross_references")}
    assert kinds == {"service_instance", "purchased_product"}
    assert shop.state(done) == "completed"


@pytest.mark.req("F25")
async def test_a_phone_in_a_bundle_is_billed_by_its_own_delivery(shop: Shop) -> None:
    await shop.fulfil(order(line("WIRELESS", line("RATE"), line("PHONE"))))
    assert shop.one("SELECT on_hand FROM inventory.stock WHERE sku = 'PHONE'") == 9
    assert shop.one("SELECT count(*) FROM billing.calls WHERE operation = 'purchase'") == 1


async def test_two_bundles_in_one_order_complete_it_together(shop: Shop) -> None:
    done = await shop.fulfil(order(line("WIRELESS", line("RATE")), line("INTERNET")))
    assert shop.state(done) == "completed"
    events = shop.rows("SELECT seq, type FROM orderloom.order_events WHERE order_id = :o ORDER BY seq", o=done)
    assert [x["seq"] for x in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "completed"
    assert [x["type"] for x in events].count("completed") == 1


async def test_an_order_with_nothing_to_do_ends_though_its_worker_died_right_after_it_was_begun(shop: Shop) -> None:
    stored = shop.submit(order(line("GIFT", action=Action.NONE)))
    records = PostgresRecords(shop.engine)
    with records.beginning(records.load(OrderRef(order=stored.id))) as beginning:
        beginning.planned([], context=["1"], claimed={})

    await (await shop.run(stored)).result()

    assert shop.state(stored.id) == "completed"
    await shop.is_sound()


async def test_a_context_line_changes_nothing(shop: Shop) -> None:
    done = await shop.fulfil(order(line("GIFT", action=Action.NONE)))
    assert shop.state(done) == "completed"
    assert shop.one("SELECT count(*) FROM orderloom.assets") == 0


@pytest.mark.req("B29")
@pytest.mark.parametrize("fields", [{"state"}, {"state", "actual_delivery_at"}])
async def test_lines_take_over_the_delivery_date_of_their_bundle_where_that_is_configured(
    database: Database, temporal_client: Client, fields: set[str]
) -> None:
    propagated = PropagatedFields(frozenset(fields))
    async with open_shop(database.app_url, temporal_client, propagated=propagated) as shop:
        furnish(shop)
        await shop.fulfil(order(line("WIRELESS", line("RATE"), line("GIFT"))))
        dated = shop.rows("SELECT product FROM orderloom.order_lines WHERE actual_delivery_at IS NOT NULL")
    everything = {"WIRELESS", "RATE", "GIFT"}
    assert {x["product"] for x in dated} == (everything if "actual_delivery_at" in fields else {"WIRELESS"})


async def test_the_history_says_which_version_worked_on_the_order(shop: Shop) -> None:
    handle = await shop.start(order(WIRELESS))
    await handle.result()
    ended = [
        x.workflow_task_completed_event_attributes
        for x in (await handle.fetch_history()).events
        if x.HasField("workflow_task_completed_event_attributes")
    ]
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {(x.worker_deployment_name, x.worker_version.build_id) for x in ended} == {("orderloom", project["version"])}


async def test_a_plan_stays_what_it_was_when_the_worker_that_stored_it_died(shop: Shop) -> None:
    ref, records = OrderRef(order=shop.submit(order(WIRELESS)).id), PostgresRecords(shop.engine)
    activities = RecordActivities(records, shop.clock)
    first = activities.decompose(ref)
    records.synchronized("ACME-BA", at=shop.now())

    again = activities.decompose(ref)
    assert (again.plan, again.lines) == (first.plan, first.lines)
    assert [x.id for x in first.items] == list(shop.steps(ref.order))


async def test_steps_that_are_carried_out_together_are_done_at_one_moment(shop: Shop) -> None:
    done = await shop.fulfil(order(WIRELESS))
    ends = shop.rows(
        """SELECT count(DISTINCT finished_at) AS moments FROM orderloom.plan_items
            WHERE order_id = :o AND function IN ('provision', 'fulfill_billing', 'commit')""",
        o=done,
    )
    assert ends == [{"moments": 1}]
