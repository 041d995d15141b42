"""The API from a shell: the real program against a real system that `orderloom up` runs."""

import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from cli import app, neighbours, screen, watching
from cli.client import connected
from sql.connections import connect

pytestmark = pytest.mark.timeout(60)

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "examples" / "catalog.yaml"

ORDER = """
external_id: {external_id}
account: ACME
requested_start: 2026-03-01T00:00:00Z
service_account: {service_account}
billing_account: ACME-BA
billing_profile: ACME-BP
lines:
  - id: "1"
    product: WIRELESS-BUNDLE
    lines:
      - {{id: "1.1", product: {line}}}
      - {{id: "1.2", product: DATA-FEE}}
"""


def order_text(external_id: str, *, line: str = "MAIN-LINE-1", service_account: str = "ACME-SA") -> str:
    return ORDER.format(external_id=external_id, line=line, service_account=service_account)


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell of the user whose data folder the system runs on."""

    home: Path
    found: dict[str, Any]
    exported: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str | None]:
        others = {name: None for name in os.environ if name.startswith("ORDERLOOM_")}
        return others | {"XDG_DATA_HOME": str(self.home)} | self.exported

    @property
    def program_environment(self) -> dict[str, str]:
        named = {**os.environ, **self.environment}
        return {name: value for name, value in named.items() if value is not None}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start the program, as a shell does."""
        program = (sys.executable, "-P", "-m", "cli", *words)
        return subprocess.Popen(  # noqa: S603 - our own program
            program, env=self.program_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run a command to its end, in this process; what it printed, and what it complained of."""
        ended = CliRunner().invoke(app, words, env=self.environment)
        assert ended.exit_code == status, ended.output
        return ended.stdout, ended.stderr

    def json(self, *words: str, status: int = 0) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.run(*words, "--json", status=status)[0])

    def file(self, name: str, text: str) -> str:
        path = self.home / name
        path.write_text(text)
        return str(path)

    def completed(self, external_id: str) -> dict[str, Any]:
        """Submit an order and see it completed."""
        file = self.file(f"{external_id}.yaml", order_text(external_id))
        lines = self.run("submit", file, "--watch", "--json")[0].splitlines()
        order: dict[str, Any] = json.loads(lines[-1])
        assert order["state"] == "completed"
        return order

    def refused_by_the_network(self, external_id: str) -> dict[str, Any]:
        """Submit an order that the network refuses once; its fallout."""
        engine = connect(self.found["database"], pool_size=1)
        neighbours.refuse_next_activation(engine, code="NO_PORT", message="No free port.")
        engine.dispose()
        order = self.json("submit", self.file(f"{external_id}.yaml", order_text(external_id)))
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if found := httpx.get(f"{self.found['api']}/v1/fallouts?order={order['id']}").json()["items"]:
                return dict(found[0])
            time.sleep(0.05)
        raise AssertionError("no fallout")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("home"), {})
    up = shell.start("up", "--json", "--port", "0")
    try:
        assert up.stdout is not None
        shell.found.update(json.loads(up.stdout.readline()))
        prepare(shell)
        yield shell
    finally:
        up.send_signal(signal.SIGTERM)
        _, complained = up.communicate(timeout=30)
    assert up.returncode == 0, complained


def prepare(shell: Shell) -> None:
    """Type what the examples' README says, in the order it says."""
    readme = (ROOT / "examples" / "README.md").read_text()
    typed = readme.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert len(typed) >= 5
    for line in typed:
        program, *words = line.split()
        if program == "orderloom":
            shell.run(*(str(ROOT / word) if word.startswith("examples/") else word for word in words))
        else:
            environment = shell.program_environment | {"ORDERLOOM_API": shell.found["api"]}
            subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, check=True)  # noqa: S603


def test_a_catalog_is_published_and_its_version_is_told(shell: Shell):
    assert shell.run("publish", str(CATALOG))[0].startswith("Catalog version 1 is published.\n")
    as_json = shell.file("catalog.json", json.dumps(yaml.safe_load(CATALOG.read_text())))
    assert shell.json("publish", as_json)["version"] == 1


def test_a_wrong_catalog_is_answered_with_all_that_is_wrong(shell: Shell):
    text = CATALOG.read_text()
    wrong = text.replace("product: SMS-BASIC,", "product: NOWHERE,").replace(
        "billing_type: discount", "billing_type: gift"
    )
    _, complained = shell.run("publish", shell.file("wrong.yaml", wrong), status=1)
    rows = [line.split()[:3] for line in complained.splitlines()]
    assert ["BILLING_TYPE", "B04", "FREE-MINUTES"] in rows
    assert len(rows) > 3


def test_the_embedded_inventory_is_supplied(shell: Shell):
    more = shell.file("more.yaml", "pools: {IPV4: {first: 203.0.113.1, last: 203.0.113.3}}\nstock: {HANDSET-X1: 2}")
    assert shell.run("supply", more)[0] == "IPV4: 3 more\nHANDSET-X1: 2 more\n"
    _, complained = shell.run("supply", shell.file("few.yaml", "pools: {IPV4: 3}"), status=1)
    assert "pools are expected as ranges by name" in complained


def test_an_order_is_followed_line_by_line_to_its_end(shell: Shell):
    printed, _ = shell.run("submit", shell.file("o.yaml", order_text("crm-follow")), "--watch")
    lines = printed.splitlines()
    assert lines[0].startswith("Order ")
    assert " of ACME is acknowledged: " in lines[0]
    said = [line[11:].split()[0] for line in lines[1:-1]]
    assert said[:2] == ["acknowledged", "inProgress"]
    assert said[-1] == "completed"
    assert said.count("step_done") >= 5
    assert lines[-1].endswith(": completed.")


def test_json_is_one_document_a_line_and_the_order_is_the_last(shell: Shell):
    lines = shell.run("submit", shell.file("j.yaml", order_text("crm-json")), "--watch", "--json")[0].splitlines()
    submitted, *events, order = map(json.loads, lines)
    assert submitted["state"] == "acknowledged"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert order["id"] == submitted["id"]
    assert order["state"] == "completed"


def test_an_order_is_found_by_its_number_as_by_its_id(shell: Shell):
    order = shell.completed("crm-number")
    assert shell.json("order", str(order["number"])) == shell.json("order", order["id"])
    printed, _ = shell.run("order", str(order["number"]))
    assert printed.splitlines()[0] == f"Order {order['number']} of ACME  completed"
    assert "1 WIRELESS-BUNDLE  completed" in printed
    assert "✓ initiate billing" in printed


def test_on_a_terminal_an_order_is_a_tree_that_is_redrawn(shell: Shell):
    file = shell.file("tree.yaml", order_text("crm-tree"))
    ours, theirs = pty.openpty()
    program = (sys.executable, "-P", "-m", "cli", "submit", file, "--watch")
    environment = shell.program_environment | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen(program, env=environment, stdout=theirs) as process:  # noqa: S603 - our own program
        os.close(theirs)
        shown = b"".join(iter(lambda: read_terminal(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 0
    assert "\x1b[1A" in shown  # goes up again, to redraw
    assert "└── \x1b[1m1 WIRELESS-BUNDLE" in shown
    assert "\x1b[32mcompleted" in shown or "\x1b[1;32mcompleted" in shown


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 10_000)
    except OSError:  # how Linux says that nobody writes to it any more
        return b""


def test_an_order_that_does_not_exist_is_no_success(shell: Shell):
    for which in ("1", "first", "00000000-0000-4000-8000-000000000000"):
        printed, complained = shell.run("order", which, status=1)
        assert printed == ""
        assert "no order" in complained or "no such order" in complained


def test_orders_are_listed_newest_first_and_filtered(shell: Shell):
    first, second = shell.completed("crm-list-1"), shell.completed("crm-list-2")
    numbers = [x["number"] for x in shell.json("orders", "--limit", "2")["items"]]
    assert numbers == [second["number"], first["number"]]
    assert shell.json("orders", "--state", "rejected")["items"] == []
    assert "crm-list-2" in shell.run("orders", "--account", "ACME", "--state", "completed", "--product", "DATA-FEE")[0]
    assert shell.run("orders", "--account", "NOBODY")[0] == "There are no such orders.\n"


def test_an_order_that_breaks_rules_is_answered_with_all_of_them_and_is_no_success(shell: Shell):
    broken = shell.file("broken.yaml", order_text("crm-broken", line="NOTHING", service_account="NOBODY"))
    printed, complained = shell.run("submit", broken, status=1)
    assert printed == ""
    assert complained.startswith("Rules are broken: ")
    rows = [line.split() for line in complained.splitlines()[1:]]
    assert rows[0] == ["code", "rule", "line", "field", "message"]
    assert ["ACCT_UNKNOWN", "B23", "1", "service_account"] in [row[:4] for row in rows]
    assert ["CATALOG_VERSION", "B01", "1.1", "product"] in [row[:4] for row in rows]
    codes = {x["code"] for x in shell.json("submit", broken, status=1)["violations"]}
    assert codes == {"ACCT_UNKNOWN", "CATALOG_VERSION"}  # that a component is missing would only follow from them


def test_a_file_that_is_no_document_is_said_with_its_place(shell: Shell):
    _, complained = shell.run("submit", shell.file("no.yaml", "lines: ["), status=1)
    assert "no.yaml is not YAML" in complained
    assert "line 1" in complained
    _, complained = shell.run("submit", shell.file("no.json", '{"account": NaN}'), status=1)
    assert complained.startswith("Unacceptable JSON: ")


def test_a_refusal_needs_a_person_whose_decision_lets_the_order_go_on(shell: Shell):
    fallout = shell.refused_by_the_network("crm-refused")
    number = str(fallout["number"])
    row = next(x for x in shell.run("fallouts")[0].splitlines() if x.startswith(fallout["id"])).split()
    assert (row[1], row[-5:-4], row[-4:]) == ("3", ["port."], ["retry", "retry_with", "skip", "abort"])
    assert {"-", "provision:1", "NO_PORT:"} <= {*row}
    watching_it = shell.start("order", number, "--watch")
    shell.run("resolve", fallout["id"], "retry", "--reason", "The port is repaired.", "--actor", "ann")
    printed, _ = watching_it.communicate(timeout=30)
    assert watching_it.returncode == 0
    assert f"{fallout['id']} at provision:1: NO_PORT" in printed
    assert f"{fallout['id']} at provision:1: retry, decided by ann" in printed
    closed = shell.json("fallouts", "--state", "closed", "--order", number)["items"]
    assert [(x["decision"], x["actor"], x["reason"]) for x in closed] == [("retry", "ann", "The port is repaired.")]


def test_whoever_watches_an_order_is_told_what_it_waits_for_and_how_to_decide(shell: Shell):
    fallout = shell.refused_by_the_network("crm-watched")
    watching_it = shell.start("order", str(fallout["number"]), "--watch")
    assert watching_it.stdout is not None
    told = list(itertools.takewhile(lambda x: "Ctrl-C" not in x, watching_it.stdout))
    assert told[-1] == (
        "provision:1 needs a person: NO_PORT, No free port. "
        f"Decide: orderloom resolve {fallout['id']} retry|retry_with|skip|abort --reason …\n"
    )
    shell.run("resolve", fallout["id"], "retry", "--reason", "The port is repaired.")
    watching_it.communicate(timeout=30)
    assert watching_it.returncode == 0


def test_an_order_that_has_not_begun_says_when_it_will(shell: Shell):
    text = order_text("crm-later").replace("2026-03-01T00:00:00Z", "2199-03-01T00:00:00Z")
    order = shell.json("submit", shell.file("later.yaml", text))
    watching_it = shell.start("order", order["id"], "--watch")
    assert watching_it.stdout is not None
    told = list(itertools.takewhile(lambda x: "Ctrl-C" not in x, watching_it.stdout))
    watching_it.kill()
    watching_it.communicate()
    assert told[-1] == "It starts by itself at 2199-03-01 00:00:00Z, as requested.\n"
    shown = shell.run("order", str(order["number"]))[0].splitlines()
    assert shown[1].endswith(told[-1].strip())
    shell.run("cancel", order["id"], "--reason", "Only a trial.")


def test_every_command_names_a_system_by_its_data_folder_whatever_is_exported(shell: Shell, tmp_path: Path):
    nowhere = {
        "ORDERLOOM_API": "http://127.0.0.1:9",
        "ORDERLOOM_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
    }
    stranger = Shell(tmp_path, {}, nowhere)
    few = stranger.file("few.yaml", "stock: {HANDSET-X1: 1}")
    theirs, empty = ("--data", str(shell.home / "orderloom")), ("--data", str(tmp_path))
    looks = {"supply": 2, "verify": 2}
    for words in (["orders"], ["fallouts"], ["schedules"], ["report", "fulfillment"], ["supply", few], ["verify"]):
        stranger.run(*words, *theirs)
        _, complained = stranger.run(*words, *empty, status=looks.get(words[0], 1))
        assert complained.startswith(f"No system runs on {tmp_path}. Start one with: orderloom up")


def test_a_decision_that_cannot_be_is_no_success(shell: Shell):
    fallout = shell.refused_by_the_network("crm-undecided")["id"]
    assert "is not one of" in shell.run("resolve", fallout, "forget", "--reason", "x", status=2)[1]
    assert "name fallouts, or select" in shell.run("resolve", "retry", "--reason", "x", status=2)[1]
    assert "name fallouts, or select" in shell.run("resolve", fallout, "retry", "--all", "--reason", "x", status=2)[1]
    assert "not JSON" in shell.run("resolve", fallout, "retry_with", "--reason", "x", "--input", "{", status=2)[1]
    _, complained = shell.run("resolve", fallout, "retry_with", "--reason", "x", "--input", '{"price": 1}', status=1)
    assert complained.startswith("Not a decision: ")
    shell.run("resolve", fallout, "retry", "--reason", "Try again.")
    assert shell.run("resolve", fallout, "retry", "--reason", "Twice.", status=1)[1].startswith("Not open: ")
    named = shell.run("resolve", fallout, "1-999", "retry", "--reason", "Twice.", status=1)
    assert named == ("1 settled, 1 unknown\n", "Fallout 1-999: There is no such fallout.\n")
    assert "no such fallout" in shell.run("resolve", "0-0", "retry", "--reason", "x", status=1)[1]
    unnamed = shell.run("resolve", "1001", "retry", "--reason", "x", status=1)[1]
    assert unnamed == "Not Found: There is nothing by that name here.\n"


def test_a_fallout_is_taken_handed_over_and_put_back(shell: Shell):
    fallout = shell.refused_by_the_network("crm-taken")["id"]
    assert shell.run("take", fallout, "--actor", "ann")[0] == (
        f"Fallout {fallout}: inProgress, of ann, priority 3, due in 23 h.\n"
    )
    said, complained = shell.run("take", "0-0", fallout, "--actor", "ann", "--over", status=1)
    assert said.startswith(f"Fallout {fallout}: inProgress, of ann")
    assert complained == "Fallout 0-0: Not found: There is no such fallout.\n"
    assert shell.run("take", fallout, "--actor", "bob", status=1)[1].startswith(f"Fallout {fallout}: Taken: ")
    words = ("--to", "bob", "--state", "onHold", "--priority", "2", "--reason", "He knows the exchange.")
    assert "onHold, of bob, priority 2, due in 3 h" in shell.run("assign", fallout, *words, "--actor", "ann")[0]
    assert [x["id"] for x in shell.json("fallouts", "--owner", "bob", "--state", "onHold")["items"]] == [fallout]
    assert "nobody's" in shell.run("assign", fallout, "--to", "", "--state", "open", "--actor", "bob")[0]
    shell.run("resolve", fallout, "retry", "--reason", "Done.")


def test_what_a_revision_has_left_out_is_shown_with_what_it_was_of_and_why_an_order_ended(shell: Shell):
    fallout = shell.refused_by_the_network("crm-left-out")
    order, number = fallout["order"], str(fallout["number"])
    document = yaml.safe_load(order_text("crm-left-out").replace("2026-03-01T00:00:00Z", "'2026-03-01T00:00:00Z'"))
    (line,) = document["lines"]
    other = renamed(line, "9")
    with_both = shell.file("both.yaml", yaml.safe_dump(document | {"lines": [line, other]}))
    with_other = shell.file("other.yaml", yaml.safe_dump(document | {"lines": [other]}))
    shell.run("revise", order, with_both, "--reason", "One more.")
    shell.run("revise", order, with_other, "--reason", "Only the other one.")
    drawn = shell.run("order", number, "--watch")[0]
    assert drawn.splitlines()[-1] == f"Order {number}: completed."
    assert "↶ reserve 1 " in shell.run("order", number)[0]
    cancelled = shell.json(
        "submit", shell.file("later.yaml", order_text("crm-why").replace("2026-03-01", "2199-03-01"))
    )
    shell.run("cancel", cancelled["id"], "--reason", "Only a trial.")
    assert "Why: Only a trial." in shell.run("order", cancelled["id"])[0]


def renamed(line: dict[str, Any], root: str) -> dict[str, Any]:
    """The same line, and those below it, under other ids."""
    own = {"id": root + line["id"][1:], "lines": [renamed(x, root) for x in line.get("lines", ())]}
    return line | own


def test_many_fallouts_are_decided_by_what_they_have_in_common(shell: Shell):
    ids = [shell.refused_by_the_network(f"crm-many-{n}")["id"] for n in range(3)]
    _, complained = shell.run("resolve", *ids[:2], "retry_with", "--input", '{"price": 1}', "--reason", "x", status=1)
    assert complained.count("Not a decision: ") == 2
    printed, _ = shell.run("resolve", "retry", "--code", "NO_PORT", "--step", "provision", "--reason", "Repaired.")
    assert printed == "3 resolved\n"
    assert shell.run("resolve", "retry", "--code", "NO_PORT", "--reason", "Again.")[0] == "None is open.\n"
    again = shell.json("resolve", *ids, "retry", "--reason", "Again.")
    assert [x["became"] for x in again["items"]] == ["settled"] * 3
    assert shell.run("fallouts", "--code", "NO_PORT")[0] == "There are no such fallouts.\n"


def test_the_work_list_fits_a_narrow_terminal(shell: Shell):
    fallout = shell.refused_by_the_network("crm-narrow")["id"]
    ours, theirs = pty.openpty()
    environment = shell.program_environment | {"TERM": "xterm", "COLUMNS": "80", "LINES": "40", "NO_COLOR": "1"}
    program = (sys.executable, "-P", "-m", "cli", "fallouts")
    with subprocess.Popen(program, env=environment, stdout=theirs) as process:  # noqa: S603 - our own program
        os.close(theirs)
        shown = b"".join(iter(lambda: read_terminal(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 0
    assert fallout in shown
    assert "retry_with" in shown
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines())) <= 80
    shell.run("resolve", fallout, "retry", "--reason", "Done.")


def test_watching_an_order_that_is_given_up_is_no_success(shell: Shell):
    fallout = shell.refused_by_the_network("crm-aborted")
    shell.run("resolve", fallout["id"], "abort", "--reason", "The customer left.")
    printed, _ = shell.run("order", str(fallout["number"]), "--watch", status=1)
    assert not printed.endswith(": completed.\n")


def test_the_service_profile_shows_each_bundle_with_what_belongs_to_it(shell: Shell):
    order = shell.completed("crm-profile")
    items = shell.json("profile", "ACME")["items"]
    assert {x["asset"] for x in order["lines"]} <= {x["id"] for x in items}
    printed, _ = shell.run("profile", "ACME-SA")
    lines = printed.splitlines()
    at = next(i for i, line in enumerate(lines) if order["lines"][0]["asset"] in line)
    assert lines[at].startswith("WIRELESS-BUNDLE ")
    assert {line.split()[0] for line in lines[at + 1 : at + 3]} == {"MAIN-LINE-1", "DATA-FEE"}
    assert all(line.startswith("  ") for line in lines[at + 1 : at + 3])
    assert "There is no such account" in shell.run("profile", "NOBODY", status=1)[1]


@pytest.mark.req("A07", "A08")
def test_a_change_is_started_from_what_is_installed_left_as_a_draft_edited_and_discarded(shell: Shell):
    order = shell.completed("shell-changed")
    asset = order["lines"][0]["asset"]
    listed = shell.json("assets", "ACME", "--product", "WIRELESS-BUNDLE")["items"]
    assert asset in {x["id"] for x in listed}
    assert {x["product"] for x in listed} == {"WIRELESS-BUNDLE"}
    assert "allowed" in shell.run("assets", "ACME")[0]
    assert "ACME has nothing of the kind." in shell.run("assets", "ACME", "--product", "NOTHING")[0]

    words = ("--due", "2199-07-01", "--set", "attributes.apn=fast", "--set", "promotion_ref=SPRING", "--draft")
    draft = shell.json("change", "modify", asset, *words)
    assert (draft["state"], draft["lines"][0]["changes"]) == ("draft", ["attributes", "promotion_ref"])
    edit = shell.file("edit.yaml", "priority: 1\nlines: [{id: '1', due_date: '2199-08-01'}]")
    assert "is changed" in shell.run("draft", "change", draft["id"], edit)[0]
    assert shell.json("order", draft["id"])["lines"][0]["due_date"] == "2199-08-01"
    assert "1 update WIRELESS-BUNDLE" in shell.run("order", draft["id"])[0]
    assert draft["id"] in shell.run("orders", "--state", "draft")[0]
    assert "is gone" in shell.run("draft", "discard", draft["id"])[0]
    assert "no such order" in shell.run("draft", "submit", draft["id"], status=1)[1]


def test_services_are_suspended_and_resumed_from_a_shell_one_or_many(shell: Shell):
    assets = [shell.completed(f"shell-many-{x}")["lines"][0]["asset"] for x in range(2)]
    assert "completed" in shell.run("change", "suspend", assets[0], "--reason", "unpaid", "--watch")[0]
    said, complaint = shell.run("change", "suspend", *assets, "--watch", status=1)
    assert "suspend of 2 assets" in said
    assert f"Asset {assets[0]}: An asset that is suspended does not allow this action." in complaint
    assert "2 completed" in shell.run("change", "resume", *assets, "--watch")[0]


def test_an_order_that_is_kept_as_a_draft_is_submitted_later(shell: Shell):
    file = shell.file("draft.yaml", f"submit: false\n{order_text('shell-draft')}")
    said = shell.run("submit", file)[0]
    assert "An order of ACME is draft" in said
    assert "is acknowledged" in shell.run("draft", "submit", said.split()[-1])[0]


@pytest.mark.parametrize(
    "words",
    [
        ("suspend",),
        ("suspend", "an-asset", "--account", "ACME"),
        ("move", "one", "another"),
        ("suspend", "--account", "ACME", "--draft"),
        ("modify", "an-asset", "--set", "apn"),
    ],
)
def test_a_change_that_says_too_little_or_too_much_is_not_sent(shell: Shell, words: tuple[str, ...]):
    assert "Usage" in shell.run("change", *words, status=2)[1]


def test_many_assets_that_are_not_there_are_no_success(shell: Shell):
    assert "There are no such assets." in shell.run("change", "suspend", "--product", "NOTHING", status=1)[1]
    assert shell.run("change", "suspend", "1ab2", status=1)[1] == "There is no asset 1ab2.\n"
    assert shell.run("draft", "discard", "1/ab", status=1)[1] == "There is no draft 1/ab.\n"


def test_an_api_that_does_not_answer_is_one_clear_line(shell: Shell):
    _, complained = shell.run("orders", "--api", "http://127.0.0.1:1", status=1)
    assert complained.startswith("No answer from http://127.0.0.1:1 ")
    assert complained.count("\n") == 1


class BreakingStream(BaseHTTPRequestHandler):
    """A network that breaks the first stream after two events, and the line before the third."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        seen = self.headers["Last-Event-ID"]
        self.asked.append(seen)
        self.send_response(200)
        self.send_header("Content-Length", "100000")  # more than ever comes
        self.end_headers()
        for seq in (1, 2) if seen == "0" else (3,):
            body = json.dumps({"seq": seq, "at": "", "type": "step_done", "body": {}})
            self.wfile.write(f"id: {seq}\nevent: step_done\ndata: {body}\n\n: waiting\n\n".encode())
        self.wfile.write(b'data: {"seq": 9')


def test_a_stream_that_breaks_is_taken_up_where_it_broke():
    network = HTTPServer(("127.0.0.1", 0), BreakingStream)
    thread = Thread(target=network.serve_forever, daemon=True)
    thread.start()
    with connected(f"http://127.0.0.1:{network.server_port}") as api:
        batches = itertools.islice((x for x in watching.followed(api, "order") if x), 3)
        assert [event.seq for batch in batches for event in batch] == [1, 2, 3]
    network.shutdown()
    network.server_close()
    thread.join()
    assert BreakingStream.asked == ["0", "2"]


def test_what_others_have_written_plays_no_tricks_on_a_terminal():
    assert str(screen.words("no [red]port\x1b[31m\x07")) == "no [red]port�[31m�"


@pytest.mark.req("F06", "F16")
def test_what_runs_is_compared_with_what_is_billed_and_reports_are_read(shell: Shell):
    shell.completed("crm-reconciled")
    printed, _ = shell.run("reconcile")
    assert printed.startswith("As of ")
    assert "are billed: the same ones." in printed
    report = shell.json("report", "reconciliation", "--class", "ACTIVE_NOT_BILLED")
    assert report["run"]["active"] == report["run"]["billed"] > 0
    assert report["items"] == []
    assert shell.run("report", "reconciliation")[0].startswith("As of ")

    printed, _ = shell.run("report", "fulfillment")
    assert " orders submitted, " in printed
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("provision")] == ["provision"]
    assert shell.json("report", "fulfillment", "--until", "2020-01-01T00:00:00Z")["orders"]["submitted"] == 0
    assert {x["state"] for x in shell.json("report", "neighbours")["items"]} == {"answers"}
    assert "provisioning  answers" in shell.run("report", "neighbours")[0]
    _, complained = shell.run("report", "fulfillment", "--until", "yesterday", status=1)
    assert "An instant with its offset is expected" in complained


def test_what_differs_is_shown_with_what_it_costs(shell: Shell):
    shell.completed("crm-leaking")
    database = connect(shell.found["database"], pool_size=1)
    with database.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE orderloom.plan_items SET started_at = '2026-01-01', finished_at = '2026-01-01'"
        )
        leaks = "SELECT min(asset) FROM billing.service_instances WHERE status = 'active'"
        connection.exec_driver_sql(
            f"UPDATE billing.service_instances SET status = 'suspended', state_since = now() WHERE asset = ({leaks})"  # noqa: S608
        )
    printed, _ = shell.run("reconcile")
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE billing.service_instances SET status = 'active' WHERE status = 'suspended'")
    database.dispose()
    assert "1 ACTIVE_NOT_BILLED; about " in printed
    assert "billing has it suspended" in printed
    assert "the same ones." in shell.run("reconcile")[0]


def test_schedules_are_listed(shell: Shell):
    shown = {x["name"]: x for x in shell.json("schedules")["items"]}
    assert {x["state"] for x in shown.values()} == {"active"}
    assert shown["reconciliation"]["every_s"] == 50
    assert "What the network runs, held against what billing bills" in shell.run("schedules")[0]
