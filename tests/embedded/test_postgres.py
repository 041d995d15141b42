"""PostgreSQL runs as whoever starts it: a person, or root in a container, without touching users or permissions."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from embedded.postgres import APP, OWNER, SUPERUSER, CannotRun, Cluster, binaries
from embedded.process import Program, free_port, running, wait_until
from tests.conftest import NO_DURABILITY

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROOT = Path(__file__).parents[2]
START = """
from pathlib import Path
import sys
from embedded.postgres import APP, Cluster
from embedded.process import free_port, running, wait_until
cluster = Cluster(directory=Path(sys.argv[1]), port=free_port())
cluster.create()
with running(cluster.program()) as process:
    wait_until(cluster.accepts_connections, process=process, name="postgres")
    cluster.prepare()
    with cluster.connect(APP) as connection:
        print(connection.info.user)
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user of the machine can reach, as pytest's own is not."""
    with tempfile.TemporaryDirectory(dir=tempfile.gettempdir(), prefix="orderloom-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def without_namespaces(monkeypatch: pytest.MonkeyPatch, public_folder: Path) -> None:
    """A machine that forbids user namespaces: its PATH has no `unshare`."""
    programs = public_folder / "bin"
    programs.mkdir()
    for name in ("sh", "test"):
        (programs / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(programs))


@as_root
def test_root_starts_it_in_a_user_namespace_and_changes_no_permission(tmp_path: Path):
    before = tmp_path.stat()
    cluster = Cluster(directory=tmp_path / "postgres", port=free_port(), settings=NO_DURABILITY)
    with _started(cluster) as process:
        assert Path(f"/proc/{process.pid}/uid_map").read_text().split() == ["1000", "0", "1"]
    assert (tmp_path.stat().st_mode, tmp_path.stat().st_uid) == (before.st_mode, before.st_uid)


@as_root
@pytest.mark.usefixtures("without_namespaces")
def test_root_starts_it_as_nobody_where_namespaces_are_forbidden(public_folder: Path, monkeypatch: pytest.MonkeyPatch):
    if subprocess.run(["/bin/sh", "-c", f"test -x {binaries()}/postgres"], user="nobody", check=False).returncode != 0:
        pytest.skip(f"the user nobody cannot reach {binaries()}")
    cluster = Cluster(directory=public_folder / "postgres", port=free_port(), settings=NO_DURABILITY)
    with _started(cluster) as process:
        assert Path(f"/proc/{process.pid}").owner() == "nobody"
    monkeypatch.undo()
    with _started(cluster) as process:  # the same data where they are allowed
        assert Path(f"/proc/{process.pid}").owner() == "root"


@as_root
@pytest.mark.usefixtures("without_namespaces")
def test_root_is_told_what_to_do_where_nothing_works(public_folder: Path):
    (public_folder / "closed").mkdir(mode=0o700)
    cluster = Cluster(directory=public_folder / "closed" / "postgres", port=free_port())
    with pytest.raises(CannotRun, match="run as a normal user, or set ORDERLOOM_DATABASE_URL"):
        cluster.create()


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare")
def test_a_normal_user_starts_it_plainly(tmp_path: Path):
    somebody = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
    started = subprocess.run(
        [*somebody, sys.executable, "-c", START, str(tmp_path / "postgres")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (started.returncode, started.stdout.strip()) == (0, APP), started.stderr


def test_every_role_has_a_password_of_its_own_that_only_this_user_reads(cluster: Cluster):
    file = cluster.directory / "passwords.json"
    passwords = json.loads(file.read_text())
    assert set(passwords) == {SUPERUSER, OWNER, APP}
    assert len(set(passwords.values())) == 3
    assert all(len(password) >= 32 for password in passwords.values())
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_cluster_that_was_killed_half_way_through_its_creation_is_created_anew(tmp_path: Path):
    abandoned = tmp_path / "new-abandoned" / "cluster"
    abandoned.mkdir(parents=True)
    cluster = Cluster(directory=tmp_path, port=free_port(), settings=NO_DURABILITY)
    with _started(cluster):
        assert not abandoned.exists()


def test_a_number_that_another_process_has_got_since_does_not_keep_it_from_starting(tmp_path: Path):
    cluster = Cluster(directory=tmp_path, port=free_port(), settings=NO_DURABILITY)
    with _started(cluster) as process:
        process.send_signal(signal.SIGKILL)
    with running(
        Program(name="somebody else", argv=(sys.executable, "-c", "import time; time.sleep(60)"))
    ) as somebody_else:
        _, rest = (tmp_path / "cluster" / "postmaster.pid").read_text().split("\n", 1)
        (tmp_path / "cluster" / "postmaster.pid").write_text(f"{somebody_else.pid}\n{rest}")
        cluster.forget_killed_server()
        with _started(cluster):
            assert cluster.accepts_connections()


def test_nobody_connects_without_a_password(cluster: Cluster):
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host="127.0.0.1", port=cluster.port, user=SUPERUSER, dbname="postgres")


@contextmanager
def _started(cluster: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    cluster.create()
    with running(cluster.program()) as process:
        wait_until(cluster.accepts_connections, process=process, name="postgres")
        yield process
