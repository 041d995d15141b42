"""The largest orders that are taken come to their end, far from what Temporal can carry."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from domain.facts import AccountFact, Facts
from domain.order import Order
from domain.size import MAX_STEPS, too_many_steps
from domain.validation import validate
from tests.builders import Line, order
from tests.shop import Shop, hasty
from tests.workflows.catalog import PRODUCTS, WIRELESS, office
from workflows.order import LONGEST_BATCH, OrderWorkflow
from workflows.payloads import DATA_CONVERTER

LONGEST_ID = 64
PAYLOAD_LIMIT = 256 * 1024
EVENTS_WARNED_OF = 10_240
FACTS = Facts(accounts={x: AccountFact(synced=False) for x in ("ACME", "ACME-BA")}, profiles={"ACME-BP": "ACME-BA"})


def largest(shop: Shop, *lines: Line) -> Order:
    """An order of these lines, which is as large as one may be; its line ids are as long as they may be."""
    short = order(*lines)
    named = {x.id: f"{x.id:_<{LONGEST_ID}}" for x in short.lines}
    lines_ = (
        replace(x, id=named[x.id], root=named[x.root], parent=named[x.parent] if x.parent else None)
        for x in short.lines
    )
    asked = replace(short, lines=tuple(lines_))
    catalog = shop.publish(*PRODUCTS)
    assert not validate(asked, catalog, FACTS)
    assert not too_many_steps(asked, catalog, FACTS)
    assert too_many_steps(order(*lines, WIRELESS), catalog, FACTS)
    return asked


def payloads(message: Any) -> Iterator[Payload]:  # noqa: ANN401 - any protobuf message
    """All payloads in a message."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = value.values() if field.message_type.fields_by_name["value"].message_type else ()
        else:
            values = value if field.is_repeated else (value,)
        for x in values:
            yield from payloads(x)


def outcomes(history: WorkflowHistory) -> list[int]:
    """How many steps each batch had."""
    found = (json.loads(x.data) for event in history.events for x in payloads(event) if x.data.startswith(b"[{"))
    return [len(x) for x in found if "step" in x[0]]


async def carried_out(shop: Shop, asked: Order) -> WorkflowHistory:
    """The history of an order that came to its end."""
    handle = await shop.start(asked, patience=hasty(first_s=3.0, attempt_s=30.0, give_up_s=60.0))
    end = await asyncio.wait_for(handle.result(), timeout=100)
    assert end.state == "completed"
    return await handle.fetch_history()


def is_far_from_the_limits(history: WorkflowHistory) -> bool:
    largest_payload = max(x.ByteSize() for event in history.events for x in payloads(event))
    return largest_payload < PAYLOAD_LIMIT and len(history.events) < EVENTS_WARNED_OF / 5


@pytest.mark.req("W1")
async def test_the_largest_order_of_many_bundles_is_carried_out_and_can_be_continued_by_any_worker(shop: Shop):
    shop.numbers("MSISDN", *(f"+1-556-{n:04}" for n in range(MAX_STEPS)))
    history = await carried_out(shop, largest(shop, *[WIRELESS] * ((MAX_STEPS - 1) // 8)))
    assert is_far_from_the_limits(history)
    replayer = Replayer(workflows=[OrderWorkflow], data_converter=DATA_CONVERTER)
    assert (await replayer.replay_workflow(history)).replay_failure is None


@pytest.mark.req("W1")
async def test_the_largest_bundle_is_sent_in_parts_that_a_slow_neighbour_can_do_in_time(shop: Shop):
    services = (MAX_STEPS - 3) // 2  # three steps are of the whole: the account, the first phase, the assets
    history = await carried_out(shop, largest(shop, office(services)))
    assert is_far_from_the_limits(history)
    assert max(outcomes(history)) == LONGEST_BATCH
    assert sum(outcomes(history)) == 2 * services + 3
