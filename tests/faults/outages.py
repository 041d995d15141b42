"""Servers and processes go away under load, one by one and all at once, and come back (A4, A5, A9, A10, B8, P4)."""

import asyncio
import contextlib
import itertools
import math
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx

from domain.order import FINAL, State
from embedded import temporal
from embedded.postgres import OWNER, Cluster
from embedded.process import Program, free_port, listens, wait_until
from models.database import upgrade
from tests.builders import line, order
from tests.faults import oracle
from tests.faults.boundary import When
from tests.faults.house import House, furnished
from tests.faults.journal import Passed
from tests.faults.mischief import Mischief, Mode
from tests.faults.orderer import Violated
from tests.faults.processes import THREADS
from tests.faults.stories import DOCUMENT
from tests.faults.trials import Trial
from tests.faults.worlds import API, NEIGHBOURS, WORKER, World
from tests.workflows.catalog import INTERNET

IN_FLIGHT = 60
"""So many orders arrive at least, and for as long as the outage takes."""
APART_S = 0.1
TIMES = 3
BETWEEN_S = 1.0
FIRST_PROGRESS_WITHIN_S = 10.0
DONE_WITHIN_S = 60.0
AFTER_A_POWER_CUT_S = 30.0
ENDS_WITHIN_S = 10.0
"""A worker that is asked to end."""
OTHERS_WITHIN_S = 5.0
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


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that befalls a system under load."""

    rows: str
    what: str
    outage: Outage
    kills: int
    done_within_s: float = DONE_WITHIN_S
    is_noticed: bool = True
    """Whether those who order may have to ask again."""


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
        status = await former.end(within_s=ENDS_WITHIN_S)
        former.kill()
        if status != 0:
            raise Violated(f"A9: a worker that was asked to end had status {status} after {ENDS_WITHIN_S:.0f} s")
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


def events(seed: int) -> Sequence[Event]:
    """What befalls it: of the orders in which everything comes back, the seed chooses some."""
    return (
        Event(rows="A4", what="Temporal is killed", outage=partial(of_a_server, name=TEMPORAL), kills=TIMES),
        Event(rows="A5", what="PostgreSQL is killed", outage=partial(of_a_server, name=POSTGRES), kills=TIMES),
        Event(rows="A9 U2", what="workers are replaced", outage=of_workers, kills=0, is_noticed=False),
        *(
            Event(
                rows="A10",
                what=f"power cut, back come {', '.join(x)}",
                outage=partial(of_everything, following=x),
                kills=len(x),
                done_within_s=AFTER_A_POWER_CUT_S,
            )
            for x in power_cuts(seed)
        ),
    )


def power_cuts(seed: int, sample: int = 6) -> Sequence[Sequence[str]]:
    """Some of the orders in which everything can be started again."""
    every = [*itertools.permutations((POSTGRES, TEMPORAL, WORKER, API))]
    return random.Random(seed).sample(every, sample)  # noqa: S311 - no secret


@dataclass(kw_only=True)
class Load:
    """Orders that arrive; each is sent again under its key until it is answered."""

    http: httpx.AsyncClient
    is_over: bool = False
    sent: list[asyncio.Task[str]] = field(default_factory=list)
    unanswered: int = 0
    """How often somebody had to send an order again."""

    async def arrive(self, at_least: int) -> Sequence[str]:
        """Send orders until it is over; the ids that were answered."""
        while len(self.sent) < at_least or not self.is_over:
            self.sent.append(asyncio.create_task(self._submit()))
            await asyncio.sleep(APART_S)
        return await asyncio.gather(*self.sent)

    async def _submit(self) -> str:
        key = {"Idempotency-Key": str(uuid4())}
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await self.http.post("/v1/orders", json=DOCUMENT, headers=key)
                    if answer.status_code == httpx.codes.ACCEPTED:
                        return str(answer.json()["id"])
                self.unanswered += 1
                await asyncio.sleep(0.1)


async def under_load(world: World, servers: Servers, event: Event) -> Sequence[Trial]:
    """Orders arrive while it happens: none that was answered is lost, all come to their end, and soon."""
    mark, violations, back = world.journal.mark(), list[str](), list[float]()
    async with httpx.AsyncClient(base_url=world.api, trust_env=False, timeout=5, limits=_FEW) as http:
        load = Load(http=http)
        arriving = asyncio.create_task(load.arrive(IN_FLIGHT))
        try:
            back += await event.outage(world, servers)
        except Violated as violated:
            violations.append(str(violated))
        await asyncio.sleep(BETWEEN_S)  # what arrives when it is back is seen to move
        load.is_over = True
        answered = await arriving
    await _reachable(world)
    orders = world.orders()
    stuck = await oracle.quiet(world, orders, within_s=DONE_WITHIN_S)
    done_s = time.time() - max(back, default=time.time())
    violations += [*stuck, *(f"P1: order {x} was answered and is lost" for x in sorted({*answered} - {*orders}))]
    if len(orders) != len(answered):
        violations.append(f"P1: {len(answered)} orders were answered, there are {len(orders)}")
    if done_s > event.done_within_s:
        violations.append(f"{event.rows}: all was done after {done_s:.1f} s")
    if load.unanswered and not event.is_noticed:
        violations.append(f"{event.rows}: {load.unanswered} times an order was not answered")
    first = [_progress(world.journal.since(mark), since=at) for at in back]
    violations += [
        f"P4: first progress after {x:.1f} s" for x in first if x > FIRST_PROGRESS_WITHIN_S
    ]  # infinite: nothing moved
    trial = Trial(
        what=f"{event.what}, {len(orders)} orders, done {done_s:.1f} s later",
        kills=event.kills,
        effects=len(oracle.books(world, orders)),
        recovered_s=max(first, default=None),
        violations=[*violations, *await oracle.broken(world)],
    )
    return [trial]


_FEW = httpx.Limits(max_connections=8)


def _progress(passed: Sequence[Passed], *, since: float) -> float:
    """How long it took until a run had gone on, and something was written down; infinite when neither did."""
    mine = [x for x in passed if x.at > since and x.boundary.part == WORKER]
    went_on = (x.at for x in mine if x.boundary.within == "workflow")
    written = (x.at for x in mine if x.boundary.what.endswith("commit") and x.boundary.when is When.AFTER)
    return max(min(x, default=math.inf) for x in (went_on, written)) - since


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


async def away_and_back(world: World, *, orders: int = 100, away_s: float = 60.0) -> Trial:
    """A neighbour is away while orders queue up: all are done soon after it is back, and it is not overrun (B8)."""
    mark = world.journal.mark()
    world.parts[NEIGHBOURS].kill()
    await asyncio.gather(*(world.shop.start(order(INTERNET)) for _ in range(orders)))
    await asyncio.sleep(away_s)
    await world.start(NEIGHBOURS)
    back = time.time()
    ids = world.orders()
    stuck = await oracle.quiet(world, ids, within_s=DONE_WITHIN_S)
    done_s = time.time() - back
    passed = [x for x in world.journal.since(mark) if x.at > back and x.boundary.part == NEIGHBOURS]
    asked = [x.at for x in passed if x.boundary.what == "request"]
    first_s, at_once = min(asked, default=math.inf) - back, _at_once(passed)
    violations = [f"B8: nobody asked for {first_s:.1f} s"] if first_s > FIRST_PROGRESS_WITHIN_S else []
    violations += [f"B8: all was done after {done_s:.1f} s"] if done_s > DONE_WITHIN_S else []
    violations += [f"B8: {at_once} requests at once, of a worker of {THREADS} threads"] if at_once > THREADS else []
    return Trial(
        what=f"{orders} orders while the neighbours are away for {away_s:.0f} s, done {done_s:.1f} s later, "
        f"at most {at_once} requests at once",
        kills=1,
        effects=len(oracle.books(world, ids)),
        recovered_s=first_s,
        violations=[*stuck, *violations, *await oracle.broken(world)],
    )


def _at_once(passed: Sequence[Passed]) -> int:
    """How many requests were under way at once, at most."""
    changes = sorted((x.at, _UNDER_WAY.get((x.boundary.what, x.boundary.when), 0)) for x in passed)
    return max(itertools.accumulate(x for _, x in changes), default=0)


_UNDER_WAY = {("request", When.BEFORE): 1, ("answer", When.AFTER): -1}


async def never_slow_for_others(world: World, *, stuck: int = 2 * THREADS) -> Trial:
    """A neighbour that does not answer more orders than a worker can wait for holds up none without it (B3).

    Neither when it begins, nor when it is known.
    """
    hanging = Mischief(path="/provisioning/activate", mode=Mode.SWALLOWED, times=1_000)
    await world.worker.tell([hanging])
    mark, took_s, violations = world.journal.mark(), list[float](), list[str]()
    waiting = await asyncio.gather(*(world.shop.start(order(INTERNET)) for _ in range(stuck)))
    for tried in (1, stuck):
        await world.shop.until(partial(_are_trying, world, mark, tried), within_s=30)
        began = time.monotonic()
        end = await (await world.shop.start(order(line("HANDSET")))).result()
        took_s.append(time.monotonic() - began)
        violations += [] if end.state is State.COMPLETED else [f"B3: it is {end.state}"]
    still = sum(world.shop.state(x.id.removeprefix("order-")) not in FINAL for x in waiting)
    await world.worker.tell([])
    left = await oracle.quiet(world, world.orders(), within_s=DONE_WITHIN_S)
    violations += [f"B3: it took {x:.1f} s" for x in took_s if x > OTHERS_WITHIN_S]
    violations += [] if still == stuck else [f"N1: only {still} of {stuck} still waited"]
    return Trial(
        what=f"an order of goods beside {stuck} whose network does not answer takes "
        f"{' and '.join(f'{x:.1f} s' for x in took_s)}",
        effects=len(oracle.books(world, world.orders())),
        violations=[*left, *violations, *await oracle.broken(world)],
    )


def _are_trying(world: World, mark: int, orders: int) -> bool:
    """Whether so many orders have begun to bring something up since the mark."""
    begun = (x for x in world.journal.since(mark) if x.boundary.what == "activity" and x.boundary.when is When.BEFORE)
    return len({x.order for x in begun if x.boundary.within.startswith("provision")}) >= orders
