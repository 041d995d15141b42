"""A check that cannot fail is a defect: each invariant is broken, and exactly that is found."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from models import submissions
from sql.connections import autocommit
from tests.builders import line, order
from tests.verify.conftest import Copy
from tests.verify.plants import ALL, Plant
from workflows.invariants import Limits
from workflows.messages import OrderRun, workflow_id

FOUND_BELOW = {"I1-run", "I29", "I5", "I6", "I6-limits"}


@pytest.mark.parametrize("plant", [pytest.param(x, id=f"{x.breaks}-{n}") for n, x in enumerate(ALL)])
async def test_what_is_broken_is_found_and_nothing_else(copy: Copy, plant: Plant) -> None:
    copy.plant(*plant.statements)
    assert await copy.broken() == {plant.breaks} | plant.also


async def test_every_invariant_has_been_broken(copy: Copy) -> None:
    assert {x.id for x in await copy.findings()} == {x.breaks for x in ALL} | FOUND_BELOW


async def test_an_order_that_nobody_starts_is_found(copy: Copy) -> None:
    _submitted(copy)
    assert await copy.broken() == {"I1-run"}
    assert await copy.broken(grace_s=30) == set()


async def test_a_transaction_that_somebody_left_open_is_found(copy: Copy) -> None:
    with copy.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert await copy.broken() == {"I29"}
        assert await copy.broken(grace_s=30) == set()


async def test_an_open_order_whose_run_somebody_terminated_is_found_and_what_it_leaves_behind(copy: Copy) -> None:
    order_id = _submitted(copy)
    handle = await _run(copy, order_id)
    copy.plant("UPDATE orderloom.orders SET run_started_at = now() WHERE id = :id", id=order_id)
    assert await copy.broken() == set()

    await handle.terminate()
    copy.plant(
        """INSERT INTO orderloom.plan_items (order_id, id, position, function, system, subject, root, lines, depends_on,
                                             no_return, state)
           VALUES (:id, 'reserve:1', 0, 'reserve', 'inventory', '1', '1', '{1}', '{}', FALSE, 'inProgress')""",
        id=order_id,
    )
    (found,) = [x for x in await copy.findings() if x.id == "I5"]
    (offender,) = found.offenders
    assert "is acknowledged and has no open run: it is terminated; done or under way: reserve:1" in offender


async def test_a_run_that_goes_on_without_an_order_is_found(copy: Copy) -> None:
    order_id = str(uuid4())
    handle = await _run(copy, order_id)
    try:
        assert await copy.broken() == {"I5"}
    finally:
        await handle.terminate()
    assert await copy.broken() == set()


async def test_a_run_near_a_limit_is_found(copy: Copy) -> None:
    assert await copy.broken(limits=Limits(events=5)) == {"I6-limits"}


def _submitted(copy: Copy) -> str:
    order_id = str(uuid4())
    with autocommit(copy.engine) as connection:
        stored = submissions.submit(
            connection, order(line("INTERNET")), order_id=order_id, catalog_version=1, key=None, location=""
        )
    assert isinstance(stored, submissions.Submitted)
    return order_id


async def _run(copy: Copy, order_id: str) -> Any:  # noqa: ANN401
    return await copy.world.client.start_workflow(
        "Order",
        OrderRun(order=order_id, number=1, account="ACME"),
        id=workflow_id(order_id),
        task_queue=copy.world.task_queue,
    )
