"""Decisions about what detectors found: no run waits for them."""

from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from temporalio.service import RPCError

from api.errors import Problem
from api.house import House
from api.starter import Starter
from domain.fallout import Decision, FalloutType
from domain.progress import Resolution
from domain.watch import Code
from models import reconciliations, submissions
from models.views import Found
from models.work_list import PostgresWorkList
from workflows.reconciliation import start_reconciliation
from workflows.start import Declined, Forgotten, carry_on


async def decide_finding(house: House, starter: Starter, fallout: Found, resolution: Resolution) -> str:
    """Carry a decision out: what came of it. A :class:`Problem` when it cannot be."""
    if resolution.decision not in fallout["decisions"]:
        raise Problem(409, "Not allowed here", f"Here may be decided: {', '.join(fallout['decisions'])}.")
    work_list = PostgresWorkList(house.engine, house.due_times)
    if resolution.decision == Decision.SKIP:
        return await run_in_threadpool(_accept, work_list, fallout, resolution)
    outcome = await _look_again(house, starter, fallout)
    decision, actor, reason = resolution.decision, resolution.actor, resolution.reason
    if fallout["code"] == Code.RUN_GONE:  # there is one again
        subjects = [fallout["subject"]]
        await run_in_threadpool(work_list.close, subjects, decision=decision, actor=actor, reason=reason)
    else:
        await run_in_threadpool(work_list.decided, fallout["id"], decision=decision, actor=actor, reason=reason)
    return outcome


def _accept(work_list: PostgresWorkList, fallout: Found, resolution: Resolution) -> str:
    if not reconciliations.accept(work_list, fallout["subject"], actor=resolution.actor, reason=resolution.reason):
        raise Problem(409, "Not there any more", "This difference does not stand; the fallout is closed by itself.")
    return "accepted as it is"


async def _look_again(house: House, starter: Starter, fallout: Found) -> str:
    """Whatever is asked for within a second is one comparison, however many fallouts it is about."""
    if fallout["code"] == Code.RUN_GONE:
        return await _carry_on(house, starter, fallout)
    if fallout["type"] != FalloutType.RECONCILIATION:
        return "looked at again within half a minute"
    request = f"retry-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    try:
        run, _ = await start_reconciliation(house.temporal, request=request, task_queue=house.task_queue)
    except (RPCError, RuntimeError):  # no Temporal at all
        raise Problem(503, "Try again later", "Temporal does not answer.", headers={"Retry-After": "5"}) from None
    return f"compared again by {run}"


async def _carry_on(house: House, starter: Starter, fallout: Found) -> str:
    """The order is carried out further by the run that has ended, or by a new one if nothing is left of that."""
    try:
        try:
            run: str | None = await carry_on(house.temporal, fallout["order"])
            await run_in_threadpool(submissions.mark_started_anew, house.engine, fallout["order"], run)
        except Forgotten:
            run = await starter.start_anew(fallout["order"])
    except Declined as refusal:
        raise Problem(409, "It cannot go on", f"{str(refusal).capitalize()}.") from None
    except (RPCError, RuntimeError):  # no Temporal at all
        raise Problem(503, "Try again later", "Temporal does not answer.", headers={"Retry-After": "5"}) from None
    return f"carried out further by run {run}"
