"""A database with ACME's accounts and the wireless catalog in it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from domain.order import Order
from models import catalogs, submissions
from models.submissions import Key, Submitted
from sql.connections import autocommit, connect
from tests import builders
from tests.conftest import Database


@dataclass(frozen=True)
class Books:
    """The rows, and what a test wants of them."""

    engine: Engine

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(x) for x in connection.execute(text(sql), parameters).mappings()]

    def change(self, sql: str, **parameters: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), parameters)

    def submit(self, order: Order = builders.WIRELESS_ORDER, key: Key | None = None, **header: Any) -> Submitted:  # noqa: ANN401
        """An order as stored."""
        with autocommit(self.engine) as connection:
            stored = submissions.submit(
                connection,
                replace(order, **header),
                order_id=str(uuid4()),
                catalog_version=catalogs.current(self.engine).version,
                key=key,
                location="/v1/orders/1",
            )
        assert isinstance(stored, Submitted)
        return stored


@pytest.fixture
def books(database: Database) -> Iterator[Books]:
    engine = connect(database.app_url, pool_size=4)
    for account, parent in (("ACME", None), ("ACME-BA", "ACME"), ("ACME-SA", "ACME"), ("OTHER", None)):
        opened = {"id": account, "name": account, "class": "customer", "parent": parent}
        assert submissions.open_account(engine, opened, key=None, location="", answer={}) is None
    assert submissions.add_profile(engine, "ACME-BP", account="ACME-BA", key=None, location="", answer={}) is None
    catalogs.publish(engine, builders.WIRELESS, source="test")
    yield Books(engine)
    engine.dispose()
