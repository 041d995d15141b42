"""`orderloom reconcile`, `report` and `schedules`: what differs, how quickly orders are fulfilled, what recurs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from cli import screen
from cli.client import PANEL, Api, ApiUrl, Json, asking
from cli.orders import OfAccount

commands = typer.Typer()
report = typer.Typer(help="Read a report.", no_args_is_help=True)
commands.add_typer(report, name="report", rich_help_panel=PANEL)

OfClass = Annotated[str | None, typer.Option("--class", help="Only of this class, such as ACTIVE_NOT_BILLED.")]
Since = Annotated[str | None, typer.Option(help="Orders submitted from then on, such as 2026-03-01T00:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="Orders submitted before then. Default: now.")]

_COMPARED_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.1
_DIFFERENCES = ("class", "account", "product", "service", "leakage", "fallout", "since", "what")
_PRODUCTS = ("product", "delivered", "p50", "p95", "mean")
_STEPS = ("step", "planned", "done", "p50", "p95", "mean", "retries", "fallouts", "fallout rate")
_NEIGHBOURS = ("neighbour", "state", "done", "retries", "fallouts", "failing", "last done", "last error")
_SCHEDULES = ("schedule", "state", "every", "started", "skipped", "missed", "last", "next", "about")


@commands.command(rich_help_panel=PANEL)
def reconcile(api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Compare now what the network runs with what billing bills, and show what differs. Nothing is mended."""
    with asking(api, as_json=as_json) as asked:
        before = asked.get("/v1/reports/reconciliation", limit=1)["run"]
        run = asked.post("/v1/reports/reconciliation", None)["run"]
        if not _is_compared(asked, run["workflow_id"], before):
            screen.complain(f"It is still being compared: {run['temporal_ui']}")
            raise typer.Exit(1)
        _show_reconciliation(asked, as_json=as_json)


@report.command()
def reconciliation(
    account: OfAccount = None, of_class: OfClass = None, api: ApiUrl = None, *, as_json: Json = False
) -> None:
    """Show the latest comparison of what the network runs with what billing bills, and what differs."""
    with asking(api, as_json=as_json) as asked:
        _show_reconciliation(asked, as_json=as_json, account=account, **{"class": of_class})


@report.command()
def fulfillment(since: Since = None, until: Until = None, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Show how quickly the orders of a period were fulfilled: by product and by step. Default: the last 30 days."""
    with asking(api, as_json=as_json) as asked:
        found = asked.get("/v1/reports/fulfillment", since=since, until=until)
        if as_json:
            screen.say_json(found)
            return
        counts = "{submitted} orders submitted, {completed} completed, {with_fallout} needed a person"
        screen.say(counts.format_map(found["orders"]))
        period = f"{screen.instant(found['since'])} to {screen.instant(found['until'])}"
        screen.say(f"Submitted from {period}; times are in seconds.")
        screen.table(_PRODUCTS, map(_product, found["products"]))
        screen.table(_STEPS, map(_step, found["steps"]))


@report.command()
def neighbours(since: Since = None, until: Until = None, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Show how inventory, network and billing answer, and what they fail at now. Default: the last day."""
    with asking(api, as_json=as_json) as asked:
        found = asked.get("/v1/reports/neighbours", since=since, until=until)
        if as_json:
            screen.say_json(found)
        else:
            screen.table(_NEIGHBOURS, map(_neighbour, found["items"]))


@commands.command(rich_help_panel=PANEL)
def schedules(api: ApiUrl = None, *, as_json: Json = False) -> None:
    """List what is started again and again by itself: when it last was, and when it will be."""
    with asking(api, as_json=as_json) as asked:
        found = asked.get("/v1/schedules")
        if as_json:
            screen.say_json(found)
        else:
            screen.table(_SCHEDULES, map(_schedule, found["items"]))


def _is_compared(asked: Api, run: str, before: dict[str, Any] | None) -> bool:
    """Whether the run has made its report in time; one later than ``before`` that was faster does as well."""
    deadline = time.monotonic() + _COMPARED_WITHIN_S
    while time.monotonic() < deadline:
        latest = asked.get("/v1/reports/reconciliation", limit=1)["run"]
        if latest and (latest["id"] == run or (before and latest["as_of"] > before["as_of"])):
            return True
        time.sleep(_LOOK_EVERY_S)
    return False


def _show_reconciliation(asked: Api, *, as_json: bool, **filters: str | None) -> None:
    found = asked.get("/v1/reports/reconciliation", **filters, limit=200)
    if as_json:
        screen.say_json(found)
        return
    run, differences = found["run"], list(asked.pages("/v1/reports/reconciliation", **filters))
    if run is None:
        screen.say("Nothing has been compared yet: orderloom reconcile")
        return
    screen.say(_sentence(run), style="green" if run["balanced"] else "red")
    if differences:
        screen.table(_DIFFERENCES, map(_difference, differences))
    if not run["complete"]:
        screen.complain("There are more differences than are listed.")


def _sentence(run: Mapping[str, Any]) -> str:
    counts = f"As of {screen.instant(run['as_of'])} {run['active']} services are active and {run['billed']} are billed"
    if run["balanced"]:
        return f"{counts}: the same ones."
    classes = ", ".join(f"{number} {of_class}" for of_class, number in run["by_class"].items())
    leakage = " and ".join("{amount} {currency}".format_map(x) for x in run["leakage"])
    return f"{counts}: {classes}{f'; about {leakage} was not billed so far' if leakage else ''}."


def _difference(found: Mapping[str, Any]) -> Sequence[object]:
    leakage = found["leakage"] and "{amount} {currency}".format_map(found["leakage"])
    accepted = found["accepted"] and "accepted by {by}: {reason}".format_map(found["accepted"])
    return (
        found["class"], found["account"], found["product"], found["service"], leakage, accepted or found["fallout"],
        screen.instant(found["found_at"]), found["message"],
    )  # fmt: skip


def _spread(found: Mapping[str, float | None]) -> Iterator[str]:
    return ("" if found[x] is None else f"{found[x]:.3f}" for x in ("p50_s", "p95_s", "mean_s"))


def _product(found: Mapping[str, Any]) -> Sequence[object]:
    return (found["product"], found["delivered"], *_spread(found["time_to_service"]))


def _step(found: Mapping[str, Any]) -> Sequence[object]:
    rate = "" if found["fallout_rate"] is None else f"{found['fallout_rate']:.2%}"
    counts = (found["retries"], found["fallouts"], rate)
    return (found["function"], found["planned"], found["done"], *_spread(found["duration"]), *counts)


def _neighbour(found: Mapping[str, Any]) -> Sequence[object]:
    counts = (found["done"], found["retries"], found["fallouts"], found["failing"])
    return (found["system"], found["state"], *counts, screen.instant(found["answered_at"]), found["last_error"])


def _schedule(found: Mapping[str, Any]) -> Sequence[object]:
    last = found["last_runs"][0]["started_at"] if found["last_runs"] else None
    following = found["next_runs"][0] if found["next_runs"] else None
    every = f"{found['every_s']:g} s" if found["every_s"] else None
    counts = (found["started"], found["skipped"], found["missed"])
    return (
        found["name"], found["state"], every, *counts, screen.instant(last), screen.instant(following), found["about"],
    )  # fmt: skip
