"""Catalogs on the wire: as published, as edited, and as read."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints

from api.schemas.problem import ViolationAnswer
from api.schemas.shape import Answer, Id, Instant, MoneyAnswer, MoneyIn, Sentence, Shape, Text
from domain.catalog import BillingPhase, BillingType, ChargeTrigger, DeliveryKind, Kind, Lifecycle, Origin
from domain.catalog_document import billing_type_named

MAX_PRODUCTS = 10_000
MAX_COMPONENTS = 1_000

Count = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Months = Annotated[int, Field(ge=1, le=1_200)]
BillingTypeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_ ]{1,40}$")]
"""Any word here; one that names no billing type breaks a rule (B04)."""


def _billing_type(value: Any) -> Any:  # noqa: ANN401 - whatever was sent
    return (billing_type_named(value) or value) if isinstance(value, str) else value


AskedBillingType = Annotated[BillingType, BeforeValidator(_billing_type)]
"""A billing type, also as people write it: `Service Bundle`."""


class ComponentIn(Shape):
    """A product's place inside another; `group` is the heading it is shown under."""

    product: Id
    min: Count = 0
    max: Count = 1
    default: Count = 0
    group: Text | None = None


class ServiceChargeIn(Shape):
    """The Item that a change of the service costs (B26)."""

    trigger: Annotated[ChargeTrigger, Field(strict=False)]
    product: Id


class _Fields(Shape):
    """What publishing and editing have in common."""

    billing_type: BillingTypeName | None = Field(None, examples=list(BillingType))
    billing_service_type: Text | None = None
    service_instance: StrictBool = False
    track_as_asset: StrictBool = True
    delivery_kind: Annotated[DeliveryKind, Field(strict=False)] = DeliveryKind.NONE
    billing_phase: Annotated[BillingPhase, Field(strict=False)] = BillingPhase.SINGLE
    lifecycle: Annotated[Lifecycle, Field(strict=False)] = Lifecycle.ACTIVE
    components: Annotated[list[ComponentIn], Field(max_length=MAX_COMPONENTS)] = Field(default_factory=list)
    price: MoneyIn | None = None
    pool: Text | None = None
    sku: Text | None = None
    service_type: Text | None = None
    requires_truck_roll: StrictBool = False
    co_delivered_with: Annotated[list[Id], Field(max_length=MAX_COMPONENTS)] = Field(default_factory=list)
    revenue_segment: Text | None = None
    service_charges: Annotated[list[ServiceChargeIn], Field(max_length=100)] = Field(default_factory=list)
    duration_months: Months | None = None
    needs_approval: StrictBool = False
    approval_above_percent: Annotated[int, Field(ge=0, le=1_000)] | None = None
    description: Sentence | None = None
    supersedes: Id | None = None

    def given(self) -> dict[str, Any]:
        """The fields that were sent, as a document holds them."""
        return self.model_dump(mode="json", exclude_unset=True)


class ProductIn(_Fields):
    """One product; without a billing type it is never billed."""

    code: Id
    name: Text
    origin: Annotated[Origin, Field(strict=False)] = Origin.CRM
    synced_at: Instant | None = None


class CatalogIn(Shape):
    """A whole catalog. It may also be sent as YAML."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "products": [
                    {
                        "code": "SMS",
                        "name": "Text messaging",
                        "billing_type": "service_bundle",
                        "billing_service_type": "/service/telco/gsm/sms",
                        "delivery_kind": "logical",
                        "billing_phase": "two",
                        "components": [
                            {"product": "SMS-BASIC", "min": 0, "max": 1, "default": 1, "group": "Rate plans"},
                            {"product": "SMS-UNLIMITED", "group": "Rate plans"},
                        ],
                    },
                    {
                        "code": "SMS-BASIC",
                        "name": "SMS Basic",
                        "billing_type": "subscription",
                        "billing_service_type": "/service/telco/gsm/sms",
                        "price": {"amount": "4.99", "currency": "USD"},
                    },
                    {
                        "code": "SMS-UNLIMITED",
                        "name": "SMS Unlimited",
                        "billing_type": "subscription",
                        "billing_service_type": "/service/telco/gsm/sms",
                        "price": {"amount": "9.99", "currency": "USD"},
                    },
                ]
            }
        }
    )

    products: Annotated[list[ProductIn], Field(max_length=MAX_PRODUCTS)]


class ProductEdit(_Fields):
    """The fields to change; `null` clears one that may be empty. What only the billing system may change is refused."""

    model_config = ConfigDict(json_schema_extra={"example": {"description": "One box of 10 GB", "lifecycle": "active"}})

    name: Text = Field(default_factory=str)


class ComponentAnswer(Answer):
    """A component with what decides about it: its billing type and billing service type."""

    product: str
    name: str
    kind: Kind
    billing_type: BillingType | None
    billing_service_type: str | None
    min: int
    max: int
    default: int


class ComponentGroup(Answer):
    """The components under one heading; one without a heading stands under its own name."""

    group: str
    components: list[ComponentAnswer]


class ComponentGroups(Answer):
    """What a product includes."""

    items: list[ComponentGroup]
    next_cursor: None


class Components(Answer):
    """Components of a product."""

    items: list[ComponentAnswer]
    next_cursor: None


class PlacedAnswer(Answer):
    """A product's place inside another."""

    product: str
    min: int
    max: int
    default: int
    group: str | None


class ServiceChargeAnswer(Answer):
    """The Item that a change of the service costs."""

    trigger: ChargeTrigger
    product: str


class ProductAnswer(Answer):
    """A product, with what follows from its fields: its `kind`, and whether customers can choose components of it."""

    code: str
    name: str
    kind: Kind
    customizable: bool
    billing_type: BillingType | None
    billing_service_type: str | None
    origin: Origin
    service_instance: bool
    track_as_asset: bool
    delivery_kind: DeliveryKind
    billing_phase: BillingPhase
    lifecycle: Lifecycle
    components: list[PlacedAnswer]
    price: MoneyAnswer | None
    pool: str | None
    sku: str | None
    service_type: str | None
    requires_truck_roll: bool
    co_delivered_with: list[str]
    revenue_segment: str | None
    service_charges: list[ServiceChargeAnswer]
    duration_months: int | None
    needs_approval: bool
    approval_above_percent: int | None
    description: str | None
    supersedes: str | None
    synced_at: datetime | None


class ProductList(Answer):
    """One page of products, in the order of the document."""

    items: list[ProductAnswer]
    next_cursor: str | None


class CatalogAnswer(Answer):
    """A published version; its products are what `PUT` takes."""

    version: int
    source: str
    published_at: datetime
    products: list[dict[str, Any]]


class PublishedAnswer(Answer):
    """The version that holds what was sent, and advice."""

    version: int
    warnings: list[ViolationAnswer]
