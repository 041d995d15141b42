"""`orderloom demo`: the main job, to its end, on a fresh system."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.timeout(90)
DEMO = (sys.executable, "-P", "-m", "cli", "demo")


def started(*words: str, folder: Path) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(folder), "ORDERLOOM_API_PORT": "a fresh system takes nothing from here"}
    return subprocess.Popen(  # noqa: S603 - our own program
        (*DEMO, *words), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_demo_fulfills_every_example_and_stays_up_when_asked_to(tmp_path: Path):
    demo = started("--json", "--stay", folder=tmp_path / "temporary")
    assert demo.stdout is not None
    printed = demo.stdout.readline()
    links = [httpx.get(f"{json.loads(printed)['api']}/docs").status_code] if printed else []
    demo.send_signal(signal.SIGINT)
    _, told = demo.communicate(timeout=80)
    assert (demo.returncode, links) == (0, [200]), told
    result = json.loads(printed)
    assert len(result["orders"]) >= 3
    assert {order["state"] for order in result["orders"]} == {"completed"}
    reconciliation = result["reconciliation"]
    assert reconciliation["active"] == reconciliation["billed"] >= 3
    assert reconciliation["active_not_billed"] == reconciliation["billed_not_active"] == []
    assert "A person decides: orderloom resolve" in told
    assert "It stays up until Ctrl-C. Where to click" in told
    assert 0 < result["seconds"] < 30
    assert list((tmp_path / "temporary").iterdir()) == []


def test_an_interrupted_demo_is_no_success_and_leaves_nothing_behind(tmp_path: Path):
    demo = started(folder=tmp_path / "temporary")
    assert demo.stdout is not None
    assert "are being started" in demo.stdout.readline()
    began_s = time.monotonic()
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert time.monotonic() - began_s < 20
    assert list((tmp_path / "temporary").iterdir()) == []
