"""docker-compose.yml, as far as it can be tried without Docker."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from embedded.postgres import SUPERUSER, Cluster, binaries
from embedded.process import free_port, running, wait_until
from tests.conftest import NO_DURABILITY

ROOT = Path(__file__).parents[2]
JOBS = {"temporal-schema", "temporal-namespace", "migrate"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def test_nothing_is_published_beyond_this_machine(compose: dict[str, Any]):
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_password_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    passwords = re.findall(r"\$\{(\w+)([^}]*)\}", text)
    assert {name for name, _ in passwords} == {
        "POSTGRES_PASSWORD", "ORDERLOOM_OWNER_PASSWORD", "ORDERLOOM_APP_PASSWORD", "TEMPORAL_PASSWORD",
    }  # fmt: skip
    assert {otherwise for _, otherwise in passwords} == {":?run make .env"}


def test_what_stays_up_is_restarted_and_what_ends_is_waited_for(compose: dict[str, Any]):
    services = compose["services"]
    assert {name for name, service in services.items() if service["restart"] == "on-failure"} == JOBS
    waits = {
        (on, how["condition"]) for service in services.values() for on, how in service.get("depends_on", {}).items()
    }
    assert {on for on, how in waits if how == "service_completed_successfully"} == JOBS
    assert {on for on, how in waits if how == "service_healthy"} == {"postgres", "temporal"}


def test_the_image_has_everything_that_the_program_imports():
    copied = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    modules = {path.name for path in ROOT.glob("*.py")}
    assert packages | modules | {"migrations", "requirements-production.lock"} == copied


def test_the_database_gets_its_roles_and_temporal_its_databases(tmp_path: Path, compose: dict[str, Any]):
    cluster = Cluster(directory=tmp_path, port=free_port(), settings=NO_DURABILITY)
    cluster.create()
    with running(cluster.program()) as process:
        wait_until(cluster.accepts_connections, process=process, name="postgres")
        with cluster.connect(SUPERUSER, database="postgres") as server, server.cursor() as cursor:
            cursor.execute("CREATE DATABASE orderloom")
        _run_as_the_image_does(compose["configs"]["roles"]["content"], cluster)
        for role, password, database in (
            ("orderloom_owner", "owner-secret", "orderloom"),
            ("orderloom_app", "app-secret", "orderloom"),
            ("temporal", "temporal-secret", "temporal"),
            ("temporal", "temporal-secret", "temporal_visibility"),
        ):
            psycopg2.connect(host="127.0.0.1", port=cluster.port, user=role, password=password, dbname=database).close()


def _run_as_the_image_does(script: str, cluster: Cluster) -> None:
    script = script.replace("$$", "$").replace("/roles.sql", str(ROOT / "embedded" / "roles.sql"))
    environment = {
        "PATH": f"{binaries()}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(cluster.port),
        "PGPASSWORD": cluster.password(SUPERUSER),
        "ORDERLOOM_OWNER_PASSWORD": "owner-secret",
        "ORDERLOOM_APP_PASSWORD": "app-secret",
        "TEMPORAL_PASSWORD": "temporal-secret",
    }
    shell = ["/bin/sh", "-c", f"set -e\n{script}"]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
