"""Every operation of the OpenAPI document, tried by Schemathesis in all phases with all checks."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from domain.catalog import Kind
from models import catalogs
from tests import builders
from tests.api.conftest import Served

HERE = Path(__file__).parent

EXAMPLE = builders.catalog(
    builders.bundle("WIRELESS-BUNDLE", "MAIN-LINE-1", "SMS"),
    builders.subscription("MAIN-LINE-1"),
    builders.bundle("SMS", "SMS-BASIC", billing_service_type=builders.SMS),
    builders.subscription("SMS-BASIC", billing_service_type=builders.SMS),
)
"""The catalog that the documented example of an order is made for."""


@pytest.mark.timeout(600)
async def test_no_operation_fails_any_check(api: Served, tmp_path: Path):
    assert EXAMPLE["SMS"].kind is Kind.SERVICE_BUNDLE
    catalogs.publish(api.engine, [*builders.WIRELESS, *EXAMPLE], source="test")
    program = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", HERE / "schemathesis.toml", "run", f"{api.http.base_url}/openapi.json"),
        *("--checks", "all", "--continue-on-failure", "--no-color", "--generation-database", "none"),
        *("--report-dir", tmp_path),
        cwd=HERE.parent.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await program.communicate())[0].decode()
    print(output)  # noqa: T201 - shown when it fails: the seed, and how to reproduce it

    assert program.returncode == 0
    cases = re.search(r"(\d+) generated", output)
    assert cases is not None
    assert int(cases[1]) >= 1_000
    assert api.count("orders") > 0
