"""What the tables of the neighbours allow and forbid, whatever the programs do."""

import pytest
from psycopg2.errors import CheckViolation, UniqueViolation
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, ProgrammingError

SCHEMAS = ("inventory", "provisioning", "billing")
STOCK = "INSERT INTO inventory.stock (sku, location, on_hand, reserved) VALUES ('R', 'MAIN', %s, %s)"
NUMBER = "INSERT INTO inventory.numbers (pool, value, state, reservation, line) VALUES ('M', '1', %s, %s, %s)"
INSTANCE = (
    "INSERT INTO billing.service_instances (id, billing_service_type, account, asset, line, status, balance_group,"
    " made_at, active_from) VALUES (%s, '/service/ip', 'A', 'asset', '1', %s, 'BG', now(), %s)"
)
SERVICE = (
    "INSERT INTO provisioning.services (service, product, account, billable, features, numbers, attributes, since)"
    " VALUES ('asset', 'GSM', 'A', TRUE, '{}', '{}', '{}', now())"
)
CHARGE = "INSERT INTO billing.charges VALUES ('PP-1', '1', 'BG', 500, 'USD', now())"

FORBIDDEN = {
    "less than nothing on hand": ([(STOCK, (-1, 0))], CheckViolation),
    "more reserved than is on hand": ([(STOCK, (1, 2))], CheckViolation),
    "less than nothing reserved": ([(STOCK, (1, -1))], CheckViolation),
    "a number with two holders": (
        [(NUMBER, ("reserved", "a", "1")), (NUMBER, ("reserved", "b", "1"))],
        UniqueViolation,
    ),
    "an assigned number without a holder": ([(NUMBER, ("assigned", None, None))], CheckViolation),
    "an available number with a holder": ([(NUMBER, ("available", "a", "1"))], CheckViolation),
    "two open instances of an asset": (
        [(INSTANCE, ("SI-1", "initiated", None)), (INSTANCE, ("SI-2", "active", "2026-05-01"))],
        UniqueViolation,
    ),
    "an instance active since never": ([(INSTANCE, ("SI-1", "active", None))], CheckViolation),
    "a service that runs twice": ([(SERVICE, ()), (SERVICE, ())], UniqueViolation),
    "a purchase charged twice": ([(CHARGE, ()), (CHARGE, ())], UniqueViolation),
}


@pytest.mark.req("B02", "F08", "F13", "F20")
@pytest.mark.parametrize(("statements", "error"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_must_never_be_cannot_be_stored(
    engine: Engine, statements: list[tuple[str, tuple[object, ...]]], error: type[Exception]
):
    *allowed, forbidden = statements
    with engine.connect() as connection:
        for statement, values in allowed:
            connection.exec_driver_sql(statement, values)
        with pytest.raises(IntegrityError) as refused:
            connection.exec_driver_sql(*forbidden)
    assert isinstance(refused.value.orig, error)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_application_fills_tables_and_makes_none(engine: Engine, schema: str):
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.exec_driver_sql(f"CREATE TABLE {schema}.mine ()")


def test_no_table_is_judged_while_it_is_small(engine: Engine):
    """A plan that reads all of a small table would be kept while the table grows."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT relname, reloptions FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = ANY(%(schemas)s) AND relkind = 'r'",
            {"schemas": list(SCHEMAS)},
        ).all()
    assert len(rows) > len(SCHEMAS)
    for row in rows:
        assert "autovacuum_analyze_threshold=2000" in row.reloptions, row.relname
