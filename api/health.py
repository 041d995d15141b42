"""Whether the API is alive, and whether an order submitted now would be carried out."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.service import RPCError

from api import answers, errors
from api.answers import answer
from api.errors import Problem
from api.house import House, TheHouse
from api.schemas.health import AliveAnswer, ReadyAnswer
from models import views

router = APIRouter(tags=["health"])
WITHIN_S = 3.0
POLLED_WITHIN = timedelta(seconds=90)
"""A worker's poll lasts a minute; one that has not polled for longer is gone."""

READY = {"status": "ready", "database": "ok", "temporal": "ok", "worker": "ok"}


@router.get(
    "/healthz",
    summary="Is the process alive?",
    responses={200: {"model": AliveAnswer, **answers.documented("It is.", {"status": "alive"})}, **errors.documented()},
)
async def healthz() -> Response:
    """Answers as long as the process does."""
    return answer({"status": "alive"})


@router.get(
    "/readyz",
    summary="Is everything there?",
    responses={200: {"model": ReadyAnswer, **answers.documented("It is.", READY)}, **errors.documented()},
)
async def readyz(house: TheHouse) -> Response:
    """Whether the database answers, Temporal answers, and a worker polls the task queue."""
    missing = [
        name
        for name, is_there in (("database", _database), ("temporal and a worker", _worker))
        if not await _answers(is_there, house)
    ]
    if missing:
        raise Problem(503, "Not ready", f"Missing: {', '.join(missing)}.", headers={"Retry-After": "1"})
    return answer(READY)


async def _answers(is_there: Callable[[House], Awaitable[bool]], house: House) -> bool:
    try:
        async with asyncio.timeout(WITHIN_S):
            return await is_there(house)
    except (TimeoutError, SQLAlchemyError, RPCError, RuntimeError):  # RuntimeError: a lazy client cannot connect
        return False


async def _database(house: House) -> bool:
    return await run_in_threadpool(views.answers, house.engine)


async def _worker(house: House) -> bool:
    described = await house.temporal.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=house.temporal.namespace,
            task_queue=TaskQueue(name=house.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=timedelta(seconds=WITHIN_S),
    )
    polls = [x.last_access_time.ToDatetime(UTC) for x in described.pollers]
    return any(at > datetime.now(UTC) - POLLED_WITHIN for at in polls)
