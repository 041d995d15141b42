"""`orderloom submit`, `order`, `orders`, `cancel` and `revise`."""

import getpass
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NoReturn
from urllib.parse import urlencode

import typer

from cli import document, screen, watching
from cli.client import PANEL, Api, ApiUrl, DocumentFile, Json, asking

commands = typer.Typer()

Watch = Annotated[bool, typer.Option("--watch", help="Follow the order to its end; status 0 only if it is completed.")]
Newest = Annotated[int, typer.Option("--limit", min=1, help="Show so many of the newest.")]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only of this account.")]
OfProduct = Annotated[str | None, typer.Option("--product", help="Only with a line of this product.")]

_COLUMNS = ("number", "state", "account", "external id", "submitted", "completed", "id")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@commands.command(rich_help_panel=PANEL)
def submit(file: DocumentFile, api: ApiUrl = None, *, watch: Watch = False, as_json: Json = False) -> None:
    """Submit an order, or say every rule that it breaks."""
    content = document.as_json(file)
    with asking(api, as_json=as_json) as asked:
        submitted = asked.send("POST", "/v1/orders", content, media_type="application/json")
        if as_json:
            screen.say_json(submitted)
        else:
            screen.say(stands(submitted))
        if watch and submitted["state"] != "draft":
            _watch(asked, submitted["id"], as_json=as_json)


@commands.command(rich_help_panel=PANEL)
def order(
    which: Annotated[str, typer.Argument(metavar="ID", help="The order's id, or its number.")],
    api: ApiUrl = None,
    *,
    watch: Watch = False,
    as_json: Json = False,
) -> None:
    """Show an order: its lines, their steps, and what it waits for."""
    with asking(api, as_json=as_json) as asked:
        order_id = id_of(asked, which)
        if watch:
            _watch(asked, order_id, as_json=as_json)
        elif as_json:
            screen.say_json(asked.get(f"/v1/orders/{order_id}"))
        else:
            shown = watching.draw(asked, order_id)
            if shown["run"]:
                screen.say(f"In Temporal's UI: {shown['run']['temporal_ui']}")


@commands.command(rich_help_panel=PANEL)
def orders(
    state: Annotated[str | None, typer.Option(help="Only in this state, such as held.")] = None,
    account: OfAccount = None,
    product: OfProduct = None,
    limit: Newest = 20,
    api: ApiUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """List orders, newest first."""
    with asking(api, as_json=as_json) as asked:
        pages = asked.pages("/v1/orders", state=state, account=account, product=product)
        found = list(itertools.islice(pages, limit))
        if as_json:
            screen.say_json({"items": found})
        elif found:
            screen.table(_COLUMNS, map(_row, found))
        else:
            screen.say("There are no such orders.")


@commands.command(rich_help_panel=PANEL)
def cancel(
    which: Annotated[str, typer.Argument(metavar="ID", help="The order's id, or its number.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    actor: Annotated[str | None, typer.Option(help="Who asks. Default: your name on this machine.")] = None,
    api: ApiUrl = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also take down what runs and is not billed yet.")] = False,
    as_json: Json = False,
) -> None:
    """Cancel an order; refused, with line and step, once something cannot be taken back."""
    with asking(api, as_json=as_json) as asked:
        order_id = id_of(asked, which)
        wish = {"reason": reason, "actor": actor or getpass.getuser(), "force": force}
        cancelled = asked.post(f"/v1/orders/{order_id}/cancellation", wish)
        if as_json:
            screen.say_json(cancelled)
        else:
            screen.say(f"Order {which} is {cancelled['state']}.")


@commands.command(rich_help_panel=PANEL)
def revise(
    which: Annotated[str, typer.Argument(metavar="ID", help="The order's id, or its number.")],
    file: DocumentFile,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    actor: Annotated[str | None, typer.Option(help="Who wants it. Default: your name on this machine.")] = None,
    api: ApiUrl = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also do anew what runs and is not billed yet.")] = False,
    as_json: Json = False,
) -> None:
    """Submit the whole order as it is to be; refused, with line and step, once something cannot be otherwise."""
    content = document.as_json(file)
    manner = urlencode({"actor": actor or getpass.getuser(), "reason": reason, "force": str(force).lower()})
    with asking(api, as_json=as_json) as asked:
        path = f"/v1/orders/{id_of(asked, which)}/revisions?{manner}"
        revised = asked.send("POST", path, content, media_type="application/json")
        if as_json:
            screen.say_json(revised)
        else:
            screen.say(f"Order {which}: revision {revised['revision']} is {revised['state']}.")


def stands(order: Mapping[str, Any]) -> str:
    """Return what an order that was sent is now; a draft has no number."""
    named = f"Order {order['number']}" if order["number"] else "An order"
    return f"{named} of {order['account']} is {order['state']}: {order['id']}"


def id_of(api: Api, which: str) -> str:
    """Return an order's id, given that or its number; exit with status 1 when no order has the number."""
    if not which.isdecimal():
        return whole_id(which, "order")
    found = next((x for x in _all(api) if x["number"] == int(which)), None)
    return str(found["id"]) if found else _unknown(which, "order")


def whole_id(which: str, noun: str) -> str:
    """Return an id as the API writes it; exit with status 1 when it is none."""
    return which.lower() if _UUID.fullmatch(which.lower()) else _unknown(which, noun)


def _all(api: Api) -> Iterator[Any]:
    return api.pages("/v1/orders")


def _unknown(which: str, noun: str) -> NoReturn:
    screen.complain(f"There is no {noun} {which}.")
    raise typer.Exit(1)


def _watch(api: Api, order_id: str, *, as_json: bool) -> None:
    ended = watching.watch(api, order_id, as_json=as_json)
    if as_json:
        screen.say_json(ended)
    if ended["state"] != "completed":
        raise typer.Exit(1)


def _row(order: Any) -> tuple[object, ...]:  # noqa: ANN401
    submitted, completed = screen.instant(order["submitted_at"]), screen.instant(order["completed_at"])
    return (
        order["number"], order["state"], order["account"], order["external_id"], submitted, completed, order["id"],
    )  # fmt: skip
