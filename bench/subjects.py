"""What is measured: orders, suspensions, the six bare activities, submitting, the bare endpoint, and previews."""

import asyncio
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from sqlalchemy import Engine, text
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from bench import orders
from bench.bare_six import NAME
from bench.connection import Answer, Connection
from bench.load import counted
from domain.order import State
from workflows.messages import OrderEnd, workflow_id

LOOK_FIRST_S, LOOK_LATEST_S, NEXT_LOOK = 0.01, 0.1, 3
"""When a run is first looked for, times the runs that are waited for: a run is started later then; but never later than
the second. And how much later each time: a look in vain costs the server, and would be counted as if the order did."""
GIVE_UP_S = 60.0
BARE_QUEUE = "bench"
_CODE = re.compile(rb'"code":"(\w+)"')
IN_ONE_ORDER = 20
"""How many services are ordered at once, to have them installed."""
_INSTALLED = text("""
    SELECT CAST(id AS text) FROM orderloom.assets WHERE product = :product AND parent IS NULL AND status = 'active'
""")


@dataclass(frozen=True, slots=True)
class Http:
    """A server, and connections to it that are kept; as many as there are requests in flight."""

    url: str
    _idle: list[Connection] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: bytes) -> Answer:
        """The answer to a request."""
        while self._idle and self._idle[-1].is_stale:
            self._idle.pop().close()
        connection = self._idle.pop() if self._idle else await Connection.open(self.url)
        answer = await connection.ask(method, path, body)
        self._idle.append(connection)
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The running system and its two references; ``parts`` are process ids by part, the bare worker's too.

    ``installed`` are ids of assets that run, by product.
    """

    api: Http
    bare_server: Http
    temporal: Client
    parts: Mapping[str, int]
    bare_parts: Mapping[str, int]
    database_port: int
    database: Engine
    unfinished: list[str] = field(default_factory=list)
    waited_for: set[str] = field(default_factory=set)
    installed: dict[str, list[str]] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def order(self) -> None:
        """A whole order, from the request to the end of its run."""
        await self.end(await self._submitted())

    async def stock_up(self, product: str, number: int) -> None:
        """Have so many of a product installed; what is missing is ordered."""
        if (missing := number - len(await self._look(product))) > 0:
            work, each = (self.order, 1) if product == orders.BUNDLE else (self._services, IN_ONE_ORDER)
            await counted(work, in_flight=ceil(IN_ONE_ORDER / each), times=ceil(missing / each), parts={})
        self.installed[product] = await self._look(product)

    async def suspend(self, product: str) -> None:
        """A suspension of one that is installed, from the request to the end of its run."""
        await self.end(await self._suspended(product))

    async def suspension_history(self, product: str) -> tuple[int, int]:
        """The history of one more suspension."""
        order = await self._suspended(product)
        await self.end(order)
        return await self.history(workflow_id(order))

    async def bare_six(self) -> None:
        """A run of six activities that do nothing."""
        number = str(next(self.numbers))
        await self.temporal.execute_workflow(NAME, number, id=f"bare-{number}", task_queue=BARE_QUEUE, result_type=str)

    async def submit(self) -> None:
        """An order that is stored; what becomes of it comes later."""
        self.unfinished.append(await self._submitted())

    async def bare_submit(self) -> None:
        """One row."""
        answer = await self.bare_server.ask("POST", "/rows", b'{"note": "one row"}')
        answer.json(expected=201)

    async def preview(self, body: bytes) -> None:
        """What an order would do, also one that is larger than an order may be: it is worked out all the same."""
        answer = await self.api.ask("POST", "/v1/orders/preview", body)
        broken = _CODE.findall(answer.body, answer.body.rfind(b'"violations":['))
        if answer.status != 200 or {*broken} - {b"SIZE"}:  # noqa: PLR2004 - OK
            raise RuntimeError(f"status {answer.status}: {answer.body[-2_000:]!r}")

    async def finish(self) -> None:
        """Wait for the ends of all orders that were only submitted."""
        await asyncio.gather(*map(self.end, self.unfinished))
        self.unfinished.clear()

    async def end(self, order: str) -> None:
        """Wait for the end of an order's run, as soon as there is a run."""
        handle = self.temporal.get_workflow_handle(workflow_id(order), result_type=OrderEnd)
        self.waited_for.add(order)
        pause_s = min(LOOK_FIRST_S * len(self.waited_for), LOOK_LATEST_S)
        while True:
            await asyncio.sleep(pause_s)
            try:
                end = await asyncio.wait_for(handle.result(), timeout=GIVE_UP_S)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                pause_s *= NEXT_LOOK
            else:
                break
        self.waited_for.discard(order)
        if end.state is not State.COMPLETED:
            raise RuntimeError(f"order {order} ended {end.state}")

    async def history(self, run: str) -> tuple[int, int]:
        """How many events the history of a run has, and how many bytes."""
        described = await self.temporal.get_workflow_handle(run).describe()
        known = described.raw_description.workflow_execution_info
        return known.history_length, known.history_size_bytes

    async def order_history(self) -> tuple[int, int]:
        """The history of one more order."""
        order = await self._submitted()
        await self.end(order)
        return await self.history(workflow_id(order))

    async def bare_history(self) -> tuple[int, int]:
        """The history of the last run of six activities."""
        await self.bare_six()
        return await self.history(f"bare-{next(self.numbers) - 1}")

    async def _services(self) -> None:
        answer = await self.api.ask("POST", "/v1/orders", orders.services(IN_ONE_ORDER))
        await self.end(str(answer.json(expected=202)["id"]))

    async def _look(self, product: str) -> list[str]:
        def found() -> list[str]:
            with self.database.connect() as connection:
                return [*connection.scalars(_INSTALLED, {"product": product})]

        return await asyncio.to_thread(found)

    async def _suspended(self, product: str) -> str:
        asset = self.installed[product].pop()
        answer = await self.api.ask("POST", f"/v1/assets/{asset}/suspend", b"{}")
        return str(answer.json(expected=202)["id"])

    async def _submitted(self) -> str:
        answer = await self.api.ask("POST", "/v1/orders", orders.wireless())
        return str(answer.json(expected=202)["id"])
