"""What would happen to an order: lines with defaults, plan, billing calls, reservations, violations. No side effect."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from api.errors import violation_body
from domain.advice import check
from domain.approval import needed
from domain.billing import purchased
from domain.decomposed import Decomposed
from domain.decomposition import decompose
from domain.inventory import demands
from domain.order import Order, OrderLine
from domain.plan import Function, Plan, PlanItem
from domain.size import too_many_steps
from domain.validation import validate
from models.submissions import Known


def preview_body(decomposed: Decomposed, known: Known, *, sent: Order, now: datetime) -> dict[str, Any]:
    """The preview of an order, in full and as ``sent``; nothing is planned while rules are broken.

    An order that is only too large is planned all the same.
    """
    order, catalog = decomposed.order, decomposed.catalog
    violations = validate(order, catalog, known.facts)
    too_long = () if violations else too_many_steps(order, catalog, known.facts)
    plan = Plan(items=()) if violations else _plan(decomposed, known)
    advice = check(order, catalog, now=now, sent=sent, earlier=known.earlier.order if known.earlier else None)
    return {
        "account": order.account,
        "catalog_version": catalog.version,
        "lines": list(_lines(decomposed)),
        "plan": [step_body(item) for item in plan.items],
        "billing": [call for item in plan.items for call in _calls(decomposed, item)],
        "reservations": [x for item in plan.items for x in _reservations(decomposed, item)],
        "violations": [violation_body(x) for x in violations or too_long],
        "warnings": [violation_body(x) for x in (*needed(order, catalog), *advice)],
    }


def _plan(decomposed: Decomposed, known: Known) -> Plan:
    return decompose(
        decomposed.order,
        decomposed.catalog,
        versions=decomposed.versions,
        unsynced_accounts=known.facts.unsynced_accounts,
    )


def step_body(item: PlanItem) -> dict[str, Any]:
    """One step of a plan."""
    return {
        "id": item.id,
        "function": item.function,
        "system": item.function.system,
        "subject": item.subject,
        "root": item.root,
        "lines": item.lines,
        "depends_on": item.depends_on,
        "no_return": item.no_return,
    }


def _lines(decomposed: Decomposed) -> Iterator[dict[str, Any]]:
    kinds = {product.code: product.kind for product in decomposed.catalog}
    services: dict[str, str | None] = {}
    for line in decomposed.order.lines:
        product = decomposed.catalog.get(line.product)
        above = services.get(line.parent) if line.parent else None
        services[line.id] = line.id if product and product.is_service else above
        yield {
            "id": line.id,
            "parent": line.parent,
            "root": line.root,
            "product": line.product,
            "kind": kinds.get(line.product),
            "service": services[line.id],
            "action": line.action,
            "quantity": line.quantity,
            "service_account": line.service_account,
            "billing_account": line.billing_account,
            "billing_profile": line.billing_profile,
        }


def _calls(decomposed: Decomposed, item: PlanItem) -> Iterator[dict[str, Any]]:
    """The billing calls of a step: one for each service it covers, or for the line that is billed alone (5.3)."""
    by_id = decomposed.order.by_id
    match item.function:
        case Function.INITIATE_BILLING:
            covered = [by_id[x] for x in item.lines]
            for service in (x for x in covered if decomposed.product(x).is_service):
                yield _call(decomposed, item, decomposed.initiated_with(service), items_too=False)
        case Function.FULFILL_BILLING | Function.PURCHASE:
            yield _call(decomposed, item, tuple(by_id[x] for x in item.lines), items_too=True)
        case _:
            pass


def _call(decomposed: Decomposed, item: PlanItem, lines: tuple[OrderLine, ...], *, items_too: bool) -> dict[str, Any]:
    head = lines[0]
    return {
        "step": item.id,
        "operation": item.function,
        "line": head.id,
        "account": head.billing_account,
        "service_instance": decomposed.product(head).is_service,
        "purchases": [
            {"line": x.id, "product": x.product, "quantity": x.quantity}
            for x in purchased(decomposed, lines, items_too=items_too)
        ],
    }


def _reservations(decomposed: Decomposed, item: PlanItem) -> Iterator[dict[str, Any]]:
    if item.function is not Function.RESERVE:
        return
    for demand in demands(decomposed, item):
        yield {
            "step": item.id,
            "line": demand.line,
            "quantity": demand.quantity,
            "sku": demand.sku,
            "location": demand.location if demand.sku else None,
            "pool": demand.pool,
            "wanted": demand.wanted,
        }
