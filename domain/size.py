"""How large an order may be: what one run can carry to its end, also when much of it goes wrong (W1)."""

from domain.catalog import Catalog
from domain.decomposition import decompose
from domain.facts import Facts
from domain.order import Order
from domain.violation import Violation

MAX_LINES = 2_000
"""How many lines an order has at most."""

MAX_STEPS = 1_000
"""How many steps its plan has at most."""

STEPS_PER_LINE = 7
"""More there never are for each line: its bill, its delivery, its account's and, of a root, four for the bundle."""


def too_many_lines(order: Order) -> tuple[Violation, ...]:
    """What is broken by the number of lines: asked before anything else looks at them."""
    if len(order.lines) <= MAX_LINES:
        return ()
    return (_violation(f"An order has at most {MAX_LINES:,} lines: send it as several orders."),)


def too_many_steps(order: Order, catalog: Catalog, facts: Facts) -> tuple[Violation, ...]:
    """What is broken by the plan of an order that breaks no other rule; decomposed only where it may be too long.

    Asked when an order is taken, never again: an order that was taken is carried out, whatever becomes of the limit.
    """
    if len(order.lines) * STEPS_PER_LINE <= MAX_STEPS:
        return ()
    plan = decompose(order, catalog, versions=facts.catalogs, unsynced_accounts=facts.unsynced_accounts)
    steps = len(plan.items)
    if steps <= MAX_STEPS:
        return ()
    return (_violation(f"It takes {steps:,} steps, and one order can have {MAX_STEPS:,}: send it as several orders."),)


def _violation(message: str) -> Violation:
    return Violation(code="SIZE", rule="W1", field="lines", message=message)
