"""Reports and schedules, on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas.shape import Answer, MoneyAnswer
from domain.reconciliation import DifferenceClass


class ReconciliationRunAnswer(Answer):
    """The latest comparison of what the network runs with what billing bills.

    `ratio` is active to billed, null when nothing is billed. `balanced`: nothing differs. `complete`: every difference
    is listed, not the first thousand only. `leakage` estimates what was not billed so far, an amount for each currency.
    """

    id: str
    as_of: datetime
    finished_at: datetime
    active: int
    billed: int
    ratio: str | None
    balanced: bool
    complete: bool
    by_class: dict[DifferenceClass, int]
    leakage: list[MoneyAnswer]


class TypeTotalAnswer(Answer):
    """How many services of a billing service type are active, and how many are billed."""

    billing_service_type: str
    active: int
    billed: int


class AccountTotalAnswer(Answer):
    """How many services of an account are active, and how many are billed."""

    account: str
    active: int
    billed: int


class AcceptedAnswer(Answer):
    """Who lets a difference stand, since when, and why."""

    at: datetime
    by: str
    reason: str


class DifferenceAnswer(Answer):
    """One way in which a service differs; `fallout` is what asks a person about it."""

    id: str
    class_: DifferenceClass = Field(alias="class")
    service: str
    account: str
    product: str | None
    order: str | None
    message: str
    leakage: MoneyAnswer | None
    found_at: datetime
    fallout: str | None
    accepted: AcceptedAnswer | None


class ReconciliationAnswer(Answer):
    """The latest comparison, `run` null before the first; `items` are the differences that stand, last found first.

    `by_account` names the account that was asked for, or else the first hundred that are out of balance.
    """

    run: ReconciliationRunAnswer | None
    by_billing_service_type: list[TypeTotalAnswer]
    by_account: list[AccountTotalAnswer]
    items: list[DifferenceAnswer]
    next_cursor: str | None


class SpreadAnswer(Answer):
    """Durations in seconds: the mean, the median, and what 95 of 100 do not exceed. Null where nothing was done."""

    mean_s: float | None
    p50_s: float | None
    p95_s: float | None


class OrdersReportAnswer(Answer):
    """Orders submitted in the period; `fallout_rate` is the share of those that needed a person."""

    submitted: int
    completed: int
    with_fallout: int
    fallout_rate: float | None


class ProductReportAnswer(Answer):
    """How long a product took from submission, or its requested start, until it was delivered or ran."""

    product: str
    delivered: int
    time_to_service: SpreadAnswer


class StepReportAnswer(Answer):
    """How long steps of a function took from when they could begin, and how often they failed.

    `retries` are attempts beyond the first of each step; `fallout_rate` is fallouts for each step that was planned.
    """

    function: str
    planned: int
    done: int
    duration: SpreadAnswer
    retries: int
    fallouts: int
    fallout_rate: float | None


class FulfillmentAnswer(Answer):
    """How the orders submitted from `since` until before `until` were fulfilled."""

    since: datetime
    until: datetime
    orders: OrdersReportAnswer
    products: list[ProductReportAnswer]
    steps: list[StepReportAnswer]


class NeighbourAnswer(Answer):
    """How a neighbour has answered the orders submitted in the period, and how it does now.

    `failing`: steps of open orders whose last attempt failed and that are tried again; `last_error` is one of theirs.
    `answered_at` is when it last did what it was asked. A neighbour that nobody asked is `idle`.
    """

    system: Literal["inventory", "provisioning", "billing"]
    state: Literal["answers", "fails", "idle"]
    done: int
    retries: int
    fallouts: int
    failing: int
    failing_since: datetime | None
    last_error: str | None
    answered_at: datetime | None


class NeighboursAnswer(Answer):
    """How the neighbours answer."""

    since: datetime
    until: datetime
    items: list[NeighbourAnswer]


class PastRunAnswer(Answer):
    """A run that a schedule started."""

    scheduled_at: datetime
    started_at: datetime
    workflow_id: str
    temporal_ui: str


class ScheduleAnswer(Answer):
    """What is started again and again. `missing`: somebody has deleted it; the next worker that starts makes it anew.

    `skipped` counts starts left out because the run before had not ended, `missed` those while Temporal was away.
    """

    id: str
    name: str
    about: str
    state: Literal["active", "paused", "missing"]
    note: str | None
    every_s: float | None
    started: int
    skipped: int
    missed: int
    last_runs: list[PastRunAnswer]
    next_runs: list[datetime]


class ScheduleList(Answer):
    """Every schedule of the system."""

    items: list[ScheduleAnswer]
