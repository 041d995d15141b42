"""What the billing system says of its own products when the catalog is synchronized with it (B18, B32, B62)."""

from dataclasses import dataclass

from domain.catalog import BillingType
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingProduct:
    """One product as billing knows it; ``events`` are the codes of the Event products it rates."""

    code: str
    name: str
    billing_type: BillingType
    billing_service_type: str
    price: Money | None = None
    events: tuple[str, ...] = ()
