"""Advice on an order: what may be submitted, and is probably not meant."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from domain.catalog import Catalog, Kind
from domain.change import is_same
from domain.order import Action, Order, OrderLine
from domain.violation import Violation


def check(
    order: Order, catalog: Catalog, *, now: datetime, sent: Order | None = None, earlier: Order | None = None
) -> Iterator[Violation]:
    """Every warning: of the order, then line by line.

    ``sent`` is the order as it came, ``earlier`` the account's order with the same external id.
    """
    if earlier is not None:
        yield from _identity(is_same=is_same(earlier, sent or order))
    yield from _dates(order, now)
    lines = Counter((x.parent, x.product) for x in order.lines)
    for line in order.lines:
        yield from _defaults(line, catalog, lines)
        yield from _dates_of(line)


def _identity(*, is_same: bool) -> Iterator[Violation]:
    """An external id is one order's (W7)."""
    if is_same:
        message = "The account has this order already: submitted again, it is answered with that one."
        yield _warning("EXTERNAL_ID", "W7", message, "external_id")
    else:
        message = "The account has another order with this external id: submitted, this one is refused."
        yield _warning("EXTERNAL_ID", "W7", message, "external_id")


def _dates(order: Order, now: datetime) -> Iterator[Violation]:
    """Nothing begins or ends in the past (C15)."""
    start, end = order.requested_start, order.requested_completion
    if start is not None and start < now:
        yield _warning("START_PAST", "C15", "It lies in the past: the order begins at once.", "requested_start")
    if end is not None and end <= max(now, start or now):
        message = "It lies before the order can begin: nothing can be completed by then."
        yield _warning("COMPLETION_PAST", "C15", message, "requested_completion")


def _defaults(line: OrderLine, catalog: Catalog, lines: Counter[tuple[str | None, str]]) -> Iterator[Violation]:
    """What is usually ordered with a product is ordered, or another of its group, or left out on purpose (B01)."""
    product = catalog.get(line.product)
    if product is None or line.action is not Action.ADD or product.kind is Kind.SIMPLE_SERVICE_BUNDLE:
        return
    chosen = {x.group for x in product.components if x.group and lines[line.id, x.product]}
    for component in product.components:
        ordered = lines[line.id, component.product]
        if component.min <= ordered < component.default and component.group not in chosen:
            message = (
                f"Its component {component.product} is usually ordered with it: add a line for it if it is wanted."
            )
            yield _warning("DEFAULT_LEFT_OUT", "B01", message, "lines", line)


def _dates_of(line: OrderLine) -> Iterator[Violation]:
    """An order begins as a whole; a service runs and is billed from its activation: no other date moves that (5.3)."""
    is_given = line.action is Action.ADD or "service_start" in (line.changes or ())
    if line.service_start is not None and is_given:
        message = "It is kept and shown, and nothing is started or billed by it: see the order's requested_start."
        yield _warning("DATE_NOT_USED", "C15", message, "service_start", line)


def _warning(code: str, rule: str, message: str, field: str, line: OrderLine | None = None) -> Violation:
    return Violation(code=code, rule=rule, message=message, line=line.id if line else None, field=field)
