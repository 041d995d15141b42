"""An order house for each test."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.conftest import Database
from tests.shop import Shop, open_shop
from tests.workflows.catalog import furnish


@pytest.fixture
async def shop(database: Database, temporal_client: Client) -> AsyncIterator[Shop]:
    """A house that sells wireless bundles and internet."""
    async with open_shop(database.app_url, temporal_client) as shop:
        furnish(shop)
        yield shop
