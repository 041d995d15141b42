"""The processes under test: a worker, an API and the neighbours, joined as the program joins them, and watched.

They are forked from a process that has imported everything already, so that one is there after a few milliseconds. What
is forked is a process of its own all the same: it dies of SIGKILL as any other.
"""

import asyncio
import contextlib
import ctypes
import gc
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import Client

import observability
import server
import worker
from adapters.billing import server as billing
from adapters.billing.client import BillingClient
from adapters.inventory import server as inventory
from adapters.inventory.client import InventoryClient
from adapters.provisioning import server as provisioning
from adapters.provisioning.client import ProvisioningClient
from api.app import create_app
from settings import Settings, WorkflowSandbox
from sql.connections import connect
from tests.faults import plants
from tests.faults.armed import Armed
from tests.faults.boundary import Strike
from tests.faults.haste import Hasty
from tests.faults.watched import AFTER, BEFORE, Calls, Neighbour, Watching, Wire, watched
from workflows.payloads import DATA_CONVERTER

THREADS = 8
CACHED_WORKFLOWS = 200

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.processes"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """What a process is joined with. ``neighbours`` is their base URL, embedded ones without it.

    ``plants`` are bugs put in on purpose, ``ahead_s`` is how far its clock is ahead of everybody's, ``zone`` where it
    thinks that it is. With ``begins`` it is that moment when it and its neighbours first look at a clock.
    """

    database: str = field(repr=False)
    temporal: str
    task_queue: str
    journal: Path
    neighbours: str | None = None
    port: int = 0
    cached_workflows: int = CACHED_WORKFLOWS
    plants: tuple[str, ...] = ()
    ahead_s: float = 0.0
    zone: str = ""
    begins: datetime | None = None


def _clock(begins: datetime | None) -> worker.Clock:
    if begins is None:
        return worker.now
    first: list[datetime] = []

    def now() -> datetime:
        first.append(worker.now())
        return begins + (first[-1] - first[0])

    return now


def run_worker(joining: Joining, armed: Armed) -> None:
    """A worker until SIGTERM."""
    asyncio.run(_work(joining, armed))


async def _work(joining: Joining, armed: Armed) -> None:
    engine = watched(connect(joining.database, pool_size=THREADS), armed)
    client = await _client(joining, armed, Watching(armed))
    ahead = timedelta(seconds=joining.ahead_s)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    now = _clock(joining.begins)
    joined = _remote(joining.neighbours, armed) if joining.neighbours else worker.embedded(engine, now)
    seen = worker.Joined(
        inventory=cast("Any", Neighbour("inventory", joined.inventory, armed)),
        provisioning=cast("Any", Neighbour("provisioning", joined.provisioning, armed)),
        billing=cast("Any", Neighbour("billing", joined.billing, armed)),
    )
    with ThreadPoolExecutor(THREADS) as threads:
        working = worker.create(
            client,
            task_queue=joining.task_queue,
            activities=worker.activities(engine, seen, lambda: now() + ahead),
            threads=THREADS,
            executor=threads,
            cached_workflows=joining.cached_workflows,
            runner=worker.runner(WorkflowSandbox.OFF),
        )
        async with working:
            await stop.wait()


def _remote(url: str, armed: Armed) -> worker.Joined[Any, Any, Any]:
    most = worker.most_at_once(THREADS)
    return worker.Joined(
        inventory=InventoryClient(f"{url}/inventory", at_once=most, transport=Wire(armed)),
        provisioning=ProvisioningClient(f"{url}/provisioning", at_once=most, transport=Wire(armed)),
        billing=BillingClient(f"{url}/billing", at_once=most, transport=Wire(armed)),
    )


async def _client(joining: Joining, armed: Armed, *plugins: Any) -> Client:  # noqa: ANN401
    return await Client.connect(
        joining.temporal,
        data_converter=DATA_CONVERTER,
        plugins=plugins,
        interceptors=[Hasty(), Calls(armed)],
        lazy=not plugins,
    )


def run_api(joining: Joining, armed: Armed) -> None:
    """An API until SIGTERM."""
    asyncio.run(_serve_api(joining, armed))


async def _serve_api(joining: Joining, armed: Armed) -> None:
    engine = watched(connect(joining.database, pool_size=THREADS), armed)
    settings = Settings(database_url=joining.database, temporal_address=joining.temporal, task_queue=joining.task_queue)
    app = create_app(server.house(settings, engine, await _client(joining, armed)))
    with armed.within("starter"):
        await _serve(_Requests(app, armed), joining.port, lifespan="on")


def run_neighbours(joining: Joining, armed: Armed) -> None:
    """Inventory, provisioning and billing on one port until SIGTERM."""
    engine = watched(connect(joining.database, pool_size=THREADS), armed)
    systems = worker.embedded(engine)
    app = Starlette(
        routes=[
            Mount("/inventory", inventory.create_app(systems.inventory)),
            Mount("/provisioning", provisioning.create_app(systems.provisioning)),
            Mount("/billing", billing.create_app(systems.billing)),
        ]
    )
    asyncio.run(_serve(_Requests(app, armed), joining.port, lifespan="off"))


async def _serve(app: ASGIApp, port: int, *, lifespan: Any) -> None:  # noqa: ANN401
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan=lifespan, ws="none")
    await uvicorn.Server(config).serve()


class _Requests:
    """An application whose requests and answers are passed aloud."""

    def __init__(self, app: ASGIApp, armed: Armed) -> None:
        self._app = app
        self._armed = armed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Any) -> None:  # noqa: ANN401
            if message["type"] == "http.response.start":
                self._armed.passes("answer", BEFORE)
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._armed.passes("answer", AFTER)

        path = _IDS.sub("{id}", scope["path"])
        with self._armed.within(f"{scope['method']} {path}"):
            self._armed.passes("request", BEFORE, key=_key(scope))
            await self._app(scope, receive, answer)


_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _key(scope: Scope) -> str | None:
    """The key a neighbour is asked under, to do something or what it did."""
    sent = dict(scope["headers"]).get(b"idempotency-key", b"").decode()
    asked = parse_qs(scope["query_string"].decode()).get("key", [""])[0]
    return unquote(sent) or asked or None


Run = Callable[[Joining, Armed], None]


def _entry(run: Run, part: str, joining: Joining, control: Connection, output: Path) -> None:
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    observability.configure()
    gc.freeze()
    armed = Armed(part, journal=joining.journal, control=control)
    armed.listen()
    if joining.zone:
        os.environ["TZ"] = joining.zone
        time.tzset()
    for name in joining.plants:
        plants.put_in(name)
    control.send("ready")
    with contextlib.suppress(KeyboardInterrupt):
        run(joining, armed)
    os._exit(0)  # as the program's own entry point: without Python's finalization


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL.value)  # PR_SET_PDEATHSIG


class Process:
    """A process under test, seen from the harness."""

    def __init__(self, run: Run, part: str, joining: Joining, *, output: Path) -> None:
        self._control, theirs = _FORKS.Pipe()
        self._process = _FORKS.Process(target=_entry, args=(run, part, joining, theirs, output), daemon=True)
        self.part = part
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        theirs.close()

    async def ready(self, *, within_s: float = 20.0) -> None:
        """Return once it answers what it was told last, or that it is there."""
        assert await self._hears(within_s) == "ready"

    async def arm(self, strike: Strike | None) -> None:
        """Have it struck at the next passing of a boundary, counted from now; or not any more."""
        await self.tell(strike)

    async def tell(self, message: object) -> None:
        """Tell it something, and return once it knows."""
        self._control.send(message)
        await self.ready()

    async def here(self, *, within_s: float = 20.0) -> None:
        """Return once it waits at its boundary."""
        assert await self._hears(within_s) == "here"

    def go(self) -> None:
        """Let it go on from there."""
        self._control.send("go")

    async def _hears(self, within_s: float) -> Any:  # noqa: ANN401
        await _readable(self._control.fileno(), within_s)
        return self._control.recv()

    async def end(self, *, within_s: float | None = None) -> int | None:
        """Its exit status once it has ended; ``None`` when it has not in time."""
        if self._process.exitcode is None:
            with contextlib.suppress(TimeoutError):
                await _readable(self._process.sentinel, within_s)
        return self._process.exitcode

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, whatever it does, and forget it; once is enough."""
        if self._control.closed:
            return
        self._process.kill()
        self._process.join()
        self._process.close()
        self._control.close()


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


async def _readable(descriptor: int, within_s: float | None) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, _settle, ready)
    try:
        await asyncio.wait_for(ready, within_s)
    finally:
        loop.remove_reader(descriptor)
