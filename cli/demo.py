"""`orderloom demo`: the main job on a fresh system, from a catalog to what runs and is billed."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import accounts, document, house, screen, watching
from cli.client import Api, Event, Json, SaidNo, connected

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cli.neighbours import Compared
    from embedded.system import System

commands = typer.Typer()

Stay = Annotated[bool, typer.Option("--stay", help="Keep the system up afterwards, until Ctrl-C.")]
EXAMPLES = Path(__file__).parents[1] / "examples"
_REASON = "The exchange has a free port again."


class Unexpected(Exception):  # noqa: N818 - a sentence for a person
    """Something did not come out as it should."""


@commands.command(rich_help_panel="The whole system")
def demo(*, stay: Stay = False, as_json: Json = False) -> None:
    """Run the main job on a fresh system: publish, order, fulfill, look. Its data is gone afterwards."""
    import httpx

    from embedded import postgres, process

    for name in [x for x in os.environ if x.startswith("ORDERLOOM_")]:
        del os.environ[name]  # a fresh system, whatever is set up for others
    try:
        with tempfile.TemporaryDirectory(prefix="orderloom-demo-") as folder:
            finished = asyncio.run(_run(Path(folder), stay=stay, as_json=as_json))
    except (Unexpected, postgres.CannotRun, process.NotReady, httpx.HTTPError) as problem:
        screen.complain(f"The demo did not come out as it should: {problem}")
        raise typer.Exit(1) from None
    except SaidNo as refusal:
        screen.complain(f"The demo did not come out as it should: {json.dumps(refusal.problem)}")
        raise typer.Exit(1) from None
    if not finished:
        raise typer.Exit(130)  # Ctrl-C


async def _run(data: Path, *, stay: bool, as_json: bool) -> bool:
    from embedded.system import Plan

    story = Story()

    async def work(found: "System") -> None:
        with connected(found.api) as api, contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            await asyncio.to_thread(story.tell, found, api)
        if as_json:
            screen.say_json(story.result)
        if stay:
            screen.say(f"It stays up until Ctrl-C. In another shell: export ORDERLOOM_API={found.api}")
            await house.forever()

    await house.run(Plan(data=data, api_port=0), work=work)
    return bool(story.result)


@dataclass(slots=True)
class Story:
    """What the demo does, in the order it is told; `result` is what came out."""

    result: dict[str, Any] = field(default_factory=dict)
    _began_s: float = field(default_factory=time.monotonic)

    def tell(self, found: "System", api: Api) -> None:
        """Run the whole main job; `Unexpected` when something does not come out as it should."""
        from models.database import connect

        self._chapter(f"A fresh system is up: PostgreSQL, Temporal, a worker, and the API at {found.api}")
        engine = connect(found.database, pool_size=1)
        try:
            self._prepare(api, engine)
            orders = [self._order(api, example) for example in _examples()]
            orders.append(self._refused(api, engine))
            self._profiles(api, orders)
            self._reconciliation(engine)
        finally:
            engine.dispose()
        self._where_to_click(found, orders[-1])
        self.result |= {"orders": [_summary(x) for x in orders], "seconds": self._elapsed_s(), "api": found.api}

    def _prepare(self, api: Api, engine: "Engine") -> None:
        from cli import neighbours

        catalog = EXAMPLES / "catalog.yaml"
        published = api.send("PUT", "/v1/catalog", catalog.read_bytes(), media_type="application/yaml")
        self._chapter(f"Catalog version {published['version']} is published, from {_shown(catalog)}")
        neighbours.supply(engine, _read(EXAMPLES / "supplies.yaml"))
        self._chapter("The inventory has numbers, addresses and handsets, from examples/supplies.yaml")
        for account in _read(EXAMPLES / "accounts.yaml"):
            profiles = account.pop("billing_profiles", ())
            api.post("/v1/accounts", account)
            for profile in profiles:
                api.post(f"/v1/accounts/{account['id']}/billing-profiles", {"id": profile})
        self._chapter("The accounts are open, from examples/accounts.yaml")

    def _order(self, api: Api, example: Path) -> watching.Document:
        self._chapter(f"{_shown(example)} is submitted")
        submitted = api.send("POST", "/v1/orders", document.as_json(example), media_type="application/json")
        return _completed(watching.watch(api, submitted["id"], as_json=False))

    def _refused(self, api: Api, engine: "Engine") -> watching.Document:
        from cli import neighbours

        self._chapter("The next customer wants the same, and the network refuses to activate it")
        neighbours.refuse_next_activation(engine, code="NO_PORT", message="The exchange has no free port.")
        order_id = api.post("/v1/orders", _another(_read(_examples()[0])))["id"]
        events = watching.followed(api, order_id)
        watching.show(api, order_id, _until_fallout(events))
        fallout = next(api.pages("/v1/fallouts", order=order_id, state="open"), None)
        if fallout is None:
            raise Unexpected("the network refused, and yet nothing needs a person")
        self._chapter(f'A person decides: orderloom resolve {fallout["id"]} retry --reason "{_REASON}"')
        decision = {"decision": "retry", "reason": _REASON, "actor": "demo"}
        api.post(f"/v1/fallouts/{fallout['id']}/resolution", decision)
        return _completed(watching.show(api, order_id, events))

    def _profiles(self, api: Api, orders: Sequence[watching.Document]) -> None:
        for account in dict.fromkeys(order["account"] for order in orders):
            assets = accounts.profile_of(api, account)
            ordered = [x["asset"] for order in orders if order["account"] == account for x in order["lines"]]
            if missing := {x for x in ordered if x} - {x["id"] for x in assets}:
                raise Unexpected(f"{account} has not got everything that was ordered: {', '.join(sorted(missing))}")
            self._chapter(f"The service profile of {account}: {len(assets)} assets")
            accounts.show(assets)

    def _reconciliation(self, engine: "Engine") -> None:
        from cli import neighbours

        compared = neighbours.compare(engine)
        self._chapter("What the network runs, and what billing bills")
        screen.table(("service", "account", "runs since", "billed since", "service instance"), _beside(compared))
        self.result["reconciliation"] = {
            "active": len(compared.running),
            "billed": len(compared.billed),
            "active_not_billed": compared.active_not_billed,
            "billed_not_active": compared.billed_not_active,
        }
        if not compared.is_balanced or not compared.running:
            raise Unexpected("what runs is not what is billed")
        screen.say(
            f"{len(compared.running)} services run, and the same {len(compared.billed)} are billed.", style="green"
        )

    def _where_to_click(self, found: "System", refused: watching.Document) -> None:
        self._chapter("Where to click while a system is up (orderloom demo --stay, or orderloom up)")
        screen.say(f"  every order's run   {found.temporal_ui}")
        screen.say(f"  the refused one     {refused['run']['temporal_ui']}")
        screen.say(f"  the API, to try     {found.api}/docs")

    def _chapter(self, sentence: str) -> None:
        screen.say(f"{self._elapsed_s():6.2f} s  {sentence}", style="bold cyan")

    def _elapsed_s(self) -> float:
        return round(time.monotonic() - self._began_s, 2)


def _examples() -> Sequence[Path]:
    found = sorted((EXAMPLES / "orders").glob("*.json"))
    if not found:
        raise Unexpected(f"there are no example orders in {EXAMPLES}: run it from the source tree")
    return found


def _read(file: Path) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(document.as_json(file))


def _shown(file: Path) -> str:
    return str(file.relative_to(EXAMPLES.parent))


def _another(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same order once more, with whatever numbers are free."""
    return {**order, "external_id": "demo-refused", "lines": [_unnumbered(line) for line in order["lines"]]}


def _unnumbered(line: Mapping[str, Any]) -> dict[str, Any]:
    below = [_unnumbered(x) for x in line.get("lines", ())]
    return {name: value for name, value in line.items() if name != "service_id"} | ({"lines": below} if below else {})


def _until_fallout(events: Iterator[Sequence[Event]]) -> Iterator[Sequence[Event]]:
    for batch in events:
        yield batch
        if any(event.type == "fallout_opened" for event in batch):
            return


def _completed(order: watching.Document) -> watching.Document:
    if order["state"] != "completed":
        raise Unexpected(f"order {order['number']} of {order['account']} is {order['state']}")
    return order


def _summary(order: watching.Document) -> dict[str, Any]:
    return {name: order[name] for name in ("number", "account", "state", "submitted_at", "completed_at")}


def _beside(compared: "Compared") -> Iterator[Sequence[object]]:
    for service in sorted(compared.running.keys() | compared.billed.keys()):
        running, billed = compared.running.get(service), compared.billed.get(service)
        either = running or billed
        assert either
        since = [x and screen.instant(x.since.isoformat()) for x in (running, billed)]
        yield service, either.account, *since, billed and billed.service_instance
