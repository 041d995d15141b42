"""The engine, transactions, and the schema's way from one version to the next."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine

STATEMENT_TIMEOUT_MS = 8_000
"""Below every activity's time limit: a statement gives up before its caller does."""

_OPTIONS = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c timezone=UTC -c idle_in_transaction_session_timeout=30000"


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

    The driver is told directly: by its isolation level, SQLAlchemy would ask the server twice as well.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.autocommit = True
        try:
            yield connection
        finally:
            if not driver.closed:
                driver.autocommit = False


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end of the block, rolled back when it raises."""
    with engine.begin() as connection:
        yield connection


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Bring the schema to a revision, the newest unless said; safe to repeat. Needs the owner's role."""
    command.upgrade(_alembic(owner_url), revision)


def downgrade(owner_url: str, revision: str) -> None:
    """Take the schema back to an earlier revision."""
    command.downgrade(_alembic(owner_url), revision)


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    config.attributes["url"] = url
    return config
