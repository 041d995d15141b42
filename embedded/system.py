"""The whole system on one machine: PostgreSQL, Temporal, migrations, worker, API, in this order."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from embedded import lock, temporal
from embedded.postgres import APP, OWNER, Cluster
from embedded.process import Program, free_port, listens
from embedded.supervisor import Service, Supervisor

_TEMPORAL_PORT, _TEMPORAL_UI_PORT = 7233, 8233
_STOP_WORKER_WITHIN_S = 30.0
PROMPT = {"ORDERLOOM_RECONCILE_EVERY_S": "50", "ORDERLOOM_RECONCILE_GRACE_S": "5"}
"""Unless the environment says otherwise: so a difference between the network and billing is seen within a minute."""


class PortTaken(RuntimeError):  # noqa: N818 - a sentence for a person, not a class of errors
    """Somebody else listens on the API's port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database, as the application and as the owner of its schemas connects to it."""

    url: str = field(repr=False)
    owner_url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """A Temporal namespace, and where a person looks at it."""

    address: str
    namespace: str
    ui_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run: on which data folder, which API port (0: every port is any free one), and with what from outside.

    `part` is the command that takes `migrate`, `worker` or `server` as its last word.
    """

    data: Path
    api_port: int
    database: Database | None = None
    runs: Runs | None = None
    part: tuple[str, ...] = (sys.executable, "-P", "-m", "cli")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Where a running system is found. `database` is the application's URL, password included."""

    api: str
    temporal_ui: str
    temporal: str
    database: str = field(repr=False)
    pids: Mapping[str, int]


@contextlib.asynccontextmanager
async def running(plan: Plan, *, say: Callable[[str], None]) -> AsyncIterator[System]:
    """Run the whole system for as long as the block lasts. `say` hears of everything unexpected.

    Raises `lock.InUse`, `PortTaken`, `postgres.CannotRun` or `process.NotReady`, each a sentence for a person.
    """
    async with (
        lock.held(plan.data) as descriptor,
        Supervisor(say=say, logs=plan.data / "log", inherit=(descriptor,)) as supervisor,
    ):
        database = plan.database or await _postgres(plan, supervisor)
        runs = plan.runs or await _temporal(plan, supervisor)
        api_port = await _parts(plan, supervisor, database=database, runs=runs)
        yield System(
            api=f"http://127.0.0.1:{api_port}",
            temporal_ui=runs.ui_url,
            temporal=runs.address,
            database=database.url,
            pids=supervisor.pids,
        )


async def _postgres(plan: Plan, supervisor: Supervisor) -> Database:
    cluster = Cluster(directory=plan.data / "postgres", port=free_port())
    await asyncio.to_thread(cluster.create)
    cluster.forget_killed_server()  # the lock is ours: nothing of an earlier system lives
    await supervisor.start(Service(program=cluster.program(), ready=cluster.accepts_connections))
    await asyncio.to_thread(cluster.prepare)
    return Database(url=cluster.url(APP), owner_url=cluster.url(OWNER))


async def _temporal(plan: Plan, supervisor: Supervisor) -> Runs:
    folder = plan.data / "temporal"
    folder.mkdir(mode=0o700, exist_ok=True)
    usual = plan.api_port != 0
    server = temporal.Server(
        port=free_port(preferred=_TEMPORAL_PORT if usual else None),
        ui_port=free_port(preferred=_TEMPORAL_UI_PORT if usual else None),
        file=folder / "temporal.db",
    )
    await supervisor.start(Service(program=server.program(), ready=lambda: listens(server.port)))
    client = await temporal.connect(server.address)
    await temporal.keep_closed_runs(client)
    return Runs(address=server.address, namespace=client.namespace, ui_url=server.ui_url)


async def _parts(plan: Plan, supervisor: Supervisor, *, database: Database, runs: Runs) -> int:
    if plan.api_port and listens(plan.api_port):
        message = f"somebody else listens on port {plan.api_port}; choose another with --port"
        raise PortTaken(message)
    api_port = plan.api_port or free_port()
    environment = {
        "ORDERLOOM_DATABASE_URL": database.url,
        "ORDERLOOM_TEMPORAL_ADDRESS": runs.address,
        "ORDERLOOM_TEMPORAL_NAMESPACE": runs.namespace,
        "ORDERLOOM_TEMPORAL_UI_URL": runs.ui_url,
        "ORDERLOOM_API_HOST": "127.0.0.1",
        "ORDERLOOM_API_PORT": str(api_port),
    }
    environment |= {name: value for name, value in PROMPT.items() if name not in os.environ}
    owner = {"ORDERLOOM_OWNER_DATABASE_URL": database.owner_url}
    await supervisor.run(Program(name="migrate", argv=(*plan.part, "migrate"), environment={**environment, **owner}))
    worker = Program(
        name="worker",
        argv=(*plan.part, "worker"),
        environment=environment,
        stop_within_s=_STOP_WORKER_WITHIN_S,
    )
    api = Program(name="api", argv=(*plan.part, "server"), environment=environment)
    await supervisor.start(Service(program=worker))
    await supervisor.start(Service(program=api, ready=lambda: _is_ready(api_port)))
    return api_port


def _is_ready(api_port: int) -> bool:
    """Ask `/readyz`, which says yes once the database, Temporal and a polling worker answer."""
    question = HTTPConnection("127.0.0.1", api_port, timeout=5)
    with contextlib.closing(question):
        try:
            question.request("GET", "/readyz")
            return question.getresponse().status == 200  # noqa: PLR2004 - OK
        except (OSError, HTTPException):
            return False
