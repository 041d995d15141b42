"""The house of the system: what runs together, dies together, and keeps its data."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.conftest import Database

pytestmark = pytest.mark.timeout(60)
LAUNCHER = Path(__file__).with_name("launcher.py")


class Launched:
    """A running launcher, and what it said when it was ready."""

    def __init__(self, data: Path, *, name: str, environment: Mapping[str, str]) -> None:
        self._complaints = (data.parent / f"{name}.txt").open("w+")
        self._diary = data.parent / f"{name}-diary.txt"
        self.process = subprocess.Popen(
            [sys.executable, str(LAUNCHER), str(data)],
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": str(LAUNCHER.parents[2]),
                "STAND_IN_DIARY": str(self._diary),
            },
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.found: dict[str, Any] = json.loads(line) if line else {}
        self.data = data

    def said(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read()

    def happened(self) -> list[str]:
        return self._diary.read_text().splitlines()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.found["database"].replace("+psycopg2", ""))
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._complaints.close()


@contextmanager
def launched(data: Path, *, name: str = "first", environment: Mapping[str, str] | None = None) -> Iterator[Launched]:
    launcher = Launched(data, name=name, environment=environment or {})
    try:
        yield launcher
    finally:
        launcher.end()


def eventually(check: Callable[[], bool], *, within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    with launched(tmp_path_factory.mktemp("system") / "data") as system:
        yield system


def test_everything_listens_on_the_loopback_interface_only(shared: Launched):
    _, _, port = shared.found["temporal"].partition(":")
    listeners = _listeners(shared.found["pids"].values())
    assert f"0100007F:{int(port):04X}" in listeners
    assert [each for each in listeners if not each.startswith(("0100007F:", "00000000000000000000000001000000:"))] == []


def test_a_second_system_on_the_same_data_is_refused(shared: Launched):
    with launched(shared.data, name="second") as second:
        assert second.found == {}
        assert second.process.wait(30) != 0
        assert f"already runs on {shared.data} (process {shared.process.pid})" in second.said()
    assert lives(shared.found["pids"]["postgres"])


def test_a_worker_that_dies_is_started_again_and_said(shared: Launched):
    before = shared.happened().count("worker started")
    os.kill(shared.found["pids"]["worker"], signal.SIGKILL)
    assert eventually(lambda: shared.happened().count("worker started") == before + 1)
    assert "worker ended (killed by signal 9); starting it again" in shared.said()
    assert eventually(lambda: "worker runs again" in shared.said())


def test_a_killed_postgres_is_started_again_with_every_committed_row(shared: Launched):
    shared.rows("INSERT INTO kept VALUES ('before the kill')")
    os.kill(shared.found["pids"]["postgres"], signal.SIGKILL)
    assert eventually(lambda: "postgres runs again" in shared.said())
    assert ("before the kill",) in shared.rows("SELECT what FROM kept")


def test_it_stops_in_reverse_order_and_leaves_nothing_behind(tmp_path: Path):
    with launched(tmp_path / "data") as system:
        pids = system.found["pids"]
        assert list(pids) == ["postgres", "temporal", "worker", "api"]
        assert all(lives(pid) for pid in pids.values())
        assert eventually(lambda: "worker started" in system.happened())
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(30) == 0
        assert not any(lives(pid) for pid in pids.values())
        assert system.happened()[0] == "migrate started"
        assert system.happened()[-2:] == ["server stopped", "worker stopped"]
    assert "database system is shut down" in (tmp_path / "data/log/postgres.log").read_text().splitlines()[-1]


def test_children_die_with_a_killed_launcher_and_the_next_one_finds_the_data(tmp_path: Path):
    with launched(tmp_path / "data") as system:
        system.rows("INSERT INTO kept VALUES ('before the kill')")
        system.process.kill()
        with launched(
            tmp_path / "data", name="again"
        ) as again:  # at once: it waits for the children that are still stopping
            assert not any(lives(pid) for pid in system.found["pids"].values())
            assert again.rows("SELECT what FROM kept") == [("before the kill",)]


def test_what_is_provided_is_used_instead_of_its_own(tmp_path: Path, database: Database, temporal_address: str):
    provided = {
        "ORDERLOOM_DATABASE_URL": database.app_url,
        "ORDERLOOM_OWNER_DATABASE_URL": database.owner_url,
        "ORDERLOOM_TEMPORAL_ADDRESS": temporal_address,
    }
    with launched(tmp_path / "data", environment=provided) as system:
        assert list(system.found["pids"]) == ["worker", "api"]
        assert (system.found["database"], system.found["temporal"]) == (database.app_url, temporal_address)
        assert system.rows("SELECT count(*) FROM kept") == [(0,)]
    assert not (tmp_path / "data" / "postgres").exists()


def _listeners(pids: Iterable[int]) -> list[str]:
    """Return the local addresses, as the kernel writes them, that these processes listen on."""
    sockets = {socket for pid in pids for socket in _open_files(pid)}
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return [line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]


def _open_files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            yield str(link.readlink())
