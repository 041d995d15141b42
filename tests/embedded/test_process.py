"""How a child ends."""

import dataclasses
import signal
import sys
import time
from pathlib import Path

import pytest

from embedded.process import NotReady, Program, free_port, listens, running, wait_until

DEAF_TO_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
DEAF = Program(name="deaf", argv=(sys.executable, "-c", DEAF_TO_SIGTERM), stop_within_s=0.2)


def test_a_child_that_does_not_stop_when_asked_is_stopped_by_force(tmp_path: Path):
    log = tmp_path / "log"
    with running(DEAF, output=log) as process:
        wait_until(lambda: log.read_text() == "deaf\n", process=process, name="deaf")
        assert DEAF.stop(process) == -signal.SIGKILL


def test_a_child_that_ends_before_it_is_ready_is_said_at_once():
    failing = Program(name="failing", argv=(sys.executable, "-c", "raise SystemExit(3)"))
    started_s = time.monotonic()
    with running(failing) as process, pytest.raises(NotReady, match="failing ended with status 3"):
        wait_until(lambda: False, process=process, name="failing")
    assert time.monotonic() - started_s < 10


def test_a_child_that_is_never_ready_is_said():
    waiting = dataclasses.replace(DEAF, name="waiting")
    with running(waiting) as process, pytest.raises(NotReady, match="waiting was not ready within 0 s"):
        wait_until(lambda: False, process=process, name="waiting", within_s=0.1)


def test_a_free_port_is_one_that_nobody_uses():
    port = free_port()
    assert not listens(port)
    server = Program(name="server", argv=(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)))
    with running(server) as process:
        wait_until(lambda: listens(port), process=process, name="server")
        assert free_port(preferred=port) != port
