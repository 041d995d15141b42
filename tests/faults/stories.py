"""The stories that are struck: every path of a run, and what only shows over other ways in."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text
from temporalio.client import WorkflowHandle

from adapters.switches import Mode as Failing
from adapters.switches import Switch
from tests.builders import line, order
from tests.faults.haste import BRIEF, LONG
from tests.faults.mischief import Mischief, Mode
from tests.faults.orderer import Violated
from tests.faults.worlds import World
from tests.replay.paths import PATHS, PAUSING
from tests.shop import Shop
from tests.workflows.catalog import INTERNET, WIRELESS

Handle = WorkflowHandle[Any, Any]
Story = Callable[[World], Awaitable[object]]
"""Orders something in a world, and does what people do about it; returns before the order has ended."""


async def new_customer(shop: Shop) -> Handle:
    """The first order of a customer that billing has not heard of."""
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE orderloom.accounts SET billing_synced_at = NULL"))
    return await shop.start(order(WIRELESS))


async def five_bundles(shop: Shop) -> Handle:
    """Many roots side by side, one with goods."""
    return await shop.start(
        order(INTERNET, WIRELESS, INTERNET, line("WIRELESS", line("RATE"), line("PHONE")), INTERNET)
    )


async def passing_fault_in_billing(shop: Shop) -> Handle:
    """Billing is told with patience."""
    shop.billing.switches.set("initiate", Switch(mode=Failing.FAIL_BEFORE, remaining=2))
    return await shop.start(order(INTERNET))


async def reconciliation(shop: Shop) -> Handle:
    """What is compared is not the same everywhere, whatever else was told in this world."""
    await (await PATHS["refused_and_skipped"](shop)).result()
    return await PATHS["reconciliation"](shop)


PATIENCES = {
    "undo_in_trouble": BRIEF,
    "records_in_trouble": BRIEF,
    "large_bundle": LONG,
    "cancelled_while_a_neighbour_is_away": PAUSING,
}
"""What the first two tell begins when patience ends; the third does much in each attempt, the fourth rests a while."""
UNSOUND = frozenset({"still_at_work"})
"""A service that was skipped as done by hand, and which the network brings up after all, is told apart by nobody."""
ALIKE_INSIDE = frozenset({"large_bundle", "five_bundles"})
"""These do the same many times, side by side: only kinds of places that no other story has are struck in them."""


def _ordered(name: str, path: Callable[[Shop], Awaitable[Handle]], world: World) -> Awaitable[object]:
    return path(replace(world.shop, patience=PATIENCES[name]) if name in PATIENCES else world.shop)


_MORE = (new_customer, five_bundles, passing_fault_in_billing, reconciliation)
ORDER_TYPES: Mapping[str, Story] = {
    name: partial(_ordered, name, path)
    for name, path in {
        **PATHS,
        **{x.__name__: x for x in (new_customer, five_bundles, passing_fault_in_billing, reconciliation)},
    }.items()
    if name not in UNSOUND
}
"""Every path that a golden history is recorded of, and more whose histories would be the same: all by name."""


async def not_understood(world: World) -> object:
    """Inventory does not understand what it is asked, once; nobody remembers that but us, and a person says: again."""
    await world.worker.tell([Mischief(path="/inventory/reserve", mode=Mode.E400)])
    handle = await world.shop.start(order(WIRELESS))
    await world.shop.decide(await world.shop.fallout(handle.id.removeprefix("order-")), "retry")
    return handle


OVER_HTTP: Mapping[str, Story] = {**ORDER_TYPES, "not_understood": not_understood}
"""Where neighbours are reached over HTTP, more can go wrong."""


async def submitted(world: World) -> None:
    """An order over the API, sent again under its key until it is answered."""
    key = {"Idempotency-Key": str(uuid4())}
    deadline = time.monotonic() + 30
    before = world.orders()
    async with httpx.AsyncClient(base_url=world.api, trust_env=False, timeout=5) as http:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                answer = await http.post("/v1/orders", json=DOCUMENT, headers=key)
                if answer.is_client_error:
                    raise Violated(f"refused: {answer.text}")
                if answer.status_code == httpx.codes.ACCEPTED:
                    _is_the_one(answer.json()["id"], [x for x in world.orders() if x not in before])
                    return
            await asyncio.sleep(0.1)
    raise Violated("P1: an order was not answered")


def _is_the_one(answered: str, stored: Sequence[str]) -> None:
    if stored != [answered]:
        raise Violated(f"P1: order {answered} was answered, stored are {stored}")


DOCUMENT: Mapping[str, Any] = {
    "account": "ACME",
    "billing_account": "ACME-BA",
    "service_account": "ACME-BA",
    "billing_profile": "ACME-BP",
    "lines": [
        {
            "id": "1",
            "product": "WIRELESS",
            "action": "add",
            "lines": [
                {"id": "1.1", "product": "RATE", "action": "add"},
                {"id": "1.2", "product": "PHONE", "action": "add"},
            ],
        }
    ],
}
"""An order as clients send it."""
