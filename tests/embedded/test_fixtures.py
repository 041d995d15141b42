"""What the other tests stand on."""

import psycopg2
import pytest
from temporalio.client import Client

from embedded.postgres import Cluster
from tests.conftest import Database, FreshDatabase


def _rows(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: list[tuple[object, ...]] = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def test_the_owner_makes_tables_and_the_application_only_fills_them(database: Database):
    _rows(database.owner_url, "CREATE SCHEMA shop")
    _rows(database.owner_url, "CREATE TABLE shop.sold (id int GENERATED ALWAYS AS IDENTITY, what text)")
    _rows(database.app_url, "INSERT INTO shop.sold (what) VALUES ('tea')")
    assert _rows(database.app_url, "SELECT what FROM shop.sold") == [("tea",)]
    for statement in ("CREATE TABLE shop.other ()", "DROP TABLE shop.sold", "TRUNCATE shop.sold", "CREATE SCHEMA mine"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            _rows(database.app_url, statement)


def test_no_role_of_the_system_is_a_superuser_or_goes_past_row_security(database: Database):
    assert _rows(
        database.app_url, "SELECT bool_or(rolsuper OR rolbypassrls) FROM pg_roles WHERE rolname LIKE 'orderloom%'"
    ) == [(False,)]


def test_a_period_of_an_asset_can_be_kept_from_overlapping(database: Database):
    _rows(
        database.owner_url, "CREATE TABLE p (id int, period daterange, EXCLUDE USING gist (id WITH =, period WITH &&))"
    )
    _rows(database.app_url, "INSERT INTO p VALUES (1, '[2026-01-01,2026-02-01)'), (1, '[2026-02-01,2026-03-01)')")
    with pytest.raises(psycopg2.errors.ExclusionViolation):
        _rows(database.app_url, "INSERT INTO p VALUES (1, '[2026-01-31,2026-02-02)')")


def test_each_database_is_its_own(fresh_database: FreshDatabase):
    with fresh_database() as one, fresh_database() as other:
        _rows(one.owner_url, "CREATE TABLE only_here ()")
        with pytest.raises(psycopg2.errors.UndefinedTable):
            _rows(other.app_url, "SELECT FROM only_here")


def test_a_wrong_password_is_refused(cluster: Cluster, database: Database):
    password = database.app_url.split(":")[2].partition("@")[0]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        _rows(database.app_url.replace(password, "wrong"), "SELECT 1")
    assert (cluster.directory / "passwords.json").stat().st_mode & 0o777 == 0o600


async def test_temporal_answers(temporal_client: Client):
    assert await temporal_client.service_client.check_health()
