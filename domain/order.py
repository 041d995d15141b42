"""Orders and their lines: what was asked for, and the states an order can be in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from uuid import NAMESPACE_OID, UUID, uuid5

from domain.catalog import ChargeTrigger
from domain.money import Money

Scalar = str | int | bool | None


class Action(StrEnum):
    """What a line asks for (2.2); ``none`` is a context line that changes nothing."""

    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"
    SUSPEND = "suspend"
    RESUME = "resume"
    MOVE_ADD = "move_add"
    MOVE_DELETE = "move_delete"
    NONE = "none"


class State(StrEnum):
    """States of orders and lines, by the names of TMF622 (2.3, 2.4); a line is never ``partial``."""

    DRAFT = "draft"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"
    IN_PROGRESS = "inProgress"
    HELD = "held"
    ASSESSING_CANCELLATION = "assessingCancellation"
    PENDING_CANCELLATION = "pendingCancellation"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL = "partial"


FINAL = frozenset({State.REJECTED, State.CANCELLED, State.COMPLETED, State.FAILED, State.PARTIAL})

NEXT: Mapping[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.ACKNOWLEDGED}),
    State.ACKNOWLEDGED: frozenset(
        {State.IN_PROGRESS, State.REJECTED, State.PENDING, State.ASSESSING_CANCELLATION, State.CANCELLED}
    ),
    State.PENDING: frozenset({State.IN_PROGRESS, State.REJECTED, State.ASSESSING_CANCELLATION}),
    State.IN_PROGRESS: frozenset(
        {State.PENDING, State.HELD, State.ASSESSING_CANCELLATION, State.COMPLETED, State.FAILED, State.PARTIAL}
    ),
    # A worker that dies may take with it that the order was held: then it simply goes on, and ends.
    State.HELD: frozenset(
        {State.IN_PROGRESS, State.PENDING, State.ASSESSING_CANCELLATION, State.FAILED, State.PARTIAL, State.COMPLETED}
    ),
    State.ASSESSING_CANCELLATION: frozenset(
        {State.ACKNOWLEDGED, State.PENDING, State.IN_PROGRESS, State.HELD, State.PENDING_CANCELLATION}
    ),
    State.PENDING_CANCELLATION: frozenset({State.CANCELLED}),
} | {state: frozenset() for state in FINAL}
"""What may follow what, for orders and lines alike (2.3, 2.4)."""


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """One line, flattened: ``parent`` and ``root`` are line ids; blank accounts are filled by :func:`with_defaults`.

    ``root`` is the top line of the bundle it is carried out with: that of its own tree, or what it is related to. What
    lines about assets leave blank is filled from the asset (:func:`domain.change.completed`).
    """

    id: str
    root: str
    product: str = ""
    parent: str | None = None
    action: Action = Action.ADD
    quantity: int = 1
    asset: str | None = None
    service_account: str | None = None
    billing_account: str | None = None
    billing_profile: str | None = None
    service_id: str | None = None
    service_point: str | None = None
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    price: Money | None = None
    promotion_ref: str | None = None
    location: str | None = None
    """The stock location a physical product is taken from; the default location when blank."""
    due_date: date | None = None
    service_start: date | None = None
    service_end: date | None = None
    changes: tuple[str, ...] | None = None
    """The fields of :data:`CHANGEABLE` that an update, or a move, gives a new value: in the end, those that differ."""
    related_line: str | None = None
    """The other half of a move; of a service charge, the line of the service whose change it is for (B26)."""
    replaces: str | None = None
    """The asset that a new product takes the place of: deleted in the same order, once the new one is there (B69)."""
    version: int | None = None
    """The catalog version that the line's asset was made from, and is read with (B62)."""
    service: str | None = None
    """The asset of the service that the line's asset belongs to, when the order has no line of it above."""
    network: str | None = None
    """The asset under which the network runs what the line's asset is, when that is not its own."""

    @property
    def is_charge(self) -> bool:
        """Whether it is what a change costs: made with the order, charged once, and no asset ever (B26).

        It stands under the line that it is for, and is named after what happens to that.
        """
        if self.action is not Action.ADD or self.related_line is None or self.related_line != self.parent:
            return False
        return self.id.rstrip("-") in {f"{self.parent}.{x}" for x in ChargeTrigger}


ACCOUNT_FIELDS = ("billing_account", "service_account", "billing_profile")

CHANGEABLE = (
    *ACCOUNT_FIELDS, "service_id", "service_point", "quantity", "attributes", "price", "promotion_ref", "service_start",
    "service_end",
)  # fmt: skip
"""The fields of an asset that an update may give a new value (B54, B56, C23)."""

TECHNICAL = frozenset({"service_id", "service_point", "quantity", "attributes"})
"""Those the network is told of."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """The whole desired order of one revision: immutable once submitted, lines in document order, parents first."""

    account: str
    lines: tuple[OrderLine, ...]
    external_id: str | None = None
    requested_start: datetime | None = None
    requested_completion: datetime | None = None
    priority: int = 4
    reason: str | None = None
    service_account: str | None = None
    billing_account: str | None = None
    billing_profile: str | None = None
    as_sent: str | None = None
    """The digest of the order as it came, where lines about assets were filled in since: to know it again."""

    @cached_property
    def by_id(self) -> Mapping[str, OrderLine]:
        """The lines by id."""
        return {line.id: line for line in self.lines}

    @cached_property
    def _children(self) -> Mapping[str | None, tuple[OrderLine, ...]]:
        found: dict[str | None, list[OrderLine]] = {}
        for line in self.lines:
            found.setdefault(line.parent, []).append(line)
        return {parent: tuple(lines) for parent, lines in found.items()}

    @property
    def roots(self) -> tuple[OrderLine, ...]:
        """The lines without a parent."""
        return self._children.get(None, ())

    @cached_property
    def bundles(self) -> Mapping[str, tuple[OrderLine, ...]]:
        """The lines that are carried out together, by the id of their root."""
        found: dict[str, list[OrderLine]] = {}
        for line in self.lines:
            found.setdefault(line.root, []).append(line)
        return {root: tuple(lines) for root, lines in found.items()}

    @property
    def is_about_assets(self) -> bool:
        """Whether anything of it is about what is installed, rather than new."""
        return any(x.asset or x.action not in (Action.ADD, Action.NONE) for x in self.lines)

    def children(self, line: OrderLine) -> tuple[OrderLine, ...]:
        """The lines directly below a line."""
        return self._children.get(line.id, ())

    def descendants(self, line: OrderLine) -> Iterator[OrderLine]:
        """Every line below a line, parents first."""
        below = list(reversed(self.children(line)))
        while below:
            yield (child := below.pop())
            below.extend(reversed(self.children(child)))

    def ancestors(self, line: OrderLine) -> Iterator[OrderLine]:
        """The lines above a line, nearest first."""
        while line.parent is not None:
            line = self.by_id[line.parent]
            yield line


def with_defaults(order: Order) -> Order:
    """Fill each line's blank accounts from its root line, else from the order's header (B23)."""

    def filled(line: OrderLine) -> OrderLine:
        root = order.by_id[line.root]
        blanks = {
            name: getattr(root, name) or getattr(order, name) for name in ACCOUNT_FIELDS if getattr(line, name) is None
        }
        return replace(line, **blanks) if blanks else line

    return replace(order, lines=tuple(filled(line) for line in order.lines))


def asset_id(order_id: str, line: OrderLine) -> str:
    """The asset a line is about: the one it names, or for a new product one that follows from order and line alone.

    It stays the same through revisions of the order, because lines keep their ids (2.1).
    """
    return line.asset or _new_asset_id(order_id, line.id)


@lru_cache(maxsize=10_000)
def _new_asset_id(order_id: str, line_id: str) -> str:
    return str(uuid5(_ASSETS, f"{UUID(order_id)}/{line_id}"))


_ASSETS = uuid5(NAMESPACE_OID, "orderloom.asset")


def key(order_id: str, subject: str, operation: str, generation: int) -> str:
    """The business identity of one effect: what a neighbour remembers so that twice is once.

    ``generation`` changes only when an operator deliberately has it done anew after a refusal.
    """
    return f"{order_id}:{subject}:{operation}:{generation}"


def roll_up(states: frozenset[State], *, cancelled: bool = False) -> State:
    """An order's final state from the final states of its lines (2.3).

    Completed and cancelled lines with none failed make a completed order; all cancelled make a cancelled one. An order
    that was ``cancelled`` as a whole is that, whatever had failed before: nothing of it was completed.
    """
    if cancelled or states <= {State.CANCELLED}:
        return State.CANCELLED
    if State.FAILED not in states:
        return State.COMPLETED
    return State.PARTIAL if State.COMPLETED in states else State.FAILED


def derived_rollup(states: frozenset[State]) -> str:
    """The read-only roll-up shown beside the state (2.8): ``completed``, ``attention`` or ``inProgress``."""
    if states <= {State.COMPLETED}:
        return "completed"
    return "attention" if states & {State.HELD, State.FAILED} else "inProgress"
