"""An order's own event log: as a list, and live as a stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from api import errors
from api.answers import answer
from api.house import House, TheHouse
from api.live import Live
from api.schemas import examples
from api.schemas.orders import EventList
from api.schemas.shape import Uuid
from api.taking import absent
from domain.order import FINAL
from models import views
from models.views import Found

router = APIRouter(prefix="/v1/orders", tags=["orders"])

MAX_EVENTS = 1_000
LOOK_EVERY_S = 15.0
"""How long a stream stays silent at most: it then says so, and looks for itself."""

STREAM = "text/event-stream"
_Number = r"^[0-9]{0,9}$"


@router.get(
    "/{order_id:ours}/events",
    summary="Read an order's events",
    responses={
        200: {
            "model": EventList,
            "description": "The events in order of `seq`; as a stream, those to come as well, until the order's end.",
            "content": {
                "application/json": {"example": examples.EVENTS},
                STREAM: {"schema": {"type": "string"}, "example": examples.EVENT_STREAM},
            },
        },
        204: {"description": "The order has ended, and the stream's reader has seen everything."},
        **errors.documented(404, 409, 422),
    },
)
async def events(
    order_id: Annotated[Uuid, Path(description="The order's id.")],
    house: TheHouse,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS, description="How many at most.")] = MAX_EVENTS,
    cursor: Annotated[str, Query(pattern=_Number, description="The previous page's.")] = "",
    accept: Annotated[str, Header(include_in_schema=False)] = "application/json",
    last_event_id: Annotated[str, Header(pattern=_Number, description="The last one a stream's reader has seen.")] = "",
) -> Response:
    """Everything that happened to the order, in the order's own numbering without gaps.

    With `Accept: text/event-stream` it is a stream of server-sent events that goes on until the order's end.
    """
    end = await run_in_threadpool(views.log_end, house.engine, order_id)
    if end is None:
        raise await run_in_threadpool(absent, house, order_id)
    if STREAM not in accept:
        found = await run_in_threadpool(views.events, house.engine, order_id, after=int(cursor or 0), limit=limit)
        more = bool(found) and found[-1]["seq"] < end[0]
        items = [dict(x) for x in found]
        return answer({"items": items, "next_cursor": str(found[-1]["seq"]) if more else None})
    seen = int(last_event_id or cursor or 0)
    if end[1] in FINAL and seen >= end[0]:
        return Response(status_code=204)
    return StreamingResponse(_stream(house, request.app.state.live, order_id, seen), media_type=STREAM)


async def _stream(house: House, live: Live, order_id: str, seen: int) -> AsyncIterator[bytes]:
    """The events after number ``seen`` as they happen, until the order's last."""
    with live.watching(order_id) as woken:
        while not live.is_closing:
            woken.clear()
            end = await run_in_threadpool(views.log_end, house.engine, order_id)
            found = await run_in_threadpool(views.events, house.engine, order_id, after=seen, limit=MAX_EVENTS)
            for event in found:
                seen = event["seq"]
                yield _frame(event)
            if end is None or (end[1] in FINAL and seen >= end[0]):
                return
            if found:
                continue
            yield b": waiting\n\n"
            await _wait(woken)


async def _wait(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            await woken.wait()
    except TimeoutError:
        return


def _frame(event: Found) -> bytes:
    body: dict[str, Any] = dict(event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event["seq"], event["type"].encode(), to_json(body))
