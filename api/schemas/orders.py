"""Orders on the wire: as submitted, and as read."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt

from api.schemas.problem import ViolationAnswer
from api.schemas.shape import Answer, Day, Id, Instant, MoneyAnswer, MoneyIn, Sentence, Shape, Text, Uuid, closed
from domain.money import Money
from domain.order import CHANGEABLE, Action, Order, OrderLine, State
from domain.size import MAX_LINES

SmallInt = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Value = Sentence | StrictBool | Annotated[StrictInt, Field(ge=-(2**53), le=2**53)] | None
Attributes = Annotated[dict[Text, Value], Field(max_length=100, json_schema_extra=closed)]


class LineIn(Shape):
    """One line, with the lines below it. Blank accounts are those of the root line, else of the order (B23).

    Change actions name the `asset` they are about; what they leave out stays as the asset has it, and what reaches all
    of a service needs no line for each part. A move is two lines; `related_line` says which belong together where that
    is not clear. `replaces` names the asset that a new product takes the place of. Only `update` and `move_add` give an
    asset new values; a bundle, with both halves of a move, is due on one day. A `price` stands for the product's own;
    the order may need to be approved for it (F31).
    """

    id: Id
    product: Text | None = None
    action: Annotated[Action, Field(strict=False)] = Action.ADD
    quantity: SmallInt = 1
    asset: Uuid | None = None
    related_line: Id | None = None
    replaces: Uuid | None = None
    service_account: Id | None = None
    billing_account: Id | None = None
    billing_profile: Id | None = None
    service_id: Text | None = None
    service_point: Text | None = None
    location: Text | None = None
    promotion_ref: Text | None = None
    attributes: Attributes = Field(default_factory=dict)
    price: MoneyIn | None = None
    due_date: Day | None = None
    service_start: Day | None = None
    service_end: Day | None = None
    lines: Annotated[list["LineIn"], Field(max_length=MAX_LINES)] = Field(default_factory=list)

    def changes(self, action: Action, before: Collection[str] = ()) -> tuple[str, ...] | None:
        """What a line about an asset gives a value: all that it names, or has named ``before``."""
        if action is Action.ADD:
            return None
        named = tuple(x for x in CHANGEABLE if x in self.model_fields_set or x in before)
        return named if action in (Action.UPDATE, Action.MOVE_ADD) else named or None


HEADER = (
    "external_id", "account", "requested_start", "requested_completion", "priority", "reason",
    "service_account", "billing_account", "billing_profile",
)  # fmt: skip
_LINE = (
    "id", "action", "quantity", "asset", "related_line", "replaces",
    "service_account", "billing_account", "billing_profile",
    "service_id", "service_point", "location", "promotion_ref", "attributes", "due_date", "service_start",
    "service_end",
)  # fmt: skip


class OrderIn(Shape):
    """The whole desired order. An `external_id` is unique per account: sent again, it answers the same order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "external_id": "crm-1001",
                "account": "ACME",
                "requested_start": "2026-03-01T00:00:00Z",
                "priority": 4,
                "lines": [
                    {
                        "id": "1",
                        "action": "add",
                        "product": "WIRELESS-BUNDLE",
                        "quantity": 1,
                        "service_account": "ACME-SA",
                        "billing_account": "ACME-BA",
                        "billing_profile": "ACME-BP",
                        "service_id": "+1-555-0100",
                        "attributes": {"apn": "internet"},
                        "lines": [
                            {"id": "1.1", "action": "add", "product": "MAIN-LINE-1"},
                            {
                                "id": "1.2",
                                "action": "add",
                                "product": "SMS",
                                "lines": [{"id": "1.2.1", "action": "add", "product": "SMS-BASIC"}],
                            },
                        ],
                    }
                ],
            }
        }
    )

    account: Id
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=MAX_LINES)]
    external_id: Text | None = None
    requested_start: Instant | None = None
    requested_completion: Instant | None = None
    priority: Annotated[int, Field(ge=0, le=4)] = 4
    reason: Sentence | None = None
    service_account: Id | None = None
    billing_account: Id | None = None
    billing_profile: Id | None = None

    def order(self) -> Order:
        """The order in the words of the domain: lines flattened, parents first; what is blank is not filled yet.

        :class:`NoAmount` when a line's price is none.
        """
        header = {name: getattr(self, name) for name in HEADER}
        return Order(**header, lines=tuple(line_of(*x) for x in flat(self.lines)))


class NewOrderIn(OrderIn):
    """The same, to be submitted or, with `"submit": false`, kept as a draft that can be changed."""

    submit: bool = True


def flat(
    lines: Sequence[LineIn], parent: str | None = None, root: str | None = None
) -> Iterator[tuple[LineIn, str | None, str]]:
    """Each line with its parent's id and its root's, parents first."""
    for line in lines:
        top = root or line.id
        yield line, parent, top
        yield from flat(line.lines, line.id, top)


def line_of(line: LineIn, parent: str | None, root: str) -> OrderLine:
    """A line in the words of the domain."""
    fields: dict[str, Any] = {name: getattr(line, name) for name in _LINE}
    return OrderLine(
        **fields,
        product=line.product or "",
        price=_money(line),
        parent=parent,
        root=root,
        changes=line.changes(line.action),
    )


def said(line: LineIn) -> dict[str, Any]:
    """The fields that a line names, in the words of the domain."""
    whole = line_of(line, None, line.id)
    return {name: getattr(whole, name) for name in (*_LINE, "product", "price") if name in line.model_fields_set}


class NoAmount(ValueError):  # noqa: N818 - said like a broken rule
    """A line's price is no amount of its currency."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


def is_amount(price: MoneyIn) -> bool:
    """Whether a price is an amount of its currency."""
    try:
        Money.parse(price.amount, price.currency)
    except ValueError:
        return False
    return True


def _money(line: LineIn) -> Money | None:
    if line.price is None:
        return None
    if not is_amount(line.price):
        raise NoAmount(line.id)
    return Money.parse(line.price.amount, line.price.currency)


class BillingAnswer(Answer):
    """How a billed line stands in billing; `state` is `none` until billing knows it."""

    phase: Literal["single", "two"]
    state: str
    service_instance: str | None
    purchased_product: str | None


class LineAnswer(Answer):
    """One line as it stands; `step` is what it is at or waits for, `changes` what it gives a new value."""

    id: str
    parent: str | None
    root: str
    product: str | None
    action: Action
    changes: list[str] | None
    quantity: int
    state: State
    step: str | None
    asset: str | None
    related_line: str | None
    replaces: str | None
    service_account: str | None
    billing_account: str | None
    billing_profile: str | None
    service_id: str | None
    service_point: str | None
    attributes: dict[str, Any]
    price: MoneyAnswer | None
    promotion_ref: str | None
    location: str | None
    due_date: date | None
    service_start: date | None
    service_end: date | None
    actual_delivery_at: datetime | None
    billing: BillingAnswer | None
    fallout: str | None


class RunAnswer(Answer):
    """The order's workflow run, and where to look at it."""

    workflow_id: str
    run_id: str | None
    status: Literal["starting", "running", "completed"]
    temporal_ui: str


class OrderSummary(Answer):
    """An order without its lines; `reason` says why it is in its state where that does not speak for itself.

    A draft has neither number nor `submitted_at`: it gets both when it is submitted. `actions` are those of its lines.
    """

    id: str
    number: int | None
    external_id: str | None
    account: str
    actions: list[Action]
    revision: int
    state: State
    reason: str | None
    requested_start: datetime | None
    rollup: Literal["completed", "attention", "inProgress"]
    submitted_at: datetime | None
    completed_at: datetime | None


class OrderAnswer(OrderSummary):
    """An order as it stands; a draft has no run, and its lines are as they were written."""

    lines: list[LineAnswer]
    run: RunAnswer | None


class OrderList(Answer):
    """One page of orders, newest first."""

    items: list[OrderSummary]
    next_cursor: str | None


class PlannedStep(Answer):
    """One step of a plan."""

    id: str
    function: str
    system: str
    subject: str
    root: str
    lines: list[str]
    depends_on: list[str]
    no_return: bool


class StepAnswer(PlannedStep):
    """One step of a plan as it stands; `no_return` marks the points of no return."""

    state: str
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    actual_at: datetime | None
    last_error: str | None


class PlanAnswer(Answer):
    """The plan of an order; empty until the run has made it."""

    order: str
    revision: int
    steps: list[StepAnswer]


class EventAnswer(Answer):
    """One event of an order's own log; `seq` has no gaps."""

    seq: int
    at: datetime
    type: str
    body: dict[str, Any]


class EventList(Answer):
    """One page of an order's event log, oldest first."""

    items: list[EventAnswer]
    next_cursor: str | None


class PreviewLine(Answer):
    """A line with its defaults filled; `service` is the line of the service bundle it belongs to."""

    id: str
    parent: str | None
    root: str
    product: str
    kind: str | None
    service: str | None
    action: Action
    quantity: int
    service_account: str | None
    billing_account: str | None
    billing_profile: str | None


class PreviewPurchase(Answer):
    """One product a billing call purchases."""

    line: str
    product: str
    quantity: int


class PreviewCall(Answer):
    """One call to billing: for a service instance or for what is billed alone, and what is purchased with it."""

    step: str
    operation: str
    line: str
    account: str | None
    service_instance: bool
    purchases: list[PreviewPurchase]


class PreviewReservation(Answer):
    """What one line takes from inventory: units of a stock item, or values of a pool."""

    step: str
    line: str
    quantity: int
    sku: str | None
    location: str | None
    pool: str | None
    wanted: str | None


class PreviewAnswer(Answer):
    """What would happen; plan, billing calls and reservations are empty while rules are broken (but for `SIZE`)."""

    account: str
    catalog_version: int
    lines: list[PreviewLine]
    plan: list[PlannedStep]
    billing: list[PreviewCall]
    reservations: list[PreviewReservation]
    violations: list[ViolationAnswer]
    warnings: list[ViolationAnswer]
