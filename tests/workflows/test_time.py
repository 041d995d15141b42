"""Weeks and hours in a moment: the same workflow on a Temporal whose clock can be skipped."""

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from adapters.switches import Mode, Switch
from tests.builders import order
from tests.conftest import Database
from tests.shop import Shop, open_shop
from tests.workflows.catalog import INTERNET, WIRELESS, furnish
from workflows import search_attributes
from workflows.messages import Patience


@pytest.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal that skips time whenever nothing but time is waited for."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(Path(sys.executable).parent / "temporal-test-server"),
        data_converter=pydantic_data_converter,
    )
    async with environment:
        wanted = {key.name: key.indexed_value_type for key in search_attributes.ALL}
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=wanted)  # type: ignore[arg-type]
        )
        yield environment


@pytest.fixture
async def shop(database: Database, skipping: WorkflowEnvironment) -> AsyncIterator[Shop]:
    """A house whose Temporal skips time."""
    client: Client = skipping.client
    async with open_shop(database.app_url, client) as shop:
        furnish(shop)
        yield shop


async def test_an_order_for_next_month_waits_in_pending_and_then_begins(
    shop: Shop, skipping: WorkflowEnvironment
) -> None:
    start = await skipping.get_current_time() + timedelta(days=30)
    handle = await shop.start(order(INTERNET, requested_start=start))
    identity = handle.id.removeprefix("order-")
    await shop.until(lambda: shop.state(identity) == "pending")
    assert shop.one("SELECT reason FROM orderloom.orders WHERE id = :o", o=identity) == "requested start"
    assert shop.one("SELECT count(*) FROM inventory.calls") == 0

    await skipping.sleep(timedelta(days=30))

    await shop.until(lambda: shop.state(identity) == "completed")


async def test_patience_of_half_an_hour_ends_in_a_fallout(shop: Shop, skipping: WorkflowEnvironment) -> None:
    shop.billing.switches.set("initiate", Switch(mode=Mode.FAIL_BEFORE))
    began = await skipping.get_current_time()
    handle = await shop.start(order(WIRELESS), patience=Patience())
    await skipping.sleep(timedelta(minutes=31))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert await skipping.get_current_time() - began >= timedelta(minutes=30)
    shop.billing.switches.clear("initiate")
    await shop.decide(fallout, "retry")
    await shop.until(lambda: shop.state(str(fallout["order_id"])) == "completed")
