"""The system as `orderloom up` runs it, on a database of its own, with the two references beside it."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from temporalio.client import Client

from bench import orders
from bench.bare_server import TABLE
from bench.subjects import BARE_QUEUE, House, Http
from embedded import system
from embedded.postgres import OWNER, Cluster
from embedded.process import Program, free_port, listens, running, wait_until
from sql.connections import connect
from workflows.payloads import DATA_CONVERTER

NUMBERS = 50_000
_STOCK = "INSERT INTO inventory.numbers (pool, value) SELECT %s, '+1555' || n FROM generate_series(1, %s) AS n"


@contextlib.asynccontextmanager
async def opened(data: Path) -> AsyncIterator[House]:
    """A fresh house, ready for orders, for as long as the block lasts."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without it the sandbox compiles the workflow for every run
    os.environ["ORDERLOOM_SCHEDULES"] = "off"  # what recurs is no part of an order
    async with system.running(system.Plan(data=data, api_port=0), say=_say) as found:
        port = int(found.database.rpartition(":")[2].partition("/")[0])
        _stock(Cluster(directory=data / "postgres", port=port))
        with contextlib.ExitStack() as stack:
            bare_worker = stack.enter_context(running(_bare("worker", found), output=data / "log" / "bare-worker.log"))
            bare_port = free_port()
            program = _bare("server", found, bare_port)
            server = stack.enter_context(running(program, output=data / "log" / "bare-server.log"))
            wait_until(lambda: listens(bare_port), process=server, name="bare server")
            house = House(
                api=Http(found.api),
                bare_server=Http(f"http://127.0.0.1:{bare_port}"),
                temporal=await Client.connect(found.temporal, data_converter=DATA_CONVERTER),
                parts={
                    "server": found.pids["temporal"],
                    "worker": found.pids["worker"],
                    "database": found.pids["postgres"],
                    "api": found.pids["api"],
                },
                bare_parts={"server": found.pids["temporal"], "worker": bare_worker.pid},
                database_port=port,
                database=connect(found.database, pool_size=1),
            )
            await _prepare(house)
            yield house


def _bare(part: str, found: system.System, port: int = 1) -> Program:
    environment = {
        "ORDERLOOM_DATABASE_URL": found.database,
        "ORDERLOOM_TEMPORAL_ADDRESS": found.temporal,
        "ORDERLOOM_TASK_QUEUE": BARE_QUEUE,
        "ORDERLOOM_API_PORT": str(port),
    }
    argv = (sys.executable, "-m", f"bench.bare_{part}")
    return Program(name=f"bare {part}", argv=argv, environment=environment)


def _stock(cluster: Cluster) -> None:
    """A table for the bare endpoint, and numbers for everybody."""
    with cluster.connect(OWNER) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        for pool in orders.POOLS:
            cursor.execute(_STOCK, (pool, NUMBERS))


async def _prepare(house: House) -> None:
    for method, path, body in orders.setting_up():
        answer = await house.api.ask(method, path, json.dumps(body).encode())
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:2_000]!r}")
    await asyncio.gather(house.order(), house.bare_six(), house.bare_submit())


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
