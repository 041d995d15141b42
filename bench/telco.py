"""A telephone company on the running system: customers previewed, their mistakes refused, their bundles fulfilled.

Run by `make telco`. It starts a system of its own on a temporary folder, and ends with status 0 when every row was
accepted, every mistake refused for its rule, every order completed and `orderloom verify` found nothing.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.inventory.supplies import Supplies
from bench import telco_mistakes, telco_rows
from bench.telco_rows import Body, Customer, Row
from sql.connections import connect

CUSTOMERS = tuple(map(Customer, range(1, 26)))
AT_ONCE = 16
PATIENCE_S = 120.0
"""How long an order may take, waiting behind the others included."""

T = TypeVar("T")
System = Mapping[str, Any]
"""What `orderloom up --json` says when it is ready."""

out = Console()


class Wrong(Exception):  # noqa: N818 - a finding about the system
    """Something came out otherwise than it must."""


def main(
    bundles: Annotated[int, typer.Option(min=1, help="How many distinct bundles to fulfill.")] = 300,
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows to preview. Default: all.")] = None,
) -> None:
    """Try the whole system on the customers of a telephone company."""
    if not telco_rows.data_file().exists():
        out.print(f"Skipped: there is no {telco_rows.FILE}; ORDERLOOM_DATA names the folder that holds it.")
        return
    customers = telco_rows.read_rows()
    findings: Sequence[BaseException] = ()
    table: object = None
    try:
        with tempfile.TemporaryDirectory(prefix="orderloom-telco-") as folder, _running(Path(folder)) as system:
            _fill_pools(system, len(customers))
            table = asyncio.run(_work(system, customers[:rows], telco_rows.distinct(customers, bundles)))
            _verify(system)
    except* Wrong as wrong:
        findings = wrong.exceptions
    for finding in itertools.islice(findings, 5):
        out.print("Wrong:", str(finding), style="red", markup=False)
    if findings:
        raise typer.Exit(1)
    out.print(table)


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[System]:
    """Run the whole system on a folder for as long as the block lasts."""
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "cli", "up", "--json", "--port", "0", "--data", str(folder)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None  # noqa: S101 - it was asked for
        try:
            if not (line := process.stdout.readline()):
                raise Wrong("the system did not come up")
            yield json.loads(line)
        finally:
            process.send_signal(signal.SIGINT)


def _fill_pools(system: System, count: int) -> None:
    engine = connect(system["database"], pool_size=1)
    supplies = Supplies(engine, clock=lambda: datetime.now(UTC))
    supplies.create_range(pool=telco_rows.NUMBERS, first="+1-555-0000000", last=f"+1-555-{count:07}")
    engine.dispose()


def _verify(system: System) -> None:
    """Ask the system to check itself."""
    environment = os.environ | {
        "ORDERLOOM_API": system["api"],
        "ORDERLOOM_DATABASE_URL": system["database"],
        "ORDERLOOM_TEMPORAL_ADDRESS": system["temporal"],
    }
    command = [sys.executable, "-m", "cli", "verify"]
    answer = subprocess.run(  # noqa: S603 - ours
        command, cwd=Path(__file__).resolve().parents[1], env=environment, check=False, capture_output=True, text=True
    )
    if answer.returncode != 0:
        raise Wrong(f"orderloom verify found something:\n{answer.stdout}{answer.stderr}")
    out.print(answer.stdout.splitlines()[-1])


async def _work(system: System, rows: Sequence[Row], bundles: Sequence[Row]) -> Table:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    limits = httpx.Limits(max_connections=AT_ONCE)
    with Progress(*columns, console=out) as progress:
        async with httpx.AsyncClient(
            base_url=system["api"], timeout=PATIENCE_S, limits=limits, trust_env=False
        ) as http:
            company = Company(http, progress)
            await company.open()
            await company.preview(rows)
            await company.make_mistakes(rows)
            await company.fulfill(bundles)
    return company.table


@dataclass
class Company:
    """The company's clerks: so many at once, each with one request at a time."""

    http: httpx.AsyncClient
    progress: Progress
    table: Table = field(
        default_factory=lambda: Table("", "how many", "seconds", "a second", title="Telephone company")
    )

    async def open(self) -> None:
        """Publish the catalog, and open the customers' accounts."""
        _expect(200, await self.http.put("/v1/catalog", json=telco_rows.catalog_document()))
        await self._each("accounts opened", CUSTOMERS, self._open_account)

    async def _open_account(self, customer: Customer) -> None:
        body = {"id": customer.id, "name": customer.id, "class": "customer"}
        _expect(201, await self.http.post("/v1/accounts", json=body))
        for account, profile in (
            (customer.billing_account, customer.billing_profile),
            (customer.second_account, customer.second_profile),
        ):
            body = {"id": account, "name": customer.id, "class": "billing", "parent": customer.id}
            _expect(201, await self.http.post("/v1/accounts", json=body))
            _expect(201, await self.http.post(f"/v1/accounts/{account}/billing-profiles", json={"id": profile}))

    async def preview(self, rows: Sequence[Row]) -> None:
        """Every row is an acceptable order."""
        await self._each("rows accepted by preview", rows, self._preview)

    async def _preview(self, row: Row) -> None:
        body = telco_rows.order_body(row, _customer(row))
        preview = _expect(200, await self.http.post("/v1/orders/preview", json=body))
        if preview["violations"] or not preview["plan"]:
            raise Wrong(f"the order of customer {row['customerID']} is not acceptable: {preview['violations']}")

    async def make_mistakes(self, rows: Sequence[Row]) -> None:
        """Every row is submitted with one mistake, another one each time, and refused for the rule it breaks."""
        await self._each("mistakes refused with their rule", list(enumerate(rows)), self._make_mistake)

    async def _make_mistake(self, numbered: tuple[int, Row]) -> None:
        number, row = numbered
        customer = _customer(row)
        stranger = CUSTOMERS[CUSTOMERS.index(customer) - 1]
        possible = list(telco_mistakes.mistaken(telco_rows.order_body(row, customer), customer, stranger))
        mistake, body = possible[number % len(possible)]
        problem = _expect(422, await self.http.post("/v1/orders", json=body))
        found = {(x["code"], x["rule"]) for x in problem.get("violations", ())}
        if found != {(mistake.code, mistake.rule)}:
            raise Wrong(f"{mistake.name!r} of customer {row['customerID']} was refused for {sorted(found)}")

    async def fulfill(self, rows: Sequence[Row]) -> None:
        """Every bundle is ordered, and delivered, billed and installed to its end."""
        await self._each("distinct bundles fulfilled", rows, self._fulfill, at_once=3 * AT_ONCE)

    async def _fulfill(self, row: Row) -> None:
        body: Body = telco_rows.order_body(row, _customer(row))
        order = _expect(202, await self.http.post("/v1/orders", json=body))
        for pause_s in itertools.chain((0.2, 0.3, 0.5), itertools.repeat(1.0, int(PATIENCE_S))):
            await asyncio.sleep(pause_s)
            order = _expect(200, await self.http.get(f"/v1/orders/{order['id']}"))
            if order["state"] not in ("acknowledged", "inProgress", "pending"):
                break
        billed = [x["billing"]["state"] for x in order["lines"] if x["billing"]]
        if order["state"] != "completed" or set(billed) != {"active"}:
            raise Wrong(f"order {order['number']} is {order['state']}, its lines in billing: {sorted(set(billed))}")

    async def _each(
        self, what: str, things: Sequence[T], do: Callable[[T], Awaitable[None]], *, at_once: int = AT_ONCE
    ) -> None:
        task = self.progress.add_task(what, total=len(things))
        waiting = iter(things)

        async def clerk() -> None:
            for thing in waiting:
                await do(thing)
                self.progress.advance(task)

        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(clerk())
        seconds = time.perf_counter() - started
        self.table.add_row(what, f"{len(things):,}", f"{seconds:.1f}", f"{len(things) / seconds:.0f}")


def _customer(row: Row) -> Customer:
    """One customer of ours stands for many of the data's: always the same for the same one."""
    return CUSTOMERS[sum(row["customerID"].encode()) % len(CUSTOMERS)]


def _expect(status: int, answer: httpx.Response) -> Any:  # noqa: ANN401 - any JSON value
    if answer.status_code != status:
        raise Wrong(f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {answer.text}")
    return answer.json()


if __name__ == "__main__":
    typer.run(main)
