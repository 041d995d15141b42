"""The runbook is true: what stands under a heading is run in the situation that the heading names."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.switches import Mode
from tests.docs import runbook
from tests.docs.live import ROOT, Live, live, restarted

pytestmark = [pytest.mark.timeout(120), pytest.mark.req("W5")]

RUNBOOK = ROOT / "docs" / "operations.md"
COMMANDS = runbook.commands(RUNBOOK)
Given = dict[str, str]
"""What `$ORDER`, `$FALLOUT`, `$ASSET` and `$ACTIVITY` stand for."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """How a situation comes about, anew for each block or once, and the state its order comes to afterwards."""

    provoke: Callable[[Live], Given] = lambda _: {}
    once: bool = False
    ends: str | None = "completed"


def refused(system: str, operation: str, *, example: str = "internet-service-bundle") -> Callable[[Live], Given]:
    def provoke(live: Live) -> Given:
        live.switch(system, operation, Mode.REFUSE, remaining=1, code="NO_PORT", message="no free port at the exchange")
        order = live.order(example)
        return {"ORDER": order, "FALLOUT": live.fallout(order)}

    return provoke


def many_refused(live: Live) -> Given:
    """Three orders, and no other that is on its way to the network."""

    def is_at_rest() -> bool:
        open_ = (live.http.get("/v1/orders", params={"state": x}).json()["items"] for x in ("inProgress", "held"))
        return not any(open_)

    live.until(is_at_rest)
    live.switch(
        "provisioning", "activate", Mode.REFUSE, remaining=3, code="NO_PORT", message="no free port at the exchange"
    )
    orders = [live.order("internet-service-bundle") for _ in range(3)]
    for order in orders:
        live.fallout(order)
    live.until(
        lambda: live.searched('NeedsAttention = true AND OrderError = "NO_PORT: no free port at the exchange"') == 3
    )
    return {"ORDER": orders[0]}


def stuck(live: Live) -> Given:
    """An order that waits for the network, and can be found by that."""
    given = refused("provisioning", "activate")(live)
    live.until(lambda: live.searched(f'OrderState = "held" AND OrderId = "{given["ORDER"]}"') == 1)
    return given


def pool_empty(live: Live) -> Given:
    live.execute("DELETE FROM inventory.numbers WHERE pool = 'MSISDN' AND state = 'available'")
    order = live.order("wireless")
    return {"ORDER": order, "FALLOUT": live.fallout(order)}


def down(live: Live) -> Given:
    live.switch("provisioning", "activate", Mode.FAIL_BEFORE)
    order = live.order("internet-service-bundle")
    live.until(lambda: live.attempts(order) > 1)
    return {"ORDER": order, "ACTIVITY": live.activity(order)}


def answer_lost(live: Live) -> Given:
    live.switch("billing", "fulfill", Mode.LOSE_ANSWER, remaining=1)
    order = live.order("internet-service-bundle")
    live.until(lambda: live.state(order) == "completed")
    return {"ORDER": order}


def slow(live: Live) -> Given:
    live.switch("provisioning", "activate", Mode.SLOW, remaining=1, ms=4_000)
    order = live.order("internet-service-bundle")
    live.until(lambda: live.searched(f'OrderError = "at work" AND OrderId = "{order}"') == 1)
    return {"ORDER": order}


def of_next_year(live: Live) -> Given:
    order = live.order("internet-service-bundle", requested_start="2100-01-01T00:00:00Z")
    live.until(lambda: live.state(order) == "pending")
    return {"ORDER": order}


def too_cheap(live: Live) -> Given:
    order = live.order("wireless", prices={"MAIN-LINE-1": "15.00"})
    live.until(lambda: live.searched(f'OrderState = "pending" AND NeedsAttention = true AND OrderId = "{order}"') == 1)
    return {"ORDER": order}


def killed(part: str) -> Callable[[Live], Given]:
    def provoke(live: Live) -> Given:
        os.kill(live.found["pids"][part], signal.SIGKILL)
        return {}

    return provoke


def wrong_result(live: Live) -> Given:
    given = down(live)
    complete = "temporal activity complete -w order-$ORDER -a $ACTIVITY --result '{\"step\": 1}'"
    assert run(live, complete, given).returncode == 0
    live.mend()
    return given


def ordered(live: Live) -> Given:
    return {"ORDER": live.order("internet-service-bundle")}


def installed(live: Live) -> Given:
    given = ordered(live)
    live.until(lambda: live.state(given["ORDER"]) == "completed")
    lines = live.http.get(f"/v1/orders/{given['ORDER']}").json()["lines"]
    return given | {"ASSET": lines[0]["asset"]}


def terminated(live: Live) -> Given:
    """An order whose run somebody terminates while it waits for a person."""
    given = refused("provisioning", "activate")(live)
    live.until(lambda: live.state(given["ORDER"]) == "held")
    assert run(live, "temporal workflow terminate -w order-$ORDER", given).returncode == 0
    filters = {"type": "System", "code": "RUN_GONE"}
    live.until(lambda: bool(live.http.get("/v1/fallouts", params=filters).json()["items"]), within_s=40)
    (gone,) = live.http.get("/v1/fallouts", params=filters).json()["items"]
    return given | {"FALLOUT": gone["id"]}


def unbilled(live: Live) -> Given:
    """A service that runs, and that billing refuses to bill."""
    given = refused("billing", "fulfill")(live)
    filters = {"type": "Reconciliation", "code": "ACTIVE_NOT_BILLED"}
    found: list[Any] = []

    def is_found() -> bool:
        live.http.post("/v1/reports/reconciliation").raise_for_status()
        time.sleep(1)
        found[:] = live.http.get("/v1/fallouts", params=filters).json()["items"]
        return bool(found)

    live.until(is_found)
    return given | {"FALLOUT": found[0]["id"]}


SITUATIONS = {
    "Find what needs you": Situation(),
    "Look at one order": Situation(provoke=ordered),
    "The network refuses": Situation(provoke=refused("provisioning", "activate")),
    "A number pool is empty": Situation(provoke=pool_empty),
    "Billing refuses": Situation(provoke=refused("billing", "fulfill")),
    "Correct the input": Situation(provoke=refused("provisioning", "activate", example="wireless")),
    "Give a bundle up": Situation(provoke=refused("provisioning", "activate"), ends="failed"),
    "Say that you are on it": Situation(provoke=refused("provisioning", "activate")),
    "Many fallouts at once": Situation(provoke=many_refused),
    "A neighbour is down": Situation(provoke=down),
    "A neighbour lost the answer": Situation(provoke=answer_lost),
    "The network is slow": Situation(provoke=slow),
    "An order waits for its start": Situation(provoke=of_next_year, ends="pending"),
    "An order waits for approval": Situation(provoke=too_cheap, ends="rejected"),
    "Cancel an order": Situation(provoke=stuck, ends="cancelled"),
    "Revise an order": Situation(provoke=refused("provisioning", "activate")),
    "Change what is installed": Situation(provoke=installed),
    "Take down what runs already": Situation(provoke=refused("billing", "fulfill"), ends="cancelled"),
    "Somebody has cancelled or reset a run": Situation(provoke=stuck, ends="cancelled"),
    "What runs is not what is billed": Situation(provoke=unbilled, once=True, ends="held"),
    "What recurs": Situation(),
    "Upgrade": Situation(),
    "A run fails in its own code": Situation(provoke=wrong_result, once=True),
    "An order has no run": Situation(provoke=terminated, once=True, ends="held"),
    "A worker died": Situation(provoke=killed("worker")),
    "Temporal is down": Situation(provoke=killed("temporal")),
    "The database is down": Situation(provoke=killed("postgres"), once=True),
    "The API is down": Situation(provoke=killed("api")),
    "Skip a step done by hand": Situation(provoke=refused("provisioning", "activate")),
    "Do not wait half an hour": Situation(provoke=down, ends="held"),
    "Finish an activity by hand": Situation(provoke=down),
}
"""Those that leave something for `verify` to find come last."""

STOPPED = "Back up and restore"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("live")) as running:
        yield running


def run(live: Live, command: str, given: Given) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the runbook's own commands
        ["/bin/bash", "-c", command],
        env=live.environment() | {"ORDERLOOM_API": live.found["api"]} | given,
        cwd=live.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_command_of_the_runbook_has_its_situation():
    assert COMMANDS.keys() == SITUATIONS.keys() | {STOPPED}


@pytest.mark.parametrize("heading", SITUATIONS)
def test_what_the_runbook_says_is_true(system: Live, heading: str):
    situation = SITUATIONS[heading]
    given: Given = {}
    for position, block in enumerate(COMMANDS[heading]):
        if position == 0 or not situation.once:
            given = situation.provoke(system)
        for command in block:
            carry_out(system, command, given)
        system.until_ready()
        if heading != "Do not wait half an hour":
            system.mend()
    if "ORDER" in given and situation.ends:
        system.until(lambda: system.state(given["ORDER"]) == situation.ends)


def carry_out(live: Live, command: str, given: Given) -> None:
    """A command that must succeed."""
    done = run(live, command, given)
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


def test_what_is_done_behind_the_systems_back_is_found(system: Live):
    found = run(system, "orderloom verify", {})
    assert found.returncode == 1
    assert {x.split()[1] for x in found.stdout.splitlines() if x.startswith("BROKEN")} == {"I12", "I15-plan", "I17"}


def test_a_copy_of_the_data_folder_is_the_system_again(system: Live):
    orders = system.http.get("/v1/orders").json()["items"]
    system.stop()
    for command in COMMANDS[STOPPED][0]:
        carry_out(system, command, {"DATA": str(system.data)})
    with restarted(system, system.folder / "restored") as again:
        assert again.http.get("/v1/orders").json()["items"] == orders
