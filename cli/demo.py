"""`orderloom demo`: the main job on a fresh system, from a catalog to what runs and is billed."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
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
_ENDS_WITHIN_S = 60.0
_REFUSAL = "NO_PORT"
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
        _examples()
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

    story, printed = Story(), sys.stdout

    async def work(found: "System") -> None:
        with connected(found.api) as api:
            await _in_time(asyncio.to_thread(story.tell, found, api, stay=stay))
        if as_json:
            print(json.dumps(story.result), file=printed, flush=True)
        if stay:
            await house.forever()

    with contextlib.redirect_stdout(sys.stderr if as_json else printed):
        story.chapter("PostgreSQL, Temporal, a worker and the API are being started, on fresh data")
        finished = await house.run(Plan(data=data, api_port=0), work=work)
        if finished:
            story.chapter("Everything is stopped again")
    return "seconds" in story.result


async def _in_time(telling: Awaitable[None]) -> None:
    try:
        await asyncio.wait_for(telling, _ENDS_WITHIN_S)
    except TimeoutError:
        raise Unexpected(f"it has not ended within {_ENDS_WITHIN_S:.0f} s") from None


@dataclass(slots=True)
class Story:
    """What the demo does, in the order it is told; `result` is what came out."""

    result: dict[str, Any] = field(default_factory=dict)
    _began_s: float = field(default_factory=time.monotonic)

    def tell(self, found: "System", api: Api, *, stay: bool) -> None:
        """Run the whole main job; `Unexpected` when something does not come out as it should."""
        from sql.connections import connect

        self.chapter(f"The system is up; its API is at {found.api}")
        engine = connect(found.database, pool_size=1)
        try:
            self._prepare(api, engine)
            orders = [self._order(api, example) for example in _examples()]
            orders.append(self._refused(api, engine))
            assets = self._profiles(api, orders)
            self._reconciliation(engine, products={x["id"]: x["product"] for x in assets})
        finally:
            engine.dispose()
        self._where_to_click(found, orders[-1], stay=stay)
        self.result |= {"orders": [_summary(x) for x in orders], "seconds": self._elapsed_s(), "api": found.api}

    def _prepare(self, api: Api, engine: "Engine") -> None:
        from cli import neighbours

        catalog = EXAMPLES / "catalog.yaml"
        published = api.send("PUT", "/v1/catalog", catalog.read_bytes(), media_type="application/yaml")
        self.chapter(f"Catalog version {published['version']} is published, from {_shown(catalog)}")
        neighbours.supply(engine, _read(EXAMPLES / "supplies.yaml"))
        self.chapter("The inventory has numbers, addresses and handsets, from examples/supplies.yaml")
        customers = _read(EXAMPLES / "accounts.json")
        for account in customers["accounts"]:
            api.post("/v1/accounts", account)
        for profile in customers["billing_profiles"]:
            api.post(f"/v1/accounts/{profile['account']}/billing-profiles", {"id": profile["id"]})
        self.chapter("The accounts are open, from examples/accounts.json")

    def _order(self, api: Api, example: Path) -> watching.Document:
        self.chapter(f"{_shown(example)} is submitted")
        submitted = api.send("POST", "/v1/orders", document.as_json(example), media_type="application/json")
        return _completed(watching.show(api, submitted["id"], _unaided(watching.followed(api, submitted["id"]))))

    def _refused(self, api: Api, engine: "Engine") -> watching.Document:
        from cli import neighbours

        self.chapter("The next customer wants the same, and the network refuses to activate it")
        neighbours.refuse_next_activation(engine, code=_REFUSAL, message="no free port at the exchange")
        order_id = api.post("/v1/orders", _another(_read(_examples()[0])))["id"]
        events = watching.followed(api, order_id)
        watching.show(api, order_id, _until_held(events))
        fallout = next(api.pages("/v1/fallouts", order=order_id), None)
        if fallout is None:
            raise Unexpected("the network refused, and yet nothing needs a person")
        if fallout["error"]["code"] != _REFUSAL:
            raise Unexpected("the network failed in another way than to refuse")
        self.chapter(f'A person decides: orderloom resolve {fallout["id"]} retry --reason "{_REASON}"')
        decision = {"decision": "retry", "reason": _REASON, "actor": "demo"}
        api.post(f"/v1/fallouts/{fallout['id']}/resolution", decision)
        return _completed(watching.show(api, order_id, _unaided(events)))

    def _profiles(self, api: Api, orders: Sequence[watching.Document]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for account in dict.fromkeys(order["account"] for order in orders):
            assets = accounts.profile_of(api, account)
            self.chapter(f"The service profile of {account}: {len(assets)} assets")
            accounts.show(assets)
            found += assets
        return found

    def _reconciliation(self, engine: "Engine", *, products: Mapping[str, str]) -> None:
        from cli import neighbours

        compared = neighbours.compare(engine)
        self.chapter("What the network runs, and what billing bills")
        screen.table(("product", "account", "runs since", "billed since", "asset"), _beside(compared, products))
        self.result["reconciliation"] = {
            "active": len(compared.running),
            "billed": len(compared.billed),
            "active_not_billed": compared.active_not_billed,
            "billed_not_active": compared.billed_not_active,
        }
        if not compared.is_balanced or not compared.running:
            raise Unexpected("what runs is not what is billed")
        if unknown := compared.running.keys() - products.keys():
            raise Unexpected(f"what runs is in no service profile: {', '.join(sorted(unknown))}")
        screen.say(f"{len(compared.running)} services run, and the same ones are billed.", style="green")

    def _where_to_click(self, found: "System", refused: watching.Document, *, stay: bool) -> None:
        if not stay:
            self.chapter("To click through it yourself: make demo ARGS=--stay (or: orderloom demo --stay)")
            return
        self.chapter("It stays up until Ctrl-C. Where to click")
        screen.say(f"  every order's run   {found.temporal_ui}")
        screen.say(f"  the refused one     {refused['run']['temporal_ui']}")
        screen.say(f"  the API, to try     {found.api}/docs")
        screen.say(f"In another shell: export ORDERLOOM_API={found.api}")

    def chapter(self, sentence: str) -> None:
        """Say what happens now, with the seconds since the beginning."""
        screen.say(f"{self._elapsed_s():6.2f} s  {sentence}", style="bold cyan")

    def _elapsed_s(self) -> float:
        return round(time.monotonic() - self._began_s, 2)


def _examples() -> Sequence[Path]:
    wanted = EXAMPLES / "orders" / "wireless.json"  # the first: it asks for a particular number
    if not wanted.exists():
        raise Unexpected(f"there are no example orders in {EXAMPLES}: run it from the source tree")
    return [wanted, *sorted(x for x in wanted.parent.glob("*.json") if x != wanted)]


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


def _until_held(events: Iterator[Sequence[Event]]) -> Iterator[Sequence[Event]]:
    happened: set[str] = set()
    for batch in events:
        yield batch
        happened |= {event.type for event in batch}
        if happened >= {"held", "fallout_opened"}:  # in either order
            return


def _unaided(events: Iterator[Sequence[Event]]) -> Iterator[Sequence[Event]]:
    for batch in events:
        yield batch
        if any(event.type == "fallout_opened" for event in batch):
            raise Unexpected("an order needs a person that should not")


def _completed(order: watching.Document) -> watching.Document:
    if order["state"] != "completed":
        raise Unexpected(f"order {order['number']} of {order['account']} is {order['state']}")
    return order


def _summary(order: watching.Document) -> dict[str, Any]:
    return {name: order[name] for name in ("number", "account", "state", "submitted_at", "completed_at")}


def _beside(compared: "Compared", products: Mapping[str, str]) -> Iterator[Sequence[object]]:
    for service in sorted(compared.running.keys() | compared.billed.keys(), key=lambda x: (products.get(x, ""), x)):
        running, billed = compared.running.get(service), compared.billed.get(service)
        either = running or billed
        assert either
        since = [x and screen.instant(x.since.isoformat()) for x in (running, billed)]
        yield products.get(service), either.account, *since, service
