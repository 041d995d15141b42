"""Reports: whether what runs is what is billed, and how quickly orders are fulfilled."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from api import answers, errors
from api.answers import ThePage, answer, money_body, next_cursor
from api.body import StrictRoute
from api.errors import broken_rules
from api.house import TheHouse
from api.idempotency import GivenKey
from api.requests import requested
from api.schemas import report_examples as examples
from api.schemas.reports import FulfillmentAnswer, NeighboursAnswer, ReconciliationAnswer
from api.schemas.runs import RequestedAnswer
from api.schemas.shape import Id, Instant
from domain.money import Money
from domain.reconciliation import DifferenceClass
from domain.violation import Violation
from models import reports
from models.views import Found
from workflows.reconciliation import start_reconciliation

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=StrictRoute)
Since = Annotated[Instant | None, Query(description="Of orders submitted from then on.")]
Until = Annotated[Instant | None, Query(description="Of orders submitted before then; now by default.")]


@router.get(
    "/reconciliation",
    summary="Read the reconciliation",
    responses={
        200: {"model": ReconciliationAnswer,
              **answers.documented("The latest comparison, and one page of differences, last found first.",
                                   examples.RECONCILIATION, X_Total_Count="How many differences there are.")},
        **errors.documented(422),
    },
)  # fmt: skip
def reconciliation(
    house: TheHouse,
    page: ThePage,
    account: Annotated[Id | None, Query(description="Only of this account.")] = None,
    of_class: Annotated[DifferenceClass | None, Query(alias="class", description="Only of this class.")] = None,
) -> Response:
    """How many services the network runs and billing bills, and which ones differ, service by service (F06, F07)."""
    found = reports.reconciliation(house.engine, account=account)
    listed = reports.differences(house.engine, page, account=account, of_class=of_class)
    body = {
        "run": found.run and _run_body(found.run),
        "by_billing_service_type": found.by_type,
        "by_account": found.by_account,
        "items": [_difference_body(x) for x in listed.items],
        "next_cursor": next_cursor(listed, at="found_at"),
    }
    return answer(body, X_Total_Count=str(listed.total))


@router.post(
    "/reconciliation",
    status_code=202,
    summary="Compare now",
    responses={
        202: {"model": RequestedAnswer, **answers.documented("The run has been started.", examples.RECONCILE)},
        **errors.documented(*errors.NO_BODY_ERRORS),
    },
)
async def reconcile(house: TheHouse, idempotency_key: GivenKey) -> Response:
    """Start a comparison beside the scheduled ones: its run's workflow id is the `run.id` of the report it makes.

    Takes no body. The same key is the same run.
    """
    return await requested(house, idempotency_key, start_reconciliation)


@router.get(
    "/fulfillment",
    summary="Read how quickly orders are fulfilled",
    responses={
        200: {"model": FulfillmentAnswer, **answers.documented("The report.", examples.FULFILLMENT)},
        **errors.documented(422),
    },
)
def fulfillment(
    house: TheHouse,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Time to service by product, durations by step, fallout rate and retries of the orders of a period (F16).

    Without `since`, of the last 30 days.
    """
    begins, ends = _period(since, until, usual=timedelta(days=30))
    found = reports.fulfillment(house.engine, since=begins, until=ends)
    body = {
        "since": begins,
        "until": ends,
        "orders": {**found.orders, "fallout_rate": _rate(found.orders["with_fallout"], found.orders["submitted"])},
        "products": [_product_body(x) for x in found.products],
        "steps": [_step_body(x) for x in found.steps],
    }
    return answer(body)


@router.get(
    "/neighbours",
    summary="Read how the neighbours answer",
    responses={
        200: {"model": NeighboursAnswer, **answers.documented("The report.", examples.NEIGHBOURS)},
        **errors.documented(422),
    },
)
def neighbours(house: TheHouse, since: Since = None, until: Until = None) -> Response:
    """Whether inventory, network and billing do what is asked: what was done, retried, fell out, and fails now (F41).

    As our own records have it: no neighbour is asked. Without `since`, of the last day.
    """
    begins, ends = _period(since, until, usual=timedelta(days=1))
    found = reports.neighbours(house.engine, since=begins, until=ends)
    return answer({"since": begins, "until": ends, "items": [_neighbour_body(x) for x in found]})


def _period(since: datetime | None, until: datetime | None, *, usual: timedelta) -> tuple[datetime, datetime]:
    """The period that is asked for; one that is the wrong way round is refused."""
    ends = until or datetime.now(UTC)
    begins = since or max(ends, datetime.min.replace(tzinfo=UTC) + usual) - usual
    if begins > ends:
        message = "The period ends before it begins."
        raise broken_rules([Violation(code="PERIOD", rule="F16", field="query.since", message=message)])
    return begins, ends


def _neighbour_body(found: Found) -> dict[str, Any]:
    asked = found["done"] or found["retries"] or found["fallouts"]
    return {**found, "state": "fails" if found["failing"] else "answers" if asked else "idle"}


def _product_body(found: Found) -> dict[str, Any]:
    return {"product": found["product"], "delivered": found["delivered"], "time_to_service": _spread(found)}


def _step_body(found: Found) -> dict[str, Any]:
    counted = {name: found[name] for name in ("function", "planned", "done", "retries", "fallouts")}
    return {**counted, "duration": _spread(found), "fallout_rate": _rate(found["fallouts"], found["planned"])}


def _run_body(run: Found) -> dict[str, Any]:
    leakage = [money_body(Money(x["minor"], x["currency"])) for x in run["leakage"]]
    billed = run["billed"]
    ratio = str((Decimal(run["active"]) / billed).quantize(Decimal("0.0001"))) if billed else None
    return {**run, "ratio": ratio, "balanced": not run["by_class"], "leakage": leakage}


def _difference_body(found: Found) -> dict[str, Any]:
    names = ("id", "class", "service", "account", "product", "order", "message", "found_at", "fallout")
    accepted = {"at": found["accepted_at"], "by": found["accepted_by"], "reason": found["accepted_reason"]}
    return {
        **{name: found[name] for name in names},
        "leakage": money_body(Money(found["leakage_minor"], found["currency"])) if found["currency"] else None,
        "accepted": accepted if found["accepted_at"] else None,
    }


def _spread(found: Found) -> dict[str, float | None]:
    return {x: None if found[x] is None else float(found[x]) for x in ("mean_s", "p50_s", "p95_s")}


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
