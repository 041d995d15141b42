"""`orderloom verify`: everything that must always hold, looked at on a system that may be at work."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli import screen, whereabouts
from cli.client import Json
from cli.whereabouts import DataFolder

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from temporalio.client import Client

    from domain.invariant import Finding, Invariant
    from domain.watch import WatchedOrder
    from settings import Settings
    from workflows.invariants import Limits

commands = typer.Typer()

GRACE_S = 30.0
"""What changed less than this ago may still be under way."""

Grace = Annotated[
    float, typer.Option("--grace", min=0, metavar="SECONDS", help="What changed less than this ago may be under way.")
]


@commands.command(name="verify", rich_help_panel="The whole system")
def report(data: DataFolder = None, grace_s: Grace = GRACE_S, *, as_json: Json = False) -> None:
    """Look at every invariant, on a system that may be at work; changes nothing. Exit status 1 when one is broken.

    Finds the system that runs on the data folder, or the one that ORDERLOOM_DATABASE_URL and the like name.
    """
    from sqlalchemy.exc import DBAPIError
    from temporalio.service import RPCError

    from embedded.process import NotReady

    try:
        findings = asyncio.run(_verify(whereabouts.settings(data), grace_s))
    except (NotReady, DBAPIError, RPCError) as problem:
        screen.complain(next(iter(str(problem).splitlines()), type(problem).__name__))
        raise typer.Exit(2) from None
    holds = all(x.holds for x in findings)
    if as_json:
        screen.say_json({"holds": holds, "findings": [{**asdict(x), "holds": x.holds} for x in findings]})
    else:
        _show(findings)
    raise typer.Exit(0 if holds else 1)


async def _verify(settings: "Settings", grace_s: float) -> "list[Finding]":
    from embedded import temporal
    from settings import Neighbours
    from sql.connections import connect

    client = await temporal.connect(settings.temporal_address, namespace=settings.temporal_namespace)
    engine = connect(settings.database_url, pool_size=2)
    look = verify if settings.neighbours is Neighbours.EMBEDDED else verify_own
    return await look(engine, client, task_queue=settings.task_queue, grace_s=grace_s)


async def verify(
    engine: "Engine", client: "Client", *, task_queue: str, grace_s: float = GRACE_S, limits: "Limits | None" = None
) -> "list[Finding]":
    """What is found of every invariant, our rows held against the embedded neighbours' ledgers and Temporal's runs.

    Rows are looked at in one snapshot, the runs of the task queue right after it. What is under way is no violation: at
    rest, that is after everything came to its end, ``grace_s`` may be 0. The engine needs two connections.
    """
    from adapters.billing import invariants as billing
    from models.invariants.examination import examine

    found = await asyncio.to_thread(
        examine,
        engine,
        _invariants(),
        grace_s=grace_s,
        services=billing.SERVICES,
        purchases=billing.PURCHASES,
    )
    return _in_order([*found, *await _runs(engine, client, task_queue=task_queue, grace_s=grace_s, limits=limits)])


async def verify_own(
    engine: "Engine", client: "Client", *, task_queue: str, grace_s: float = GRACE_S
) -> "list[Finding]":
    """The same without the neighbours' ledgers: they are other systems'."""
    from models.invariants.examination import examine
    from models.invariants.orders import OWN

    found = await asyncio.to_thread(examine, engine, OWN, grace_s=grace_s, services=None, purchases=None)
    return _in_order([*found, *await _runs(engine, client, task_queue=task_queue, grace_s=grace_s, limits=None)])


def _invariants() -> "Sequence[Invariant]":
    """Our own, the neighbours' own, and those between any two."""
    from adapters.billing import invariants as billing
    from adapters.inventory import invariants as inventory
    from adapters.provisioning import invariants as provisioning
    from models.invariants import ledgers
    from models.invariants.orders import OWN

    return (
        *OWN,
        *inventory.INVARIANTS,
        *provisioning.INVARIANTS,
        *billing.INVARIANTS,
        *ledgers.inventory(
            calls=inventory.CALLS,
            reservations=inventory.RESERVATIONS,
            units=inventory.UNITS,
            numbers=inventory.NUMBERS,
        ),
        *ledgers.provisioning(calls=provisioning.CALLS, running=provisioning.RUNNING),
        *ledgers.billing(
            calls=billing.CALLS,
            initiated=billing.INITIATED,
            begun=billing.BEGUN,
            states=billing.STATES,
            payers=billing.PAYERS,
            objects=billing.OBJECTS,
            charges=billing.CHARGES,
        ),
        *ledgers.provisioned_and_billed(running=provisioning.RUNNING_BILLABLE, instances=billing.INSTANCES),
    )


async def _runs(
    engine: "Engine", client: "Client", *, task_queue: str, grace_s: float, limits: "Limits | None"
) -> "list[Finding]":
    from models.invariants import examination
    from models.watch import PostgresWatched
    from workflows import invariants
    from workflows.runs import TemporalRuns

    runs = TemporalRuns(client, task_queue)
    opened = await asyncio.to_thread(examination.open_orders, engine, grace_s=grace_s)
    running = await runs.orders()
    over = await asyncio.to_thread(examination.ended_orders, engine, running - opened, grace_s=grace_s)
    lost = {x: ended for x in opened - running if (ended := await runs.ended(x))}
    still = await asyncio.to_thread(examination.open_orders, engine, grace_s=grace_s) if lost else frozenset()
    left = [x for x in over if await runs.ended(x) is None]
    watched = await asyncio.to_thread(PostgresWatched(engine).orders, [*lost, *left], settled_before=datetime.now(UTC))
    offenders = [_without_run(watched[x], ended) for x, ended in lost.items() if x in still]
    offenders += [f"order {watched[x].number if x in watched else x} is not open, and its run is" for x in left]
    return [
        invariants.finding(
            "I5", "An order is open exactly while its run is", looked_at=len(opened | running), offenders=offenders
        ),
        *await invariants.examine(runs, running, limits=limits or invariants.Limits()),
    ]


def _without_run(order: "WatchedOrder", ended: str) -> str:
    """An order that nobody carries out, and what it leaves behind: reserved, initiated, running."""
    begun = f"; done or under way: {', '.join(order.begun)}" if order.begun else ""
    return f"order {order.number} is {order.state} and has no open run: {ended}{begun}"


def _in_order(findings: "Sequence[Finding]") -> "list[Finding]":
    """By the numbers of the specification, those without one of their own last."""

    def place(finding: "Finding") -> tuple[bool, int, str]:
        number = re.search(r"\d+", finding.id)
        return not finding.id.startswith("I"), int(number[0]) if number else 0, finding.id

    return sorted(findings, key=place)


def _show(findings: "Sequence[Finding]") -> None:
    for x in findings:
        count = x.looked_at if x.holds else f"{x.broken} of {x.looked_at}"
        style = "" if x.holds else "bold red"
        screen.say(f"{'holds ' if x.holds else 'BROKEN'} {x.id:<16} {x.statement}: {count}", style=style)
        for offender in x.offenders:
            screen.say(f"       {offender}", style="red")
    broken = sum(not x.holds for x in findings)
    screen.say(f"{broken or 'None'} of {len(findings)} invariants is broken.", style="red" if broken else "green")
