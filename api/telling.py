"""Speaking to an order's run: it is started first where that has not happened yet."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from temporalio.client import RPCTimeoutOrCancelledError

from api.errors import Problem
from api.house import House
from api.taking import absent
from domain.order import FINAL
from domain.violation import Violation
from models import views
from workflows.start import NoRun


class Unheard(Problem):
    """The run did not answer in time; what it was told may still happen."""

    def __init__(self) -> None:
        said = "The run did not answer in time; read the order before you ask again."
        super().__init__(503, "Try again later", said, headers={"Retry-After": "5"})


class NobodyCarriesItOut(Problem):
    """The order is open and its run is gone: somebody has terminated it, or it was lost (I5)."""

    def __init__(self) -> None:
        said = "The order is open and its run is gone: decide `retry` about its fallout RUN_GONE, then ask again."
        super().__init__(409, "Nobody carries it out", said)


async def tell(house: House, request: Request, order_id: str, say: Callable[[], Awaitable[str]]) -> str:
    """What the run of an order answers; :class:`Declined` when it does not agree, :class:`Unheard` when silent.

    :class:`NobodyCarriesItOut` when it is gone.
    """
    try:
        try:
            return await say()
        except NoRun:
            if not await run_in_threadpool(_waits_for_its_run, house, order_id):
                raise
            await request.app.state.starter.start(order_id)
            return await say()
    except (RPCTimeoutOrCancelledError, RuntimeError):  # no worker, no Temporal at all, or a run that was cut short
        raise Unheard from None


def _waits_for_its_run(house: House, order_id: str) -> bool:
    """Whether the order is stored and its run not started yet; it may be over, but not open without one."""
    found = views.order(house.engine, order_id)
    if found is None:
        raise absent(house, order_id)
    if found["run_started_at"] is None:
        return True
    if found["state"] not in FINAL:
        raise NobodyCarriesItOut
    return False


def past_no_return(line: str, step: str, *, is_over: bool = False) -> Problem:
    """What was sent for a line cannot be taken back; ``is_over``: nothing more happens to the order."""
    message = f"Line {line} is past the point of no return: {step} was sent."
    violation = Violation(code="NO_RETURN", rule="2.7", line=line, field=step, message=message)
    then = "The order is over: what it has installed is ended by another one." if is_over else _LATER
    return Problem(409, "Past the point of no return", f"{message} {then}", [violation])


_LATER = "Once it is completed it can be ended."
