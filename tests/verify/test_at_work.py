"""An operator looks while the system is at work: what is under way is no violation, a run in trouble is one."""

import asyncio
import json
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from adapters.switches import Mode, Switch
from cli.verify import verify
from models import submissions
from sql.connections import autocommit
from tests.builders import line, order
from tests.conftest import Database
from tests.shop import open_shop
from tests.verify.conftest import PRODUCTS, WIRELESS, Copy
from workflows.messages import OrderEnd, OrderRun, workflow_id

ROOT = Path(__file__).parents[2]


async def test_orders_under_way_are_no_violations(database: Database, temporal_client: Client) -> None:
    async with open_shop(database.app_url, temporal_client) as shop:
        shop.publish(*PRODUCTS)
        shop.account("ACME", "ACME-BA")
        shop.numbers("MSISDN", *(f"+1-555-01{n:02}" for n in range(30)))
        shop.receive("PHONE", 30)
        shop.provisioning.switches.set("activate", Switch(mode=Mode.SLOW, ms=300))
        shop.inventory.switches.set("deliver", Switch(mode=Mode.DELAY, ms=100))
        shop.billing.switches.set("fulfill", Switch(mode=Mode.FAIL_AFTER, remaining=5))
        runs = [await shop.start(order(WIRELESS, line("INTERNET"))) for _ in range(8)]
        ends = asyncio.gather(*(x.result() for x in runs))
        looks = 0
        while not ends.done():
            findings = await verify(shop.engine, shop.client, task_queue=shop.task_queue)
            assert [x for x in findings if not x.holds] == []
            looks += 1
        assert looks > 1
        findings = await verify(shop.engine, shop.client, task_queue=shop.task_queue, grace_s=0)
        assert [x for x in findings if not x.holds] == []


@workflow.defn(name="Order")
class Defective:
    """An order whose own code is wrong."""

    @workflow.run
    async def run(self, run: OrderRun) -> OrderEnd:
        raise TypeError(run.order)


async def test_a_run_whose_code_is_wrong_is_found(copy: Copy) -> None:
    client, queue, order_id = copy.world.client, f"defective-{uuid4()}", str(uuid4())
    with autocommit(copy.engine) as connection:
        submissions.submit(
            connection, order(line("INTERNET")), order_id=order_id, catalog_version=1, key=None, location=""
        )
    copy.plant("UPDATE orderloom.orders SET run_started_at = now() WHERE id = :id", id=order_id)
    handle = await client.start_workflow(
        "Order", OrderRun(order=order_id, number=1, account="ACME"), id=workflow_id(order_id), task_queue=queue
    )
    try:
        async with Worker(client, task_queue=queue, workflows=[Defective], workflow_runner=UnsandboxedWorkflowRunner()):
            broken: dict[str, tuple[str, ...]] = {}
            while not broken:
                await asyncio.sleep(0.5)
                findings = await verify(copy.engine, client, task_queue=queue, grace_s=0)
                broken = {x.id: x.offenders for x in findings if not x.holds}
    finally:
        await handle.terminate()
    assert broken.keys() == {"I6"}
    assert order_id in broken["I6"][0]


@pytest.mark.parametrize("harm", [None, "UPDATE inventory.stock SET reserved = 1"])
async def test_the_command_tells_every_invariant_and_whether_one_is_broken(
    copy: Copy, harm: str | None, tmp_path: Path
) -> None:
    if harm:
        copy.plant(harm)
    status, told = await _verify(copy, tmp_path, "--json")
    assert json.loads(told)["holds"] is (harm is None)
    assert status == (1 if harm else 0)

    status, told = await _verify(copy, tmp_path)
    assert status == (1 if harm else 0)
    lines = told.splitlines()
    assert ("BROKEN I7-reserved" in told) is bool(harm)
    assert sum(x.startswith("holds ") for x in lines) == len(
        json.loads((await _verify(copy, tmp_path, "--json"))[1])["findings"]
    ) - bool(harm)


async def test_the_command_does_not_take_what_it_cannot_look_at_for_an_answer(copy: Copy, tmp_path: Path) -> None:
    with copy.owner.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA orderloom CASCADE")
    assert await _verify(copy, tmp_path) == (2, "")


async def test_the_command_says_what_it_cannot_find(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "verify", cwd=ROOT, env={"PATH": "", "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert b"ORDERLOOM_DATABASE_URL" in complaint


async def _verify(copy: Copy, home: Path, *options: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "verify", "--grace", "0", *options,
        cwd=ROOT,
        env={
            "HOME": str(home),
            "ORDERLOOM_DATABASE_URL": copy.engine.url.render_as_string(hide_password=False),
            "ORDERLOOM_TEMPORAL_ADDRESS": copy.world.client.service_client.config.target_host,
            "ORDERLOOM_TASK_QUEUE": copy.world.task_queue,
        },
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await process.communicate()
    return process.returncode, told.decode()
