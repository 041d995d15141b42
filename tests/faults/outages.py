"""Servers and processes go away under load, one by one and all at once, and come back (A4, A5, A9, A10, B8, P4)."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx

from domain.order import Action
from embedded import temporal
from embedded.postgres import OWNER, Cluster
from embedded.process import Program, free_port, listens, wait_until
from models.database import upgrade
from tests.builders import line, order
from tests.faults import oracle
from tests.faults.house import House, furnished
from tests.faults.mischief import Mischief, Mode
from tests.faults.stories import DOCUMENT
from tests.faults.trials import Trial
from tests.faults.worlds import API, NEIGHBOURS, WORKER, World
from tests.workflows.catalog import INTERNET

IN_FLIGHT = 60
TIMES = 3
BETWEEN_S = 1.0
FIRST_PROGRESS_WITHIN_S = 10.0
DONE_WITHIN_S = 60.0
POSTGRES, TEMPORAL = "postgres", "temporal"
DURABLE = {"max_connections": "200"}
"""A server that is killed must find everything again."""


@dataclass(kw_only=True)
class Servers:
    """PostgreSQL and Temporal that keep what they know, and can be killed."""

    cluster: Cluster
    temporal: temporal.Server
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def programs(self) -> Mapping[str, Program]:
        """How each is run."""
        return {POSTGRES: self.cluster.program(), TEMPORAL: self.temporal.program()}

    def start(self, name: str) -> None:
        """Start one; :meth:`up` waits for it."""
        if name == POSTGRES:
            self.cluster.forget_killed_server()
        self.running[name] = self.programs[name].spawn(output=self.folder / f"{name}.log")

    async def up(self, name: str) -> None:
        """Return once it answers."""
        there = self.cluster.accepts_connections if name == POSTGRES else lambda: listens(self.temporal.port)
        await asyncio.to_thread(wait_until, there, process=self.running[name], name=name)

    async def kill(self, name: str) -> None:
        """As a power cut: nothing is said, nothing is saved. PostgreSQL's helpers follow their parent."""
        process = self.running[name]
        number = signal.SIGQUIT if name == POSTGRES else signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        await asyncio.to_thread(process.wait)

    def stop(self) -> None:
        """End both."""
        for name, process in self.running.items():
            self.programs[name].stop(process)


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[House, Servers]]:
    """A house on servers that can be killed."""
    cluster = Cluster(directory=folder / "postgres", port=free_port(), settings=DURABLE)
    server = temporal.Server(port=free_port(), ui_port=free_port(), file=folder / "temporal.db")
    servers = Servers(cluster=cluster, temporal=server, folder=folder)
    await asyncio.to_thread(cluster.create)
    try:
        for name in (POSTGRES, TEMPORAL):
            servers.start(name)
            await servers.up(name)
        cluster.prepare()
        await asyncio.to_thread(upgrade, cluster.url(OWNER))
        yield await furnished(cluster, server.address, folder), servers
    finally:
        servers.stop()


Outage = Callable[[World, Servers], Awaitable[Sequence[float]]]
"""Has something go away and come back, a few times; the instants at which it was back."""


async def of_a_server(world: World, servers: Servers, *, name: str) -> Sequence[float]:
    """A server is killed in the middle, and started again."""
    back = []
    for _ in range(TIMES):
        await asyncio.sleep(BETWEEN_S)
        await servers.kill(name)
        servers.start(name)
        await servers.up(name)
        back.append(time.time())
        await _alive(world)
    return back


async def of_workers(world: World, servers: Servers) -> Sequence[float]:
    """Workers are asked to end, one after the other, and another takes over: a rolling restart (A9, U2)."""
    assert servers.running
    back = []
    for _ in range(TIMES):
        await asyncio.sleep(BETWEEN_S)
        former = world.worker
        await world.start(WORKER)
        former.signal(signal.SIGTERM)
        assert await former.end(within_s=15) == 0, "a worker did not end when it was asked to"
        former.kill()
        back.append(time.time())
    return back


async def of_everything(world: World, servers: Servers, *, following: Sequence[str]) -> Sequence[float]:
    """A power cut; then everything is started in an order."""
    await asyncio.sleep(BETWEEN_S)
    for part in (WORKER, API):
        world.parts[part].kill()
    await asyncio.gather(*map(servers.kill, (POSTGRES, TEMPORAL)))
    for name in following:
        if name in (POSTGRES, TEMPORAL):
            servers.start(name)
        else:
            await world.start(name)
        await asyncio.sleep(0.2)
    await asyncio.gather(*map(servers.up, (POSTGRES, TEMPORAL)))
    back = time.time()
    await _alive(world)
    return [back]


def power_cuts(seed: int, sample: int = 6) -> Sequence[Sequence[str]]:
    """Some of the orders in which everything can be started again."""
    every = [*itertools.permutations((POSTGRES, TEMPORAL, WORKER, API))]
    return random.Random(seed).sample(every, sample)  # noqa: S311 - no secret


async def under_load(world: World, servers: Servers, outage: Outage, *, what: str, count: int = IN_FLIGHT) -> Trial:
    """Orders arrive while it happens: none that was answered is lost, all come to their end, and soon."""
    mark = world.journal.mark()
    limits = httpx.Limits(max_connections=8)
    async with httpx.AsyncClient(base_url=world.api, trust_env=False, timeout=5, limits=limits) as http:
        submitting = asyncio.gather(*(_submit(http, place * 0.05) for place in range(count)))
        back = await outage(world, servers)
        answered = await submitting
    began = time.monotonic()
    await _reachable(world)
    orders = world.orders()
    stuck = await oracle.quiet(world, orders, within_s=DONE_WITHIN_S)
    lost = sorted({*answered} - {*orders})
    violations = [*stuck, *(f"P1: order {x} was answered and is lost" for x in lost)]
    violations += [] if len(orders) == count else [f"P1: {count} orders were sent, there are {len(orders)}"]
    moved = [x.at for x in world.journal.since(mark) if x.boundary.within == "workflow"]
    first = [min((x for x in moved if x > at), default=at) - at for at in back]
    violations += [f"P4: first progress after {x:.1f} s" for x in first if x > FIRST_PROGRESS_WITHIN_S]
    return Trial(
        what=f"{what}, {count} orders, done {time.monotonic() - began:.1f} s later",
        kills=len(back),
        effects=len(oracle.books(world, orders)),
        recovered_s=max(first, default=None),
        violations=[*violations, *await oracle.broken(world)],
    )


async def _submit(http: httpx.AsyncClient, after_s: float) -> str:
    """Have an order taken, under one key until there is an answer."""
    await asyncio.sleep(after_s)
    key = {"Idempotency-Key": str(uuid4())}
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await http.post("/v1/orders", json=DOCUMENT, headers=key)
                if answer.status_code == httpx.codes.ACCEPTED:
                    return str(answer.json()["id"])
            await asyncio.sleep(0.1)


async def _alive(world: World) -> None:
    """As a supervisor does: who ended because a server was away is started again."""
    for part in (WORKER, API):
        if not world.parts[part].lives:
            world.parts[part].kill()
            await world.start(part)


async def _reachable(world: World) -> None:
    """The harness's own connections are renewed."""
    world.engine.dispose()
    await world.client.service_client.check_health()


async def away_and_back(world: World, *, orders: int = 100, away_s: float = 20.0) -> Trial:
    """A neighbour is away while orders queue up: all are done soon after it is back, and it is not overrun (B8)."""
    mark = world.journal.mark()
    world.parts[NEIGHBOURS].kill()
    await asyncio.gather(*(world.shop.start(order(INTERNET)) for _ in range(orders)))
    await asyncio.sleep(away_s)
    await world.start(NEIGHBOURS)
    back = time.time()
    ids = world.orders()
    stuck = await oracle.quiet(world, ids, within_s=DONE_WITHIN_S)
    asked = [x.at for x in world.journal.since(mark) if x.at > back and x.boundary.what == "request"]
    return Trial(
        what=f"{orders} orders while the neighbours are away for {away_s:.0f} s, done {time.time() - back:.1f} s later",
        kills=1,
        effects=len(oracle.books(world, ids)),
        recovered_s=min(asked, default=back) - back,
        violations=[*stuck, *await oracle.broken(world)],
    )


async def never_slow_for_others(world: World) -> Trial:
    """A neighbour that does not answer one order holds up no other (B3)."""
    await world.worker.tell([Mischief(path="/provisioning/activate", mode=Mode.SLOW, times=6)])
    slow = await asyncio.gather(*(world.shop.start(order(INTERNET)) for _ in range(6)))
    began = time.monotonic()
    other = await world.shop.start(order(line("GIFT", action=Action.NONE)))
    await other.result()
    took_s = time.monotonic() - began
    await asyncio.gather(*(x.result() for x in slow))
    return Trial(
        what=f"an order beside six whose neighbour does not answer takes {took_s:.1f} s",
        violations=[*([f"B3: it took {took_s:.1f} s"] if took_s > 5 else []), *await oracle.broken(world)],
    )
