"""Changes of one asset, on the wire: what is asked, as the lines of the order that it becomes."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.orders import Attributes, LineIn, OrderIn, SmallInt
from api.schemas.shape import Day, Id, Instant, MoneyIn, Sentence, Shape, Text
from domain.asset import Asset
from domain.order import ACCOUNT_FIELDS, Action
from domain.size import MAX_LINES

_HEADER = ("external_id", "requested_start", "priority", "reason")
Lines = Annotated[list[LineIn], Field(max_length=MAX_LINES)]


class ChangeIn(Shape):
    """When an asset is changed, and why. Without a `due_date` at once; with `"submit": false` it is left as a draft."""

    model_config = ConfigDict(json_schema_extra={"example": {"due_date": "2026-07-01", "reason": "on holiday"}})

    due_date: Day | None = None
    requested_start: Instant | None = None
    external_id: Text | None = None
    priority: Annotated[int, Field(ge=0, le=4)] = 4
    reason: Sentence | None = None
    submit: bool = True

    def order(self, asset: Asset, *lines: dict[str, Any]) -> OrderIn:
        """The order document of these lines, each due when the change is."""
        said = self.model_dump(mode="json", exclude_unset=True)
        due = {"due_date": said["due_date"]} if said.get("due_date") else {}
        header = {name: said[name] for name in _HEADER if name in said}
        numbered = [{"id": str(n), **due, **x} for n, x in enumerate(lines, 1)]
        return OrderIn.model_validate({"account": asset.account, **header, "lines": numbered})

    def values(self) -> dict[str, Any]:
        """What is said of the asset besides, as a line says it."""
        said = self.model_dump(mode="json", exclude_unset=True)
        return {name: value for name, value in said.items() if name not in ChangeIn.model_fields}


class Values(Shape):
    """New values of an asset: what is left out stays, and `attributes` are merged."""

    quantity: SmallInt = 1
    attributes: Attributes = Field(default_factory=dict)
    price: MoneyIn | None = None
    promotion_ref: Text | None = None
    service_id: Text | None = None
    service_point: Text | None = None
    service_account: Id | None = None
    billing_account: Id | None = None
    billing_profile: Id | None = None
    service_start: Day | None = None
    service_end: Day | None = None


class ModifyIn(ChangeIn, Values):
    """What is to be otherwise: what is left out stays, and `attributes` are merged.

    `lines` are about what the asset consists of: they add a component, or name the `asset` that they change.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"attributes": {"apn": "fast"}, "price": {"amount": "12.00", "currency": "USD"}}}
    )

    lines: Lines = Field(default_factory=list)


class MoveIn(ChangeIn):
    """Where a service goes: another service account or service point. It keeps its number and its billing."""

    model_config = ConfigDict(json_schema_extra={"example": {"service_point": "SP-2", "due_date": "2026-07-01"}})

    service_account: Id | None = None
    service_point: Text | None = None
    attributes: Attributes = Field(default_factory=dict)


class ReplaceIn(ChangeIn, Values):
    """What takes the place of an asset: a new service, with the accounts of the old one unless it says otherwise."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"product": "WIRELESS-BUNDLE", "lines": [{"id": "1.1", "product": "MAIN-LINE-1"}]}
        }
    )

    product: Text
    location: Text | None = None
    lines: Lines = Field(default_factory=list)


def modified(body: ModifyIn, asset: Asset) -> OrderIn:
    """The order that gives an asset other values."""
    return body.order(asset, {**_about(asset, Action.UPDATE), **body.values()})


def changed(body: ChangeIn, asset: Asset, action: Action) -> OrderIn:
    """The order that suspends, resumes or deletes an asset, with all that it consists of."""
    return body.order(asset, _about(asset, action))


def moved(body: MoveIn, asset: Asset) -> OrderIn:
    """The order that moves a service."""
    new = {"action": Action.MOVE_ADD, "product": asset.product, **body.values()}
    return body.order(asset, new, _about(asset, Action.MOVE_DELETE))


def replaced(body: ReplaceIn, asset: Asset) -> OrderIn:
    """The order that puts a new service in the place of an asset."""
    accounts = {name: getattr(asset, name) for name in ACCOUNT_FIELDS}
    new = {"action": Action.ADD, "replaces": asset.id, **accounts, **body.values()}
    return body.order(asset, new, _about(asset, Action.DELETE))


def _about(asset: Asset, action: Action) -> dict[str, Any]:
    return {"action": action, "asset": asset.id, "product": asset.product}
