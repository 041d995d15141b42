"""A real PostgreSQL and a real Temporal for the tests that ask for them: one of each per test process."""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from signal import SIGKILL
from typing import TYPE_CHECKING

import pytest
from psycopg2 import sql

from embedded.postgres import APP, DATABASE, OWNER, SUPERUSER, Cluster
from embedded.process import free_port, listens, running, wait_until
from tests.quick_folder import quick_folder

if TYPE_CHECKING:
    from temporalio.client import Client

os.environ["TEMPORAL_DEBUG"] = "1"  # no watch for deadlocks: a test machine that is busy for two seconds is none
FORGETS_QUICKLY = 'history.transferProcessorUpdateAckInterval="1s"'
"""A run that is deleted is gone after seconds, not after half a minute."""
NO_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database of a test's own, migrated and empty."""

    name: str
    app_url: str
    """As the system connects: rows only."""
    owner_url: str
    """As migrations connect."""


FreshDatabase = Callable[[], AbstractContextManager[Database]]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running PostgreSQL."""
    with quick_folder() as directory:
        postgres = Cluster(directory=directory, port=free_port(), settings=NO_DURABILITY)
        postgres.create()
        with running(postgres.program(), output=directory / "postgres.log") as process:
            wait_until(postgres.accepts_connections, process=process, name="postgres")
            postgres.prepare()
            yield postgres


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """The name of the database that every test's own is a copy of: roles, extension, and the migrations run."""
    from models.database import upgrade

    upgrade(cluster.url(OWNER))
    return DATABASE


@pytest.fixture(scope="session")
def fresh_database(cluster: Cluster, template: str) -> FreshDatabase:
    """Make databases: `with fresh_database() as database: …`, for fixtures of a wider scope than one test."""
    numbers = itertools.count(1)

    @contextlib.contextmanager
    def fresh() -> Iterator[Database]:
        name = f"test_{next(numbers)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
        with cluster.connect(SUPERUSER, database="postgres") as server, server.cursor() as cursor:
            cursor.execute(create.format(*map(sql.Identifier, (name, template, OWNER))))
            yield Database(
                name=name, app_url=cluster.url(APP, database=name), owner_url=cluster.url(OWNER, database=name)
            )
            cursor.execute(drop.format(sql.Identifier(name)))

    return fresh


@pytest.fixture
def database(fresh_database: FreshDatabase) -> Iterator[Database]:
    """A database of this test's own."""
    with fresh_database() as database:
        yield database


@pytest.fixture(scope="module")
def module_database(fresh_database: FreshDatabase) -> Iterator[Database]:
    """A database that the tests of one module share."""
    with fresh_database() as database:
        yield database


@pytest.fixture(scope="session")
def temporal_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a running Temporal that keeps everything in memory; `temporal_client` makes it ready."""
    from embedded import temporal

    server = temporal.Server(port=free_port(), ui_port=free_port())
    program = server.program()
    argv = (*program.argv, "--dynamic-config-value", FORGETS_QUICKLY)
    at_once = dataclasses.replace(program, argv=argv, stop_signal=SIGKILL)  # it has nothing to save
    with running(at_once, output=tmp_path_factory.mktemp("temporal") / "temporal.log") as process:
        wait_until(lambda: listens(server.port), process=process, name="temporal")
        yield server.address


@pytest.fixture(scope="session")
async def temporal_client(temporal_address: str) -> "Client":
    """A client of the running Temporal, the search attributes registered."""
    from temporalio.client import Client
    from temporalio.contrib.pydantic import pydantic_data_converter

    from embedded import temporal
    from workflows import search_attributes

    await temporal.register(await temporal.connect(temporal_address), search_attributes.ALL)
    return await Client.connect(temporal_address, data_converter=pydantic_data_converter)
