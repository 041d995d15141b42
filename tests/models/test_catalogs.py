"""Catalog versions in the database: whole, numbered, immutable."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from domain.catalog import Catalog, Kind
from models import catalogs
from sql.connections import connect
from tests.builders import bundle, catalog, event, simple_bundle, subscription
from tests.conftest import Database

WIRELESS = catalog(bundle("WIRELESS", "LINE"), subscription("LINE"))
INTERNET = catalog(simple_bundle("INTERNET", "TRAFFIC"), event("TRAFFIC"))


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = connect(database.app_url, pool_size=2)
    yield engine
    engine.dispose()


def test_before_anything_is_published_there_is_an_empty_version_zero(engine: Engine):
    assert catalogs.current(engine) == Catalog(0)


def test_a_published_version_is_read_back_as_it_was(engine: Engine):
    published = catalogs.publish(engine, WIRELESS, source="test")
    catalogs.load.cache_clear()  # as in another process

    assert catalogs.current(engine) == catalogs.load(engine, 1) == published
    assert dict(published.products) == dict(WIRELESS.products)
    assert catalogs.load(engine, 1) is catalogs.load(engine, 1)
    assert catalogs.publication(engine, 1).source == "test"


def test_the_same_products_again_are_the_same_version(engine: Engine):
    catalogs.publish(engine, INTERNET, source="test")
    later = [replace(x, synced_at=datetime(2026, 3, 1, tzinfo=UTC)) for x in INTERNET]

    assert catalogs.publish(engine, later, source="test").version == 1
    assert catalogs.publish(engine, WIRELESS, source="test").version == 2
    assert catalogs.publish(engine, INTERNET, source="test").version == 3


@pytest.mark.req("B62")
def test_older_versions_stay_as_they_were(engine: Engine):
    catalogs.publish(engine, INTERNET, source="test")
    catalogs.publish(engine, [replace(INTERNET["INTERNET"], components=())], source="test")

    assert [x.product for x in catalogs.load(engine, 1)["INTERNET"].components] == ["TRAFFIC"]
    assert catalogs.load(engine, 2)["INTERNET"].components == ()


def test_two_who_publish_at_once_do_not_overwrite_each_other(engine: Engine):
    first = catalogs.publish(engine, WIRELESS, source="test")
    catalogs.publish(engine, INTERNET, source="test", after=first)

    with pytest.raises(catalogs.Overtaken):
        catalogs.publish(engine, [*WIRELESS, *INTERNET], source="test", after=first)
    assert catalogs.current(engine).version == 2


def test_there_is_no_version_that_nobody_published(engine: Engine):
    with pytest.raises(KeyError):
        catalogs.load(engine, 1)
    with pytest.raises(KeyError):
        catalogs.publication(engine, 1)


@pytest.mark.req("B55")
def test_publishing_records_the_cross_reference_of_what_came_from_billing(engine: Engine):
    catalogs.publish(engine, [*WIRELESS, *INTERNET], source="test")

    assert catalogs.billing_product(engine, "INTERNET") == "INTERNET"
    assert catalogs.billing_product(engine, "LINE") is None


@pytest.mark.req("B66")
def test_what_once_was_a_service_is_remembered_as_that(engine: Engine):
    catalogs.publish(engine, INTERNET, source="test")
    catalogs.publish(engine, WIRELESS, source="test")
    catalogs.load.cache_clear()

    known = catalogs.current(engine).known
    assert (known["INTERNET"], known["WIRELESS"]) == (Kind.SIMPLE_SERVICE_BUNDLE, Kind.SERVICE_BUNDLE)


def _order(engine: Engine, number: int, state: str, asset: str) -> None:
    """An order of one WIRELESS line, and its asset in a state."""
    id_ = f"00000000-0000-0000-0000-{number:012}"
    with engine.begin() as connection:
        connection.execute(
            text("""
            WITH account AS (
                INSERT INTO orderloom.accounts (id, name, class) VALUES ('A', 'A', 'customer') ON CONFLICT DO NOTHING),
            profile AS (
                INSERT INTO orderloom.billing_profiles (id, account) VALUES ('P', 'A') ON CONFLICT DO NOTHING),
            placed AS (
                INSERT INTO orderloom.orders (id, account, catalog_version, state, priority, document, completed_at)
                VALUES (CAST(:id AS uuid), 'A', 1, :state, 4, '{}', CASE :state WHEN 'completed' THEN now() END)),
            line AS (
                INSERT INTO orderloom.order_lines
                       (order_id, id, position, root, product, action, quantity, asset, state)
                VALUES (CAST(:id AS uuid), '1', 0, '1', 'WIRELESS', 'add', 1, CAST(:id AS uuid), 'acknowledged'))
            INSERT INTO orderloom.assets
                   (id, product, catalog_version, root, account, service_account, billing_account, billing_profile,
                    quantity, attributes, status, service_start, created_by_order, created_by_line)
            VALUES (CAST(:id AS uuid), 'WIRELESS', 1, CAST(:id AS uuid), 'A', 'A', 'A', 'P', 1, '{}', :asset, now(),
                    CAST(:id AS uuid), '1')
            """),
            {"id": id_, "state": state, "asset": asset},
        )


@pytest.mark.req("B40", "B61")
def test_open_orders_and_assets_that_are_not_inactive_reference_a_product(engine: Engine):
    catalogs.publish(engine, WIRELESS, source="test")
    _order(engine, 1, "completed", "inactive")
    assert catalogs.usages(engine, "WIRELESS") == ()
    assert catalogs.in_use(engine, ["WIRELESS", "LINE"]) == frozenset()

    _order(engine, 2, "held", "inactive")
    _order(engine, 3, "draft", "inactive")
    _order(engine, 4, "completed", "suspended")
    found = [(x.kind, int(x.id[-4:])) for x in catalogs.usages(engine, "WIRELESS")]
    assert found == [("asset", 4), ("order", 2), ("order", 3)]
    assert catalogs.in_use(engine, ["WIRELESS", "LINE"]) == {"WIRELESS"}
    assert catalogs.usages(engine, "LINE") == ()
