"""The engine, and connections on which nothing is sent that nobody asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from sqlalchemy import Connection, Engine, create_engine

STATEMENT_TIMEOUT_MS = 8_000
"""Below every activity's time limit: a statement gives up before its caller does."""

_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC -c idle_in_transaction_session_timeout=10000"
    " -c plan_cache_mode=force_generic_plan"  # what is prepared is planned once: it finds its rows by key in any case
)


def connect(url: str, *, pool_size: int) -> Engine:
    """An engine of ``postgresql+psycopg2://`` with one connection for each thread that may ask for one."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # a connection that was just used has its plans and caches at hand
        pool_pre_ping=False,
        pool_recycle=1_800,
        connect_args={
            "options": _OPTIONS,
            "application_name": "orderloom",
            "connect_timeout": 5,
        },
    )


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """A connection on which every statement is a transaction of its own: one round trip instead of three.

    Statements that belong together have the first one begin a transaction and the last one commit it
    (:class:`~sql.prepared.Prepared`); one that is still open at the end of the block is rolled back. The driver is told
    directly: by its isolation level, SQLAlchemy would ask the server twice as well.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.autocommit = True
        try:
            yield connection
        finally:
            if not driver.closed:
                if driver.get_transaction_status() != TRANSACTION_STATUS_IDLE:
                    connection.exec_driver_sql("ROLLBACK")
                driver.autocommit = False
