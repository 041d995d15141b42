"""`orderloom approve` and `reject`: orders that wait for somebody's word."""

import getpass
from typing import Annotated

import typer

from cli import screen
from cli.client import PANEL, ApiUrl, Json, asking
from cli.orders import id_of

commands = typer.Typer()

Which = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id, or its number.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Who you are. Default: your name on this machine.")]


@commands.command(rich_help_panel=PANEL)
def approve(which: Which, reason: Why, actor: Actor = None, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Approve an order that waits for it: it goes on."""
    _say("approve", which, reason, actor, api, as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def reject(which: Which, reason: Why, actor: Actor = None, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Reject an order that waits for approval: it ends."""
    _say("reject", which, reason, actor, api, as_json=as_json)


def _say(decision: str, which: str, reason: str, actor: str | None, api: str | None, *, as_json: bool) -> None:
    body = {"decision": decision, "reason": reason, "actor": actor or getpass.getuser()}
    with asking(api, as_json=as_json) as asked:
        said = asked.post(f"/v1/orders/{id_of(asked, which)}/approval", body)
        if as_json:
            screen.say_json(said)
        else:
            screen.say(f"Order {which}: {decision}, it is {said['state']}.")
