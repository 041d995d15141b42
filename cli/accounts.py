"""`orderloom profile`: what a customer has."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from cli import screen
from cli.client import PANEL, Api, ApiUrl, Json, asking

commands = typer.Typer()

_COLUMNS = ("product", "status", "quantity", "service id", "billed as", "since", "asset")


@commands.command(rich_help_panel=PANEL)
def profile(
    account: Annotated[str, typer.Argument(help="A customer, billing or service account.")],
    api: ApiUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """Show the service profile: everything the account, and those below it, have running or suspended."""
    with asking(api, as_json=as_json) as asked:
        assets = profile_of(asked, account)
        if as_json:
            screen.say_json({"account": account, "items": assets})
        elif assets:
            show(assets)
        else:
            screen.say(f"{account} has nothing yet.")


def profile_of(api: Api, account: str) -> list[dict[str, Any]]:
    """Return the account's assets, newest first."""
    return list(api.pages(f"/v1/accounts/{account}/service-profile"))


def show(assets: Sequence[Mapping[str, Any]]) -> None:
    """Print assets as trees: each bundle with what belongs to it below."""
    below: dict[str | None, list[Mapping[str, Any]]] = {}
    there = {asset["id"] for asset in assets}
    for asset in reversed(assets):
        below.setdefault(asset["parent"] if asset["parent"] in there else None, []).append(asset)
    screen.table(_COLUMNS, _rows(below, None, depth=0))


def _rows(below: Mapping[str | None, Sequence[Mapping[str, Any]]], above: str | None, *, depth: int) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for x in below.get(above, ()):
        product, billed_as = "  " * depth + x["product"], x["billing_type"] or "not billed"
        since = screen.instant(x["service_start"])
        rows.append([product, x["status"], x["quantity"], x["service_id"], billed_as, since, x["id"]])
        rows += _rows(below, x["id"], depth=depth + 1)
    return rows
