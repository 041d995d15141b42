"""The schema's way from nothing to now, and back."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from models.database import downgrade, upgrade
from models.tables import metadata
from tests.conftest import Database


def schemas(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        found = set(inspect(engine).get_schema_names())
    finally:
        engine.dispose()
    return found


def test_the_schema_goes_up_and_down_and_up_again(database: Database) -> None:
    everything = schemas(database.owner_url)
    assert {"orderloom", "inventory", "provisioning", "billing"} <= everything
    downgrade(database.owner_url, "base")
    assert not {"orderloom", "inventory", "provisioning", "billing"} & schemas(database.owner_url)
    upgrade(database.owner_url)
    assert schemas(database.owner_url) == everything


def test_an_upgrade_that_is_done_is_done(database: Database) -> None:
    upgrade(database.owner_url)
    upgrade(database.owner_url)


def test_the_tables_the_code_speaks_of_are_those_the_migrations_make(database: Database) -> None:
    engine = create_engine(database.owner_url)
    with engine.connect() as connection:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == "orderloom",
        }
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []
