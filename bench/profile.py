"""Where the processor time of an order goes: `python -m bench.profile`, with py-spy on PATH.

`--work suspension` is the order that suspends one asset. Prints the database's statements, and the functions of worker
and API by their own time and with what they call; all in milliseconds per order. Only what holds the interpreter is
counted: what waits, or is not Python, costs more beside it.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import psycopg2
import typer

from bench import orders
from bench.__main__ import SCRATCH
from bench.house import opened
from bench.load import RAMP_S, Window, Work, sustained
from bench.subjects import House
from embedded.postgres import DATABASE, SUPERUSER, Cluster

IN_FLIGHT = 50
WARM_UP_S = 4.0
WATCHED = ("worker", "api")
SHOWN = 60
SAMPLES_PER_S = 250
ENOUGH_PER_S = 60
"""More suspensions than are carried out in a second: so many are installed for each."""


class Subject(StrEnum):
    """What is watched."""

    ORDER = "order"
    SUSPENSION = "suspension"


_WATCH_STATEMENTS = """
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track_planning = on
"""
_STATEMENTS = """
    SELECT calls, total_exec_time, total_plan_time, left(regexp_replace(query, '[[:space:]]+', ' ', 'g'), 150)
      FROM pg_stat_statements ORDER BY total_exec_time + total_plan_time DESC LIMIT 40
"""


def main(
    seconds: Annotated[float, typer.Option(help="How long the system is watched.")] = 15.0,
    work: Annotated[Subject, typer.Option(help="What it carries out meanwhile.")] = Subject.ORDER,
) -> None:
    """Watch the system while it carries out orders."""
    if shutil.which("py-spy") is None:
        raise typer.BadParameter("py-spy is not on PATH")
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="profile-") as data:
        asyncio.run(_run(Path(data), seconds, work))


async def _run(data: Path, seconds: float, subject: Subject) -> None:
    cluster = Cluster(directory=data / "postgres", port=0)
    cluster.create()
    with (data / "postgres" / "cluster" / "postgresql.conf").open("a") as settings:
        settings.write(_WATCH_STATEMENTS)
    async with opened(data) as house:
        database = psycopg2.connect(
            host="127.0.0.1",
            port=house.database_port,
            dbname=DATABASE,
            user=SUPERUSER,
            password=cluster.password(SUPERUSER),
        )
        with closing(database), database, database.cursor() as cursor:
            cursor.execute("CREATE EXTENSION pg_stat_statements")
            work = await _work(house, subject, seconds=WARM_UP_S + seconds + 2 * RAMP_S)
            await sustained(work, in_flight=IN_FLIGHT, seconds=WARM_UP_S, parts=house.parts)
            cursor.execute("SELECT pg_stat_statements_reset()")
            watching = [asyncio.create_task(_watch(house, part, data, seconds)) for part in WATCHED]
            window = await sustained(work, in_flight=IN_FLIGHT, seconds=seconds, parts=house.parts)
            await asyncio.gather(*watching)
            cursor.execute(_STATEMENTS)
            statements = cursor.fetchall()
    parts = ", ".join(f"{part} {ms:.1f}" for part, ms in window.cpu_ms.items())
    print(f"{window.per_s:.1f} orders a second; CPU ms per order: {parts}")
    _print_statements(statements, window)
    for part, watched in zip(WATCHED, watching, strict=True):
        _print_stacks(part, watched.result(), orders=window.per_s * seconds)


async def _work(house: House, subject: Subject, *, seconds: float) -> Work:
    """What is done over and over; for ``seconds`` there is enough to do it to."""
    if subject is Subject.ORDER:
        return house.order
    await house.stock_up(orders.SERVICE, round(ENOUGH_PER_S * seconds))
    return partial(house.suspend, orders.SERVICE)


async def _watch(house: House, part: str, data: Path, seconds: float) -> Sequence[str]:
    """The stacks that were seen, each with how often."""
    await asyncio.sleep(RAMP_S)
    file = data / f"{part}.stacks"
    watching = await asyncio.create_subprocess_exec(
        "py-spy", "record", "--pid", str(house.parts[part]), "--gil", "--nonblocking",
        "--rate", str(SAMPLES_PER_S), "--duration", str(round(seconds)), "--format", "raw", "--output", str(file),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await watching.wait()
    return file.read_text().splitlines()


def _print_statements(statements: Sequence[Sequence[Any]], window: Window) -> None:
    print("\nstatements per order: calls, ms carried out, ms planned")
    for calls, executing, planning, query in statements:
        print(f"{calls / window.done:7.2f} {executing / window.done:7.3f} {planning / window.done:7.3f}  {query}")


def _print_stacks(part: str, stacks: Sequence[str], *, orders: float) -> None:
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks:
        stack, _, seen = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(seen)
        for frame in set(frames):
            whole[frame] += int(seen)
    ms = 1_000 / SAMPLES_PER_S / orders
    print(f"\n{part}, ms per order: {own.total() * ms:.1f}; with what is called, and alone")
    for both in zip(whole.most_common(SHOWN), own.most_common(SHOWN), strict=False):
        print("  ".join(f"{seen * ms:7.2f} {name[-75:]:75}" for name, seen in both))


if __name__ == "__main__":
    typer.run(main)
