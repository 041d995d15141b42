# ruff: noqa: ANN401 - what a world is joined with
"""A world: one database, one task queue, the processes that work on them, and somebody who orders."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine
from temporalio.client import Client

from embedded.postgres import APP
from embedded.process import free_port, listens
from sql.connections import connect
from tests.faults import processes
from tests.faults.boundary import Strike
from tests.faults.haste import PATIENCE
from tests.faults.house import House
from tests.faults.journal import Journal
from tests.faults.orderer import Orderer, orderer
from tests.faults.processes import Joining, Process, Run
from workflows.messages import Patience

WORKER, NEIGHBOURS, API = "worker", "neighbours", "api"
_RUNS: dict[str, Run] = {
    WORKER: processes.run_worker,
    NEIGHBOURS: processes.run_neighbours,
    API: processes.run_api,
}


@dataclass(kw_only=True)
class World:
    """What happens in one world is seen in no other."""

    shop: Orderer
    journal: Journal
    joining: Joining
    folder: Path
    ports: dict[str, int]
    parts: dict[str, Process] = field(default_factory=dict)
    """The process that is a part now; where it dies, another takes its place."""
    others: list[Process] = field(default_factory=list)
    worker_pids: set[int] = field(default_factory=set)

    async def start(self, part: str, *, strike: Strike | None = None) -> Process:
        """A process in the place of the last one, struck when it comes to that."""
        if part in self.parts:
            self.others.append(self.parts[part])
        self.parts[part] = process = await self._spawned(part)
        if strike is not None:
            await process.arm(strike)
        return process

    async def start_another(self, part: str) -> Process:
        """One more process of a kind, beside the one that is there."""
        process = await self._spawned(part)
        self.others.append(process)
        return process

    async def _spawned(self, part: str) -> Process:
        joining = replace(self.joining, port=self.ports.get(part, 0))
        process = Process(_RUNS[part], part, joining, output=self.folder / f"{part}.log")
        if part == WORKER:
            self.worker_pids.add(process.pid)
        await process.ready()
        return process

    def orders(self) -> Sequence[str]:
        """Every order, in the order they came."""
        rows = self.shop.rows("SELECT CAST(id AS text) AS id FROM orderloom.orders ORDER BY number")
        return [x["id"] for x in rows]

    @property
    def worker(self) -> Process:
        """The worker."""
        return self.parts[WORKER]

    @property
    def engine(self) -> Engine:
        """The world's database, as seen from outside."""
        return self.shop.engine

    @property
    def client(self) -> Client:
        """A client of Temporal."""
        return self.shop.client

    @property
    def api(self) -> str:
        """The API's URL."""
        return f"http://127.0.0.1:{self.ports[API]}"


@contextlib.asynccontextmanager
async def opened(house: House, *parts: str, patience: Patience = PATIENCE, **joined: Any) -> AsyncIterator[World]:
    """A world of these parts, a worker unless said otherwise; with ``neighbours`` among them, they are over HTTP.

    ``joined`` are fields of :class:`Joining`.
    """
    wanted = parts or (WORKER,)
    ports = {part: free_port() for part in (NEIGHBOURS, API) if part in wanted}
    with house.database() as name:
        folder = house.folder / name
        folder.mkdir()
        joining = Joining(
            database=house.cluster.url(APP, database=name),
            temporal=house.temporal,
            task_queue=f"world-{uuid4()}",
            journal=folder / "journal.jsonl",
            neighbours=f"http://127.0.0.1:{ports[NEIGHBOURS]}" if NEIGHBOURS in ports else None,
        )
        joining = replace(joining, **joined)
        engine = connect(joining.database, pool_size=6)
        world = World(
            shop=orderer(engine, house.client, queue=joining.task_queue, patience=patience),
            journal=Journal(joining.journal),
            joining=joining,
            folder=folder,
            ports=ports,
        )
        try:
            for part in wanted:
                await world.start(part)
            await world.shop.until(lambda: all(map(listens, ports.values())), within_s=30)
            yield world
        finally:
            for process in [*world.parts.values(), *world.others]:
                process.kill()
            engine.dispose()


def planted_with(joining: Joining, plants: tuple[str, ...] = ()) -> Joining:
    """The same, with these plants and no others."""
    return replace(joining, plants=plants)
