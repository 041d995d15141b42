"""Requests that start a run of their own: the same ``Idempotency-Key`` is the same run."""

from collections.abc import Awaitable, Callable
from uuid import NAMESPACE_OID, uuid4, uuid5

from fastapi import Response
from temporalio.service import RPCError

from api.answers import answer
from api.errors import Problem
from api.house import House

Start = Callable[..., Awaitable[tuple[str, str | None]]]
"""Starts the run of a ``request`` on a ``task_queue``, with a client: its ids, workflow first."""


async def requested(house: House, idempotency_key: str | None, start: Start) -> Response:
    """Start a request's run, and say where it is."""
    request = uuid5(NAMESPACE_OID, idempotency_key) if idempotency_key else uuid4()
    try:
        workflow_id, run_id = await start(house.temporal, request=str(request), task_queue=house.task_queue)
    except (RPCError, RuntimeError):  # a lazy client that cannot connect says RuntimeError
        raise Problem(503, "Try again later", "Temporal does not answer.", headers={"Retry-After": "5"}) from None
    link = house.run_url(workflow_id, run_id)
    run = {"workflow_id": workflow_id, "run_id": run_id, "status": "started", "temporal_ui": link}
    return answer({"run": run}, 202)
