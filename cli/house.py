"""`orderloom up`: the whole system on this machine, in the foreground."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.whereabouts import DataFolder, default_data_folder, noted

if TYPE_CHECKING:
    from embedded.system import Plan, System

commands = typer.Typer()

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="The API's port; 0: every port is any free one.")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


@commands.command(rich_help_panel="The whole system")
def up(data: DataFolder = None, port: Port = None, *, as_json: Json = False) -> None:
    """Run PostgreSQL, Temporal with its UI, a worker and the API until Ctrl-C.

    With ORDERLOOM_DATABASE_URL or ORDERLOOM_TEMPORAL_ADDRESS set it uses those instead of its own.
    """
    from embedded import lock, postgres, process, system

    async def announce(found: "System") -> None:
        typer.echo(_json_line(found) if as_json else _sentence(found))
        await forever()

    planned = plan(data or default_data_folder(), port)
    try:
        asyncio.run(run(planned, work=announce))
    except (lock.InUse, postgres.CannotRun, process.NotReady, system.PortTaken) as problem:
        _say(str(problem))
        raise typer.Exit(1) from None


def plan(data: Path, port: int | None) -> "Plan":
    """Say what to run: our own of everything that the environment does not provide."""
    from embedded.system import Database, Plan, Runs
    from settings import Provided

    given = Provided()
    return Plan(
        data=data,
        api_port=given.api_port if port is None else port,
        database=Database(url=given.database_url, owner_url=given.owner_database_url or given.database_url)
        if given.database_url
        else None,
        runs=Runs(address=given.temporal_address, namespace=given.temporal_namespace, ui_url=given.temporal_ui_url)
        if given.temporal_address
        else None,
    )


async def run(plan: "Plan", *, work: Callable[["System"], Awaitable[None]]) -> bool:
    """Run the system until `work` is done or SIGINT or SIGTERM comes, then stop everything in order.

    Returns whether the work is done. A second signal hurries nothing.
    """
    asked = asyncio.Event()
    for asking in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(asking, asked.set)
    working = asyncio.create_task(_work(plan, work))
    await asyncio.wait({working, asyncio.create_task(asked.wait())}, return_when=asyncio.FIRST_COMPLETED)
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
        return True
    return False


async def _work(plan: "Plan", work: Callable[["System"], Awaitable[None]]) -> None:
    from embedded import system

    async with system.running(plan, say=_say) as found:
        with noted(plan.data, found):
            await work(found)


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


def _json_line(found: "System") -> str:
    return json.dumps({"ready": True, **asdict(found)})


def _sentence(found: "System") -> str:
    return f"Orderloom is ready: API {found.api} (docs at /docs), Temporal UI {found.temporal_ui}; Ctrl-C stops it"


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
