"""An order house for each test, and one catalog that most of them sell from."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.builders import SMS, bundle, discount, event, goods, item, simple_bundle, subscription, unbilled
from tests.conftest import Database
from tests.shop import Shop, open_shop

PRODUCTS = (
    bundle("WIRELESS", "RATE", "FEE", "HALF-PRICE", "GIFT", "PHONE", "SMS", pool="MSISDN"),
    subscription("RATE"),
    item("FEE"),
    discount("HALF-PRICE"),
    unbilled("GIFT"),
    goods("PHONE"),
    bundle("SMS", "SMS-BASIC", billing_service_type=SMS),
    subscription("SMS-BASIC", billing_service_type=SMS),
    simple_bundle("INTERNET", "USAGE"),
    event("USAGE"),
)


@pytest.fixture
async def shop(database: Database, temporal_client: Client) -> AsyncIterator[Shop]:
    """A house that sells wireless bundles and internet, with twenty numbers and ten phones."""
    async with open_shop(database.app_url, temporal_client) as shop:
        shop.publish(*PRODUCTS)
        shop.account("ACME", "ACME-BA")
        shop.numbers("MSISDN", *(f"+1-555-01{n:02}" for n in range(20)))
        shop.receive("PHONE", 10)
        yield shop
