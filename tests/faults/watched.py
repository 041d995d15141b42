# ruff: noqa: ANN401 - what is around a call takes whatever the call takes
"""What a process under test is made of, watched: every place where it could die, or lose a connection, is passed aloud.

None of it is in the program: the entry points of :mod:`tests.faults.processes` put it around what they join.
"""

import json
import re
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import psycopg2
from psycopg2.extensions import connection, cursor
from sqlalchemy import Engine, event
from temporalio import activity, client, workflow
from temporalio.common import RawValue
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    WorkerConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from typing_extensions import override

from activities.messages import Batch, Taken
from tests.faults.armed import Armed
from tests.faults.boundary import When
from tests.faults.haste import PATIENCE

BEFORE, AFTER = When.BEFORE, When.AFTER
STICKY_S = 1.0
SIGN_OF_LIFE = timedelta(seconds=2)
A_LONG_ATTEMPT = timedelta(seconds=30)
"""What an attempt that is not an order's may take in production; here, as long as an order's."""
IMPATIENT = " -c idle_in_transaction_session_timeout=3000"
"""Who stops in the middle of a transaction holds its locks for so long; in production, ten times as long."""


class Watching(SimplePlugin):
    """For a client whose workers are watched: every activity's beginning and end, and every command of a workflow."""

    def __init__(self, armed: Armed, *, sticky_s: float = STICKY_S) -> None:
        super().__init__("watching", interceptors=[_Watcher(armed)])
        self._sticky_s = sticky_s

    @override
    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config["sticky_queue_schedule_to_start_timeout"] = timedelta(seconds=self._sticky_s)
        return super().configure_worker(config)


class Calls(client.Interceptor):
    """For a client that starts runs: each start is passed aloud."""

    def __init__(self, armed: Armed) -> None:
        self._armed = armed

    @override
    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        return _Starts(next, self._armed)


class _Starts(client.OutboundInterceptor):
    def __init__(self, following: client.OutboundInterceptor, armed: Armed) -> None:
        super().__init__(following)
        self._armed = armed

    @override
    async def start_workflow(self, input: client.StartWorkflowInput) -> client.WorkflowHandle[Any, Any]:
        self._armed.passes("start of a run", BEFORE)
        handle = await super().start_workflow(input)
        self._armed.passes("start of a run", AFTER)
        return handle


class _Watcher(Interceptor):
    def __init__(self, armed: Armed) -> None:
        self._armed = armed

    @override
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Activities(next, self._armed)

    @override
    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        armed = self._armed

        class Workflows(WorkflowInboundInterceptor):
            @override
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(_Commands(outbound, armed))

        return Workflows


class _Activities(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, armed: Armed) -> None:
        super().__init__(following)
        self._armed = armed

    @override
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        order = str(info.workflow_id).removeprefix("order-")
        with self._armed.within(info.activity_type, about=_about(input.args), order=order):
            self._armed.passes("activity", BEFORE, local=info.is_local)
            try:
                return await super().execute_activity(input)
            finally:
                self._armed.passes("activity", AFTER)


class _Commands(WorkflowOutboundInterceptor):
    def __init__(self, following: WorkflowOutboundInterceptor, armed: Armed) -> None:
        super().__init__(following)
        self._armed = armed

    @override
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        if input.heartbeat_timeout is not None:
            input.heartbeat_timeout = min(input.heartbeat_timeout, SIGN_OF_LIFE)
        elif input.start_to_close_timeout == A_LONG_ATTEMPT:
            input.start_to_close_timeout = timedelta(seconds=PATIENCE.attempt_s)
        self._passes(input.activity, input.args)
        return super().start_activity(input)

    @override
    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        self._passes(input.activity, input.args)
        return super().start_local_activity(input)

    def _passes(self, name: str, args: Any) -> None:
        if not workflow.unsafe.is_replaying():
            order = workflow.info().workflow_id.removeprefix("order-")
            with self._armed.within("workflow", about=_about(args), order=order):
                self._armed.passes(f"command {name}", BEFORE)


_OF_ASSET = re.compile(r"(?<=\.)[0-9a-f]{8}\b")
"""A line that an order did not write, but that was completed from an asset, bears the beginning of the asset's id."""


def _about(args: Any) -> str:
    """The steps that an activity is about, named alike whenever the story is told: assets have other ids each time."""
    match args:
        case [[RawValue(payload=payload)]] | [RawValue(payload=payload)]:
            steps = [x["id"] for x in json.loads(payload.data)["steps"]]
        case [Batch(steps=batch), *_]:
            steps = [x.id for x in batch]
        case [Taken(step=step), *_]:
            steps = [step.id]
        case _:
            steps = []
    return " ".join(_OF_ASSET.sub("asset", x) for x in steps)


class Neighbour:
    """A neighbour, each of whose operations under a key is passed aloud."""

    def __init__(self, name: str, neighbour: object, armed: Armed) -> None:
        self._name = name
        self._neighbour = neighbour
        self._armed = armed

    def __getattr__(self, operation: str) -> Any:
        found = getattr(self._neighbour, operation)
        if not callable(found):
            return found

        def call(**asked: Any) -> Any:
            what, key = f"call {self._name}.{operation}", asked.get("key", "")
            self._armed.passes(what, BEFORE, key=key)
            answer = found(**asked)
            self._armed.passes(what, AFTER, key=key)
            return answer

        return call


class Wire(httpx.BaseTransport):
    """The wire to a neighbour: each request is passed aloud, and does what the mischief at hand makes of it."""

    def __init__(self, armed: Armed) -> None:
        self._armed = armed
        self._wire = httpx.HTTPTransport(limits=httpx.Limits(keepalive_expiry=2.0), trust_env=False)

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        what = f"http {request.method} {urlsplit(str(request.url)).path}"
        self._armed.passes(what, BEFORE)
        answers = (mischief(self._wire, request) for mischief in self._armed.mischief)
        response = next((x for x in answers if x is not None), None) or self._wire.handle_request(request)
        self._armed.passes(what, AFTER)
        return response

    @override
    def close(self) -> None:
        self._wire.close()


def watched(engine: Engine, armed: Armed) -> Engine:
    """The engine, each statement and commit of whose connections is passed aloud."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    class Watched(_Connection):
        pass

    Watched.armed, Watched.url = armed, url

    @event.listens_for(engine, "do_connect")
    def _(_: object, __: object, ___: object, given: dict[str, Any]) -> None:
        given["connection_factory"] = Watched
        given["options"] += IMPATIENT

    return engine


class _Connection(connection):
    armed: Armed
    url: str

    def cursor(self, *args: Any, **given: Any) -> Any:
        return super().cursor(*args, **({"cursor_factory": _Cursor} | given))

    def commit(self) -> None:
        self.passes("commit", BEFORE)
        super().commit()
        self.passes("commit", AFTER)

    def passes(self, what: str, when: When) -> None:
        if self.armed.passes(what, when):
            self._cut()
            if when is AFTER:
                raise psycopg2.OperationalError("the connection was lost after it was done")

    def _cut(self) -> None:
        """End the server's side, as an operator or a failing network does."""
        other = psycopg2.connect(self.url)
        other.autocommit = True
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (self.get_backend_pid(),))
        other.close()


class _Cursor(cursor):
    def execute(self, query: Any, values: Any = None) -> None:
        what = _told(query)
        if what is None:
            super().execute(query, values)
            return
        connection = cast("_Connection", self.connection)
        connection.passes(what, BEFORE)
        super().execute(query, values)
        connection.passes(what, AFTER)


_PREPARED: dict[str, str] = {}
"""What the program's prepared statements do, by their names."""


def _told(query: Any) -> str | None:
    """A statement in a few words; ``None`` for what only prepares others."""
    words = " ".join((query if isinstance(query, str) else query.decode()).split())
    ends = words.endswith("; COMMIT")
    match words.removeprefix("BEGIN; ").split(" ", 3):
        case ["PREPARE", name, *_]:
            _PREPARED[name] = _gist(words.partition(" AS ")[2])
            return None
        case ["EXECUTE", name, *_]:
            return f"sql {_PREPARED.get(name, name)}{' and commit' if ends else ''}"
        case ["show" | "select" | "SET" | "ROLLBACK", *_]:
            return None
        case _:
            return f"sql {_gist(words)}"


def _gist(words: str) -> str:
    """Its first deed: the name of a statement's first part, or what it does to which table."""
    if part := re.match(r"WITH (\w+)(?: \(\w+\))? AS", words):
        return part[1]
    table = re.search(r"\b(?:FROM|INTO|UPDATE) ([a-z_]+\.[a-z_]+)", words)
    return f"{words.split(' ', 1)[0]} {table[1] if table else ''}".strip()
