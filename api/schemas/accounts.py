"""Accounts, billing profiles, installed assets and the views of a customer, on the wire."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.fallouts import FalloutAnswer
from api.schemas.orders import OrderSummary
from api.schemas.shape import Answer, Id, Shape, Text
from domain.allowed import Change
from domain.order import Action

AccountClass = Literal["customer", "billing", "service"]


class AccountIn(Shape):
    """An account; its parent is an older account."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": "ACME-BA", "name": "Acme", "class": "billing", "parent": "ACME"}}
    )

    id: Id
    name: Text
    class_: AccountClass = Field(alias="class")
    parent: Id | None = None


class ProfileIn(Shape):
    """A billing profile of the account it is sent to."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": "ACME-BP"}})

    id: Id


class AccountAnswer(Answer):
    """An account and the billing profiles it owns."""

    id: str
    name: str
    class_: AccountClass = Field(alias="class")
    parent: str | None
    billing_profiles: list[str]


class ProfileAnswer(Answer):
    """A billing profile and the account that owns it."""

    id: str
    account: str


class PendingChangeAnswer(Answer):
    """What an open order will do to an asset, and when it is due."""

    order: str
    number: int
    line: str
    action: Action
    due: datetime


class Standing(Answer):
    """What may be asked of an asset at `POST /v1/assets/{asset_id}/…` now, and what open orders ask of it already.

    `replace` may be asked of what stands alone, or at the top of a bundle, and may be disconnected.
    """

    asset_id: str | None
    allowed_actions: list[Change]
    pending_changes: list[PendingChangeAnswer]


class AssetSummary(Standing):
    """An installed asset; `asset_id` is its `id`."""

    id: str
    product: str
    catalog_version: int
    status: Literal["active", "suspended", "inactive"]
    account: str
    service_account: str
    billing_account: str
    billing_profile: str
    service_id: str | None
    service_point: str | None
    quantity: int
    attributes: dict[str, Any]
    billing_type: str | None
    service_start: datetime
    service_end: datetime | None
    root: str
    parent: str | None


class AssetList(Answer):
    """One page of assets, newest first."""

    items: list[AssetSummary]
    next_cursor: str | None


class CrossReferenceAnswer(Answer):
    """What billing calls the asset."""

    kind: Literal["service_instance", "purchased_product", "discount"]
    billing_id: str
    valid_from: datetime
    valid_to: datetime | None


class OrderedLine(Answer):
    """An order line about the asset."""

    order: str
    number: int
    line: str
    action: str
    state: str
    submitted_at: datetime


class AssetAnswer(AssetSummary):
    """An asset with everything about it: billing ids, contract lines, order history, and what stands below it."""

    billing: list[CrossReferenceAnswer]
    contracts: list[dict[str, Any]]
    order_history: list[OrderedLine]
    children: list["AssetAnswer"]


class ServiceItem(Standing):
    """A product and how far it has come for the customer: `asset`, which is `asset_id`, once there is one."""

    product: str
    stage: Literal["quoted", "ordered", "provisioned"]
    quantity: int
    asset: str | None
    status: str | None
    service_id: str | None
    order: str | None
    line: str | None


class PortalAnswer(Answer):
    """Everything about a customer on one page; each section holds the newest 200 at most."""

    account: AccountAnswer
    service_items: list[ServiceItem]
    billing_items: list[AssetSummary]
    quotes: list[dict[str, Any]]
    orders: list[OrderSummary]
    trouble_tickets: list[FalloutAnswer]
