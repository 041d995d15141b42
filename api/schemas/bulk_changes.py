"""The same change of many assets, on the wire."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.changes import ChangeIn, ModifyIn, Values, changed, modified
from api.schemas.orders import OrderIn, is_amount
from api.schemas.shape import Answer, Day, Id, Instant, Sentence, Shape, Text, Uuid
from domain.allowed import ACTION, Change
from domain.asset import Asset
from domain.order import State
from domain.violation import Violation
from models.bulk_changes import AssetSelection
from models.views import Found

AT_MOST = 10_000
"""How many assets one request changes."""

BulkChange = Literal["modify", "suspend", "resume", "disconnect"]
ItemState = State | Literal["waiting", "refused"]


class SelectionIn(Shape):
    """Assets of service profiles; without a `product` those that are in no other."""

    account: Id | None = None
    product: Text | None = None
    status: Literal["active", "suspended"] | None = None


class BulkChangeIn(Shape):
    """One change of many assets: named, or selected by account (with those below it), product and status."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "change": "suspend",
                "selection": {"account": "ACME", "product": "WIRELESS-BUNDLE", "status": "active"},
                "due_date": "2026-07-01",
                "reason": "unpaid since March",
            }
        }
    )

    change: BulkChange
    assets: Annotated[list[Uuid], Field(min_length=1, max_length=AT_MOST)] | None = None
    selection: SelectionIn | None = None
    values: Values | None = None
    due_date: Day | None = None
    requested_start: Instant | None = None
    priority: Annotated[int, Field(ge=0, le=4)] = 4
    reason: Sentence | None = None

    def wrong(self) -> Iterator[Violation]:
        """What does not make one wish."""
        if (self.assets is None) == (not self.selection or not self.selection.model_fields_set):
            message = "Name assets, or select them by account, product or status: one of both."
            yield Violation(code="STRUCTURE", rule="A19", field="selection", message=message)
        if (self.values is not None) != (self.change == "modify"):
            message = "Values are what a modification gives, and nothing else does."
            yield Violation(code="STRUCTURE", rule="A19", field="values", message=message)
        price = self.values.price if self.values else None
        if price is not None and not is_amount(price):
            message = "The price is no amount of its currency."
            yield Violation(code="PRICE", rule="F31", field="values", message=message)

    def selected(self) -> AssetSelection:
        """Which assets are meant."""
        by = self.selection or SelectionIn()
        return AssetSelection(ids=self.assets, account=by.account, product=by.product, status=by.status)

    def document(self) -> dict[str, Any]:
        """What is asked of each, as :func:`order_for` reads it."""
        said = self.model_dump(mode="json", exclude_unset=True, exclude={"change", "assets", "selection", "values"})
        return said | (self.values.model_dump(mode="json", exclude_unset=True) if self.values else {})


def order_for(change: Change, document: Mapping[str, Any], asset: Asset) -> OrderIn:
    """The order that one asset's share in a bulk change is."""
    if change is Change.MODIFY:
        return modified(ModifyIn.model_validate(document), asset)
    return changed(ChangeIn.model_validate(document), asset, ACTION[change])


class BulkChangeAnswer(Answer):
    """How far a change of many assets is; `orders` counts them by state, `ended` when none is open any more."""

    id: str
    change: BulkChange
    submitted_at: datetime
    total: int
    waiting: int
    refused: int
    orders: dict[State, int]
    ended: bool


class BulkItem(Answer):
    """One asset of it: its order with the order's state, or why it was refused."""

    asset: str
    state: ItemState
    order: str | None
    number: int | None
    refusal: str | None


class BulkItemList(Answer):
    """One page of them."""

    items: list[BulkItem]
    next_cursor: str | None


def bulk_body(found: Found, *, ended: bool) -> dict[str, Any]:
    """How far it is."""
    names = ("id", "change", "submitted_at", "total", "waiting", "refused")
    return {**{name: found[name] for name in names}, "orders": found["orders"] or {}, "ended": ended}


def item_body(found: Found) -> dict[str, Any]:
    """One asset of it."""
    return {"asset": found["id"], **{name: found[name] for name in ("state", "order", "number", "refusal")}}
