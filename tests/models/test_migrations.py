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


def test_fallouts_of_before_the_work_list_become_part_of_it(database: Database) -> None:
    downgrade(database.owner_url, "0002")
    engine = create_engine(database.owner_url)
    order = "00000000-0000-0000-0000-000000000001"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"""
            INSERT INTO orderloom.accounts (id, name, class) VALUES ('ACME', 'ACME', 'customer');
            INSERT INTO orderloom.catalog_versions VALUES (1, '[]', '', 'test');
            INSERT INTO orderloom.orders (id, account, catalog_version, state, priority, document)
            VALUES ('{order}', 'ACME', 1, 'held', 4, '{{}}');
            INSERT INTO orderloom.fallouts
                   (id, order_id, account, step, line, type, code, message, attempts, decisions, state, closed_at)
            VALUES ('1-1', '{order}', 'ACME', 'provision:1', '1', 'Provisioning', 'C', 'm', 1,
                    '{{retry,retry_with,skip,abort}}', 'open', NULL),
                   ('1-2', '{order}', 'ACME', 'purchase:2', '2', 'Billing', 'C', 'm', 1, '{{retry}}', 'closed', now());
            """  # noqa: S608 - our own words
        )
    upgrade(database.owner_url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            """
            SELECT subject, in_doubt, priority, state, CAST(extract(epoch FROM due_at - opened_at) / 3600 AS int)
              FROM orderloom.fallouts ORDER BY id
            """
        )
        assert [tuple(x) for x in rows] == [
            (f"{order}:provision:1", False, 3, "open", 24),
            (f"{order}:purchase:2", True, 1, "closed", 1),
        ]
    engine.dispose()
    downgrade(database.owner_url, "0002")
    upgrade(database.owner_url)


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


def test_no_table_of_ours_is_judged_while_it_is_small(database: Database) -> None:
    """A plan that reads all of a small table would be kept while the table grows: see migration 0007."""
    engine = create_engine(database.owner_url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'orderloom'::regnamespace AND relkind = 'r'"
        ).all()
    engine.dispose()
    assert len(rows) >= len(metadata.tables)
    for row in rows:
        for name in ("analyze_threshold", "vacuum_threshold", "vacuum_insert_threshold"):
            assert f"autovacuum_{name}=2000" in (row.reloptions or ()), row.relname
