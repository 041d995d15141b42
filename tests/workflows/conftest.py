"""An order house for each test."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.boundaries import Boundaries, Watched
from tests.builders import order
from tests.conftest import Database
from tests.shop import Shop, open_shop
from tests.workflows.catalog import INTERNET, furnish


@pytest.fixture
async def shop(database: Database, temporal_client: Client) -> AsyncIterator[Shop]:
    """A house that sells wireless bundles and internet."""
    async with open_shop(database.app_url, temporal_client) as shop:
        furnish(shop)
        yield shop


@pytest.fixture(params=[False, True], ids=["quick", "stumbling"])
async def watched(
    request: pytest.FixtureRequest, database: Database, temporal_client: Client
) -> AsyncIterator[Watched]:
    """A house with much in stock, in which something can happen at any boundary."""
    boundaries = Boundaries()
    async with open_shop(database.app_url, temporal_client, around=boundaries.around) as shop:
        furnish(shop)
        shop.receive("PHONE", 500)
        shop.numbers("MSISDN", *(f"+1-555-2{n:03}" for n in range(200)))
        await shop.fulfil(order(INTERNET))  # billing knows the account from now on
        boundaries.stumbling = request.param
        yield Watched(shop, boundaries)
