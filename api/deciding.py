"""Decisions about fallouts, handed to the runs of their orders: one, or many a few at a time."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from temporalio.client import RPCTimeoutOrCancelledError
from temporalio.service import RPCError

from api.errors import Problem
from api.findings import decide_finding
from api.house import House
from api.schemas.fallouts import Became
from api.starter import Starter
from api.telling import NobodyCarriesItOut
from domain.progress import Resolution
from domain.violation import Violation
from models import views
from models.views import Found
from workflows.start import Declined, NoRun, resolve

AT_ONCE = 10
"""How many decisions of one request are under way at once."""


class NotOpen(Problem):
    """There is nothing left to decide."""

    def __init__(self) -> None:
        super().__init__(409, "Not open", "The fallout is not open any more.")


async def decide(house: House, starter: Starter, fallout: Found, resolution: Resolution) -> str:
    """Hand a decision to the order's run: what it does then. A :class:`Problem` when it does not take it."""
    if not fallout["is_open"]:
        raise NotOpen
    if fallout["step"] is None:
        return await decide_finding(house, starter, fallout, resolution)
    if not fallout["decisions"]:
        raise Problem(409, "Nothing to decide", "It is tried again by itself, and closed when it succeeds.")
    try:
        return await resolve(house.temporal, fallout["order"], resolution)
    except NoRun:
        raise await run_in_threadpool(_without_run, house, fallout["id"]) from None
    except Declined as refusal:
        raise _refused(refusal) from None
    except (RPCTimeoutOrCancelledError, RPCError, RuntimeError):  # no worker, or no Temporal at all
        said = "The run did not answer in time; read the fallout before you decide again."
        raise Problem(503, "Try again later", said, headers={"Retry-After": "5"}) from None


def _without_run(house: House, fallout_id: str) -> Problem:
    found = views.fallout(house.engine, fallout_id)
    return NobodyCarriesItOut() if found and found["is_open"] else NotOpen()


def _refused(refusal: Declined) -> Problem:
    match refusal.code:
        case "NOT_OPEN":
            return NotOpen()
        case "NOT_ALLOWED":
            return Problem(409, "Not allowed here", f"{str(refusal).capitalize()}.")
        case "INPUT":
            found = Violation(code="INPUT", rule="W5", field="input", message=str(refusal))
            return Problem(422, "Not a decision", "Nothing was decided; mend the input and decide again.", [found])
        case _:
            return Problem(422, "Not a decision", "The run does not understand it; see docs/operations.md.")


async def decide_all(
    house: House,
    starter: Starter,
    fallouts: Sequence[Found],
    resolution: Callable[[str], Resolution],
    *,
    threshold: int,
) -> dict[str, Any]:
    """Take one decision about each of these fallouts, until ``threshold`` were refused or failed: never more."""
    became: dict[str, tuple[Became, str | None]] = {}
    left, failed = deque(fallouts), 0
    while left and failed < threshold:
        some = [left.popleft() for _ in range(min(AT_ONCE, threshold - failed, len(left)))]
        answers = await asyncio.gather(*(_what_became(house, starter, x, resolution(x["id"])) for x in some))
        became |= zip((x["id"] for x in some), answers, strict=True)
        failed += sum(what in (Became.REFUSED, Became.FAILED) for what, _ in answers)
    became |= {x["id"]: (Became.NOT_ATTEMPTED, None) for x in left}
    items = [
        {"fallout": x["id"], "order": x["order"], "became": became[x["id"]][0], "detail": became[x["id"]][1]}
        for x in fallouts
    ]
    return {"items": items, "stopped": failed >= threshold}


async def _what_became(
    house: House, starter: Starter, fallout: Found, resolution: Resolution
) -> tuple[Became, str | None]:
    try:
        return Became.RESOLVED, await decide(house, starter, fallout, resolution)
    except NotOpen:
        return Became.SETTLED, None
    except Problem as problem:
        unanswered = problem.status_code == 503  # noqa: PLR2004
        said = next((x.message for x in problem.violations), problem.explanation)
        return Became.FAILED if unanswered else Became.REFUSED, f"{problem.title}: {said}"
