"""`orderloom fallouts` and `resolve`: what needs a person, and what the person decides."""

import getpass
import itertools
import json
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import screen
from cli.client import PANEL, ApiUrl, Json, asking
from cli.orders import Newest, OfAccount, OfProduct, id_of

commands = typer.Typer()

_COLUMNS = ("id", "order", "account", "step", "since", "error", "message", "decisions", "decided")


Correction = Annotated[str, typer.Option("--input", metavar="JSON", help="With retry_with: the corrected fields.")]


class Decision(StrEnum):
    """What can be decided."""

    RETRY = "retry"
    RETRY_WITH = "retry_with"
    SKIP = "skip"
    ABORT = "abort"


class Shown(StrEnum):
    """Which fallouts to show."""

    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


@commands.command(rich_help_panel=PANEL)
def fallouts(
    state: Annotated[Shown, typer.Option(help="Which of them.")] = Shown.OPEN,
    account: OfAccount = None,
    product: OfProduct = None,
    order: Annotated[str | None, typer.Option(help="Only of this order: its id or number.")] = None,
    limit: Newest = 20,
    api: ApiUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """List what needs a person, newest first."""
    with asking(api, as_json=as_json) as asked:
        filters = {
            "state": None if state is Shown.OPEN else state.value,
            "account": account,
            "product": product,
            "order": id_of(asked, order) if order else None,
        }
        found = list(itertools.islice(asked.pages("/v1/fallouts", **filters), limit))
        if as_json:
            screen.say_json({"items": found})
        elif found:
            screen.table(_COLUMNS, map(_row, found))
        else:
            screen.say("Nothing needs a person." if state is Shown.OPEN else "There are no such fallouts.")


@commands.command(rich_help_panel=PANEL)
def resolve(
    fallout: Annotated[str, typer.Argument(metavar="ID", help="The fallout, as `orderloom fallouts` names it.")],
    decision: Annotated[Decision, typer.Argument(help="One that the fallout allows.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    correction: Correction = "{}",
    actor: Annotated[str | None, typer.Option(help="Who decides. Default: your name on this machine.")] = None,
    api: ApiUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """Decide about a fallout; the order goes on with it."""
    body = {
        "decision": decision.value,
        "reason": reason,
        "actor": actor or getpass.getuser(),
        "input": _correction(correction),
    }
    with asking(api, as_json=as_json) as asked:
        resolved = asked.post(f"/v1/fallouts/{quote(fallout, safe='')}/resolution", body)
        if as_json:
            screen.say_json(resolved)
        else:
            screen.say(f"Fallout {fallout}: {decision}, {resolved['outcome']}.")


def _correction(text: str) -> Any:  # noqa: ANN401 - the API says what it takes
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--input") from None


def _row(fallout: Any) -> tuple[object, ...]:  # noqa: ANN401
    since, error = screen.instant(fallout["since"]), fallout["error"]
    decided = "{decision} by {actor}: {reason}".format_map(fallout) if fallout["state"] == "closed" else None
    return (
        fallout["id"], fallout["number"], fallout["account"], fallout["step"], since, error["code"], error["message"],
        " ".join(fallout["decisions"]), decided,
    )  # fmt: skip
