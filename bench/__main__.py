"""`make bench`: measure, print one table, write `bench/results.json` and `bench/RESULTS.md`."""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench import machine, report
from bench.house import opened
from bench.measure import Effort, figures, measure
from settings import Settings, WorkflowSandbox

HERE = Path(__file__).parent
SCRATCH = HERE.parent / "build"
"""Beside the project, for a temporary folder may be in memory, where nothing has to wait for a disk."""


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of order and reference.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds under full load, each.")] = 8.0,
    many: Annotated[int, typer.Option(min=0, help="Suspensions from one request; 0: none.")] = 1_000,
    *,
    keep: Annotated[bool, typer.Option(help="Write the results down.")] = True,
) -> None:
    """Measure the whole order beside a bare Temporal workflow, and what surrounds it."""
    console = Console()
    results = asyncio.run(_run(Effort(rounds=rounds, seconds=seconds, many=many), console))
    console.print(report.table(results))
    if keep:
        (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
        (HERE / "RESULTS.md").write_text(report.markdown(results))


async def _run(effort: Effort, console: Console) -> dict[str, Any]:
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="bench-") as data, console.status("starting") as status:
        async with opened(Path(data)) as house:
            measured = await measure(house, effort, say=status.update)
    sandbox = os.environ.get("ORDERLOOM_WORKFLOW_SANDBOX") or WorkflowSandbox(
        Settings.model_fields["workflow_sandbox"].default
    )
    return {
        **figures(measured),
        "rounds": effort.rounds,
        "seconds": effort.seconds,
        "sandbox": str(sandbox),
        "machine": machine.description(),
    }


if __name__ == "__main__":
    typer.run(main)
