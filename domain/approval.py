"""Which orders somebody has to approve before they are carried out, and why (F31)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.catalog import Catalog, Product
from domain.order import Order, OrderLine
from domain.violation import Violation

PRODUCT = "APPROVAL_PRODUCT"
"""The catalog says that every order of the product is approved."""
PRICE = "APPROVAL_PRICE"
"""The line's own price is further from the catalog's than the product allows."""


_SAID = 10


class Verdict(StrEnum):
    """What somebody says to an order that needs to be approved."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A person's verdict on an order: ``approve`` or ``reject``; who, and why."""

    actor: str = ""
    reason: str = ""
    decision: str = Verdict.APPROVE


def needed(order: Order, catalog: Catalog) -> tuple[Violation, ...]:
    """What has to be approved, line by line; nothing when the order may be carried out at once."""
    if not catalog.asks_approval:
        return ()
    return tuple(x for line in order.lines if (product := catalog.get(line.product)) for x in _asked(line, product))


def approvals(order: Order, catalog: Catalog) -> tuple[str, ...]:
    """The same as sentences, the first of them, as the order waits for them and people read them."""
    said = [f"line {x.line}: {x.message}" for x in needed(order, catalog)]
    more = len(said) - _SAID
    return (*said[:_SAID], *([f"and {more} more"] if more > 0 else []))


def _asked(line: OrderLine, product: Product) -> Iterator[Violation]:
    if product.needs_approval:
        yield _needs(PRODUCT, line, f"{line.product} is approved before it is carried out.")
    allowed = product.approval_above_percent
    if allowed is None or line.price is None or line.price == product.price:
        return
    if product.price is None or product.price.minor == 0:
        yield _needs(PRICE, line, f"{line.product} for {_amount(line)}: the catalog has no price to compare it with.")
    elif 100 * abs(line.price.minor - product.price.minor) > allowed * abs(product.price.minor):
        off = round(100 * abs(line.price.minor - product.price.minor) / abs(product.price.minor))
        way = "below" if line.price.minor < product.price.minor else "above"
        message = (
            f"{line.product} for {_amount(line)}: {off} % {way} the catalog's {product.price}, {allowed} % are free."
        )
        yield _needs(PRICE, line, message)


def _amount(line: OrderLine) -> str:
    assert line.price is not None
    return f"{line.price} {line.price.currency}"


def _needs(code: str, line: OrderLine, message: str) -> Violation:
    return Violation(code=code, rule="F31", message=message, line=line.id)
