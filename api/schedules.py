"""Schedules: what is started again and again, when it last was, and when it will be."""

from typing import Any

from fastapi import APIRouter, Response
from temporalio.client import ScheduleActionExecutionStartWorkflow, ScheduleDescription
from temporalio.service import RPCError

from api import answers, errors
from api.answers import answer
from api.errors import Problem
from api.house import House, TheHouse
from api.schemas import report_examples as examples
from api.schemas.reports import ScheduleList
from workflows.schedules import RECURRING, described, schedule_id

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])
SHOWN = 5
"""How many past and how many future runs are told."""


@router.get(
    "",
    summary="List schedules",
    responses={
        200: {"model": ScheduleList, **answers.documented("Every schedule.", examples.SCHEDULES)},
        **errors.documented(),
    },
)
async def schedules(house: TheHouse) -> Response:
    """What the system starts by itself again and again, with its last and next runs; whether somebody paused it."""
    try:
        items = [await _schedule(house, name) for name in RECURRING]
    except (RPCError, RuntimeError):  # a lazy client that cannot connect says RuntimeError
        raise Problem(503, "Try again later", "Temporal does not answer.", headers={"Retry-After": "5"}) from None
    return answer({"items": items})


async def _schedule(house: House, name: str) -> dict[str, Any]:
    found = await described(house.temporal, name, task_queue=house.task_queue)
    shown: dict[str, Any] = {
        "id": schedule_id(name, task_queue=house.task_queue),
        "name": name,
        "about": RECURRING[name].summary,
    }
    if found is None:
        nothing = {"note": None, "every_s": None, "started": 0, "skipped": 0, "missed": 0}
        return {**shown, "state": "missing", **nothing, "last_runs": [], "next_runs": []}
    state, intervals = found.schedule.state, found.schedule.spec.intervals
    return {
        **shown,
        "state": "paused" if state.paused else "active",
        "note": state.note,
        "every_s": intervals[0].every.total_seconds() if intervals else None,
        "started": found.info.num_actions,
        "skipped": found.info.num_actions_skipped_overlap,
        "missed": found.info.num_actions_missed_catchup_window,
        "last_runs": _last_runs(house, found),
        "next_runs": [] if state.paused else found.info.next_action_times[:SHOWN],
    }


def _last_runs(house: House, found: ScheduleDescription) -> list[dict[str, Any]]:
    return [
        {
            "scheduled_at": x.scheduled_at,
            "started_at": x.started_at,
            "workflow_id": x.action.workflow_id,
            "temporal_ui": house.run_url(x.action.workflow_id, x.action.first_execution_run_id),
        }
        for x in reversed(found.info.recent_actions[-SHOWN:])
        if isinstance(x.action, ScheduleActionExecutionStartWorkflow)
    ]
