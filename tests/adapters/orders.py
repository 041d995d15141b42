"""What the tests of billing order, and how they read what it answers and holds."""

from dataclasses import replace

from domain.billing import Billed, PurchaseOrder, ServiceOrder
from domain.catalog import BillingType
from domain.money import Money
from domain.neighbour import Refused
from tests.adapters.conftest import ACCOUNT, Neighbours


def purchase_of(
    asset: str, product: str, billing_type: BillingType = BillingType.SUBSCRIPTION, quantity: int = 1
) -> PurchaseOrder:
    return PurchaseOrder(
        asset=asset,
        line=f"line of {asset}",
        product=product,
        billing_type=billing_type,
        quantity=quantity,
        price=Money(1_000, "USD"),
    )


def order_of(name: str, *purchases: PurchaseOrder) -> ServiceOrder:
    return ServiceOrder(
        account=ACCOUNT,
        profile="ACME-BP",
        asset=name,
        line="1",
        billing_service_type="/service/telco/gsm",
        service_id="+1-555-0100",
        purchases=purchases,
    )


def alone(name: str, *purchases: PurchaseOrder, holder: str | None = None) -> ServiceOrder:
    return replace(order_of(name, *purchases), billing_service_type=None, holder=holder)


def answered(answer: object) -> Billed:
    assert isinstance(answer, Billed), answer
    return answer


def code_of(answer: object) -> str:
    return answer.code if isinstance(answer, Refused) else ""


def charges_of(neighbours: Neighbours, name: str) -> list[tuple[str, int, str]]:
    """Line, amount and balance group of what was charged for the purchases of a test."""
    rows = neighbours.rows(
        "SELECT p.asset, c.amount_minor, c.balance_group FROM billing.charges c JOIN billing.purchases p"
        " ON p.id = c.purchase WHERE p.asset LIKE :assets ORDER BY p.asset",
        assets=f"{name}%",
    )
    return [(row.asset, row.amount_minor, row.balance_group) for row in rows]
