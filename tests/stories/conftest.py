"""A house per story, empty at its beginning."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.conftest import Database
from tests.shop import Shop, open_shop


@pytest.fixture
async def shop(database: Database, temporal_client: Client) -> AsyncIterator[Shop]:
    """An empty house."""
    async with open_shop(database.app_url, temporal_client) as shop:
        yield shop
