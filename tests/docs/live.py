"""A live system for the runbook: `orderloom up`, filled as the examples say; its neighbours fail when told to."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml
from sqlalchemy import Engine, text

from adapters.billing.embedded import EmbeddedBilling
from adapters.inventory.embedded import EmbeddedInventory
from adapters.provisioning.embedded import EmbeddedProvisioning
from adapters.switches import Mode, Switch, Switches
from cli import neighbours
from sql.connections import connect

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True)
class Live:
    """A running system, and what the runbook's test wants of it."""

    folder: Path
    """What `XDG_DATA_HOME` is for the commands: they find the system by themselves."""
    process: subprocess.Popen[str]
    found: Mapping[str, Any]
    engine: Engine
    http: httpx.Client
    switches: Mapping[str, Switches] = field(repr=False)

    @property
    def data(self) -> Path:
        """The system's data folder."""
        return self.folder / "orderloom"

    def environment(self) -> dict[str, str]:
        """What the runbook tells an operator to set."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERLOOM_", "TEMPORAL_"))}
        return kept | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),  # no settings of the person's own
            "XDG_DATA_HOME": str(self.folder),
            "TEMPORAL_ADDRESS": self.found["temporal"],
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def order(self, example: str, *, prices: Mapping[str, str] | None = None, **changes: Any) -> str:  # noqa: ANN401
        """Submit an example order, with whatever number is free, and prices of its own by product; the order's id."""
        document = json.loads((EXAMPLES / "orders" / f"{example}.json").read_text())
        document = _priced(_unnumbered(document), prices or {}) | {"external_id": str(uuid4())} | changes
        answer = self.http.post("/v1/orders", json=document)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def switch(self, system: str, operation: str, mode: Mode, **how: Any) -> None:  # noqa: ANN401
        """Tell a neighbour to misbehave."""
        self.switches[system].set(operation, Switch(mode=mode, **how))

    def mend(self) -> None:
        """Tell every neighbour to behave."""
        self.engine.dispose()  # the database may have died meanwhile
        for each in self.switches.values():
            each.clear()

    def state(self, order: str) -> str:
        """The order's state."""
        return str(self.http.get(f"/v1/orders/{order}").json()["state"])

    def fallout(self, order: str) -> str:
        """The order's open fallout, as soon as there is one."""
        found: list[Any] = []

        def is_there() -> bool:
            found[:] = self.http.get("/v1/fallouts", params={"order": order}).json()["items"]
            return bool(found)

        self.until(is_there)
        return str(found[0]["id"])

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of any ledger."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), parameters).mappings()]

    def execute(self, sql: str, **parameters: object) -> None:
        """Change a neighbour's ledger, as its own people may."""
        with self.engine.begin() as connection:
            connection.execute(text(sql), parameters)

    def searched(self, query: str) -> int:
        """How many runs Temporal finds."""
        return int(json.loads(self._temporal("workflow", "count", "-q", query)).get("count", 0))

    def activity(self, order: str) -> str:
        """The id of the activity that is tried again and again."""
        return str(self._pending(order)[0]["activityId"])

    def attempts(self, order: str) -> int:
        """How often it has been tried; an order that was just stored may have no run to ask yet."""
        if self.http.get(f"/v1/orders/{order}").json()["run"]["status"] == "starting":
            return 0
        return max((x.get("attempt", 1) for x in self._pending(order)), default=0)

    def _pending(self, order: str) -> Any:  # noqa: ANN401 - JSON of Temporal's
        return json.loads(self._temporal("workflow", "describe", "-w", f"order-{order}")).get("pendingActivities", [])

    def _temporal(self, *arguments: str) -> str:
        command = [str(BIN / "temporal"), *arguments, "-o", "json"]
        done = subprocess.run(  # noqa: S603
            command, env=self.environment(), capture_output=True, text=True, check=True
        )
        return done.stdout

    def until_ready(self) -> None:
        """Wait until every part runs."""
        self.until(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """Stop the system, as Ctrl-C does."""
        self.engine.dispose()
        self.process.terminate()
        assert self.process.wait(60) in (0, 130, -15)

    def until(self, true: Callable[[], bool], *, within_s: float = 20.0) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, "it did not become true"
            time.sleep(0.1)


@contextmanager
def live(folder: Path) -> Iterator[Live]:
    """Run `orderloom up` on a fresh folder, with the example catalog, accounts and supplies."""
    with _running(folder, folder / "orderloom") as system:
        _fill(system)
        yield system


@contextmanager
def restarted(system: Live, data: Path) -> Iterator[Live]:
    """Run it again on another data folder, which holds a copy of the first one's."""
    with _running(system.folder, data) as again:
        yield again


@contextmanager
def _running(folder: Path, data: Path) -> Iterator[Live]:
    command = [str(BIN / "orderloom"), "up", "--port", "0", "--json", "--data", str(data)]
    with (
        (folder / "up.log").open("a") as log,
        subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            found = json.loads(process.stdout.readline())
            engine = connect(found["database"], pool_size=2)
            with httpx.Client(base_url=found["api"], trust_env=False, timeout=30) as http:
                yield Live(
                    folder=folder,
                    process=process,
                    found=found,
                    engine=engine,
                    http=http,
                    switches={
                        "inventory": EmbeddedInventory(engine, clock=_now).switches,
                        "provisioning": EmbeddedProvisioning(engine, clock=_now).switches,
                        "billing": EmbeddedBilling(engine, clock=_now).switches,
                    },
                )
            engine.dispose()
        finally:
            process.terminate()
            process.wait(60)


def _fill(live: Live) -> None:
    catalog, as_yaml = (EXAMPLES / "catalog.yaml").read_bytes(), {"Content-Type": "application/yaml"}
    live.http.put("/v1/catalog", content=catalog, headers=as_yaml).raise_for_status()
    neighbours.supply(live.engine, yaml.safe_load((EXAMPLES / "supplies.yaml").read_text()))
    customers = json.loads((EXAMPLES / "accounts.json").read_text())
    for account in customers["accounts"]:
        live.http.post("/v1/accounts", json=account).raise_for_status()
    for profile in customers["billing_profiles"]:
        path = f"/v1/accounts/{profile['account']}/billing-profiles"
        live.http.post(path, json={"id": profile["id"]}).raise_for_status()


def _unnumbered(document: Any) -> Any:  # noqa: ANN401 - any JSON value
    match document:
        case dict():
            return {name: _unnumbered(value) for name, value in document.items() if name != "service_id"}
        case list():
            return [_unnumbered(x) for x in document]
        case _:
            return deepcopy(document)


def _priced(document: Any, prices: Mapping[str, str]) -> Any:  # noqa: ANN401
    match document:
        case dict():
            priced = {name: _priced(value, prices) for name, value in document.items()}
            price = prices.get(document.get("product", ""))
            return priced | ({"price": {"amount": price, "currency": "USD"}} if price else {})
        case list():
            return [_priced(x, prices) for x in document]
        case _:
            return document


def _now() -> datetime:
    return datetime.now(UTC)
