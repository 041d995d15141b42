"""`orderloom assets`, `change` and `draft`: what is installed, and orders that change it."""

import json
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli import document, screen, watching
from cli.client import PANEL, Api, ApiUrl, DocumentFile, Json, asking
from cli.orders import stands, whole_id

commands = typer.Typer()
draft = typer.Typer(help="Change, submit or discard an order that was kept as a draft.", no_args_is_help=True)
commands.add_typer(draft, name="draft", rich_help_panel=PANEL)

_COLUMNS = ("product", "status", "service id", "allowed", "pending", "asset")
_POLL_S = 0.5
_IN_BULK = ("modify", "suspend", "resume", "disconnect")

Draft = Annotated[str, typer.Argument(metavar="ID", help="The draft's id.")]


class Change(StrEnum):
    """What may be asked of an asset."""

    MODIFY = "modify"
    SUSPEND = "suspend"
    RESUME = "resume"
    DISCONNECT = "disconnect"
    MOVE = "move"
    REPLACE = "replace"


@commands.command(rich_help_panel=PANEL)
def assets(
    account: Annotated[str, typer.Argument(help="A customer, billing or service account.")],
    product: Annotated[str | None, typer.Option(help="Only of this product.")] = None,
    api: ApiUrl = None,
    *,
    as_json: Json = False,
) -> None:
    """List what an account has installed, what may be asked of it now, and what open orders will do to it."""
    with asking(api, as_json=as_json) as asked:
        pages = asked.pages(f"/v1/accounts/{account}/installed-assets")
        found = [x for x in pages if product in (None, x["product"])]
        if as_json:
            screen.say_json({"account": account, "items": found})
        elif found:
            screen.table(_COLUMNS, map(_row, found))
        else:
            screen.say(f"{account} has nothing of the kind.")


@commands.command(rich_help_panel=PANEL)
def change(  # noqa: PLR0913 - each is one thing to say
    what: Annotated[Change, typer.Argument(metavar="CHANGE", help=", ".join(Change))],
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ASSET]...", help="The assets.")] = None,
    *,
    account: Annotated[str | None, typer.Option(help="All of this account, instead of naming them.")] = None,
    product: Annotated[str | None, typer.Option(help="All of this product.")] = None,
    status: Annotated[str | None, typer.Option(help="Only active or suspended ones of them.")] = None,
    due: Annotated[str | None, typer.Option(metavar="DATE", help="The day, such as 2026-07-01. Default: now.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A new value, such as attributes.apn=fast or service_point=SP-2."
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    as_draft: Annotated[bool, typer.Option("--draft", help="Keep the order as a draft.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it to its end; status 0 only if all is completed.")
    ] = False,
    api: ApiUrl = None,
    as_json: Json = False,
) -> None:
    """Change an asset, or many: named, or selected by account and product."""
    header = {"due_date": due, "reason": reason}
    said: dict[str, Any] = {name: value for name, value in header.items() if value is not None}
    values = _values(given or ())
    selection = {x: y for x, y in (("account", account), ("product", product), ("status", status)) if y is not None}
    if bool(ids) == bool(selection):
        message = "name assets, or select them by --account, --product or --status"
        raise typer.BadParameter(message, param_hint="[ASSET]...")
    with asking(api, as_json=as_json) as asked:
        if ids and len(ids) == 1:
            body = said | values | ({"submit": False} if as_draft else {})
            _change_one(asked, ids[0], what, body, watch=watch, as_json=as_json)
            return
        if what not in _IN_BULK or as_draft:
            message = "many assets can be modified, suspended, resumed or disconnected, and not as drafts"
            raise typer.BadParameter(message, param_hint="CHANGE")
        which = {"assets": ids} if ids else {"selection": selection}
        body = said | which | {"change": what} | ({"values": values} if values else {})
        _change_many(asked, body, watch=watch, as_json=as_json)


@draft.command("change")
def change_draft(which: Draft, file: DocumentFile, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Change what FILE names: fields of the order, of its lines by their ids, and lines to `remove`."""
    with asking(api, as_json=as_json) as asked:
        content = document.as_json(file)
        changed = asked.send("PATCH", f"/v1/orders/{whole_id(which, 'draft')}", content, media_type="application/json")
        _say(changed, f"Draft {which} is changed.", as_json=as_json)


@draft.command("submit")
def submit_draft(which: Draft, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Make an order of it, or say every rule that it breaks."""
    with asking(api, as_json=as_json) as asked:
        submitted = asked.post(f"/v1/orders/{whole_id(which, 'draft')}/submission", None)
        _say(submitted, stands(submitted), as_json=as_json)


@draft.command("discard")
def discard_draft(which: Draft, api: ApiUrl = None, *, as_json: Json = False) -> None:
    """Forget it."""
    with asking(api, as_json=as_json) as asked:
        asked.delete(f"/v1/orders/{whole_id(which, 'draft')}")
        _say({"id": which, "discarded": True}, f"Draft {which} is gone.", as_json=as_json)


def _change_one(api: Api, asset: str, what: Change, body: Mapping[str, Any], *, watch: bool, as_json: bool) -> None:
    order = api.post(f"/v1/assets/{whole_id(asset, 'asset')}/{what}", body)
    _say(order, stands(order), as_json=as_json)
    if watch and order["state"] != "draft":
        ended = watching.watch(api, order["id"], as_json=as_json)
        if as_json:
            screen.say_json(ended)
        if ended["state"] != "completed":
            raise typer.Exit(1)


def _change_many(api: Api, body: Mapping[str, Any], *, watch: bool, as_json: bool) -> None:
    """Say how far it is until every asset was asked, or with ``watch`` until every order has ended."""
    bulk = api.post("/v1/assets/changes", body)
    shown = None
    while True:
        if bulk != shown:
            shown = bulk
            _say(bulk, _progress(bulk), as_json=as_json)
        if bulk["ended"] or not (watch or bulk["waiting"]):
            break
        time.sleep(_POLL_S)
        bulk = api.get(f"/v1/assets/changes/{bulk['id']}")
    for item in api.pages(f"/v1/assets/changes/{bulk['id']}/items", state="refused"):
        screen.complain(f"Asset {item['asset']}: {item['refusal']}")
    if bulk["refused"] or (watch and bulk["orders"].keys() - {"completed"}):
        raise typer.Exit(1)


def _progress(bulk: Mapping[str, Any]) -> str:
    counts = {"waiting": bulk["waiting"], "refused": bulk["refused"], **bulk["orders"]}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{bulk['change']} of {bulk['total']} assets ({bulk['id']}): {said}"


def _say(found: Any, sentence: str, *, as_json: bool) -> None:  # noqa: ANN401
    if as_json:
        screen.say_json(found)
    else:
        screen.say(sentence)


def _values(given: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` and ``attributes.name=value``; a value is JSON, or else text."""
    found: dict[str, Any] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not separator:
            message = f"{each!r} is not NAME=VALUE"
            raise typer.BadParameter(message, param_hint="--set")
        group, _, attribute = name.partition(".")
        if attribute:
            found.setdefault(group, {})[attribute] = _value(value)
        else:
            found[name] = _value(value)
    return found


def _value(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except ValueError:
        return text


def _row(asset: Mapping[str, Any]) -> tuple[object, ...]:
    pending = ", ".join(f"{x['action']} {screen.instant(x['due'])} ({x['number']})" for x in asset["pending_changes"])
    allowed = " ".join(asset["allowed_actions"])
    return asset["product"], asset["status"], asset["service_id"], allowed, pending, asset["id"]
