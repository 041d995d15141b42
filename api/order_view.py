"""An order as it is read: what is stored of it, and what follows from that."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter

from api.answers import money_body
from api.house import House
from domain.billing import InstanceState
from domain.decomposed import Decomposed
from domain.in_flight import Correction, corrected
from domain.order import FINAL, Order, OrderLine, State, asset_id, derived_rollup
from domain.plan import SETTLED, Function, StepState
from models import catalogs
from models.drafts import Draft
from models.submissions import ORDER, Submitted
from models.views import Found

_CORRECTIONS = TypeAdapter(tuple[Correction, ...])

STAGE: Mapping[Function, str] = {
    Function.SYNC_CUSTOMER: "initiate_billing",
    Function.RESERVE: "reserve",
    Function.INITIATE_BILLING: "initiate_billing",
    Function.DELIVER: "deliver",
    Function.PROVISION: "provision",
    Function.FULFILL_BILLING: "fulfill_billing",
    Function.PURCHASE: "fulfill_billing",
    Function.COMMIT: "asset",
    Function.ASSET: "asset",
    Function.CLAIM: "reserve",
    Function.RELOCATE: "provision",
    Function.MODIFY: "provision",
    Function.SUSPEND: "provision",
    Function.RESUME: "provision",
    Function.DISCONNECT: "provision",
    Function.REPOINT: "fulfill_billing",
    Function.CHARGE: "fulfill_billing",
    Function.UPDATE_BILLING: "fulfill_billing",
    Function.SUSPEND_BILLING: "fulfill_billing",
    Function.RESUME_BILLING: "fulfill_billing",
    Function.CLOSE_BILLING: "fulfill_billing",
    Function.RETIRE: "asset",
}
"""What a line is said to be at while a step that covers it is not settled (2.4)."""


def order_body(found: Found, house: House) -> dict[str, Any]:
    """An order as it stands."""
    standing = _Standing(found, house)
    return {
        **summary_body(found),
        "lines": [standing.line(line) for line in standing.order.lines],
        "run": run_body(house, found["id"], found["run_id"], _run_status(found)),
    }


def acknowledged_body(submitted: Submitted, house: House) -> dict[str, Any]:
    """An order as its submission is answered: the same each time, whatever has become of it since."""
    decomposed = catalogs.decomposed(house.engine, submitted.order, submitted.catalog_version)
    return {
        "id": submitted.id,
        "number": submitted.number,
        "external_id": submitted.order.external_id,
        "account": submitted.order.account,
        "actions": sorted({x.action for x in submitted.order.lines}),
        "revision": 0,
        "state": State.ACKNOWLEDGED,
        "reason": None,
        "requested_start": submitted.order.requested_start,
        "rollup": derived_rollup(frozenset({State.ACKNOWLEDGED})),
        "submitted_at": submitted.submitted_at,
        "completed_at": None,
        "lines": [_acknowledged_line(decomposed, x) for x in submitted.order.lines],
        "run": run_body(house, submitted.id, None, "starting"),
    }


def draft_body(draft: Draft) -> dict[str, Any]:
    """A draft, in the form of an order: as it was written, with nothing filled in."""
    return {
        **draft_summary(draft),
        "lines": [_line_body(x, state=State.DRAFT, step=None, asset=x.asset, billing=None) for x in draft.order.lines],
        "run": None,
    }


def draft_summary(draft: Draft) -> dict[str, Any]:
    """A draft without its lines."""
    order = draft.order
    return {
        "id": draft.id,
        "number": None,
        "external_id": order.external_id,
        "account": order.account,
        "actions": sorted({x.action for x in order.lines}),
        "revision": 0,
        "state": State.DRAFT,
        "reason": None,
        "requested_start": order.requested_start,
        "rollup": derived_rollup(frozenset({State.DRAFT})),
        "submitted_at": None,
        "completed_at": None,
    }


def summary_body(found: Found) -> dict[str, Any]:
    """An order without its lines."""
    return {
        "id": found["id"],
        "number": found["number"],
        "external_id": found["external_id"],
        "account": found["account"],
        "actions": found["actions"] or [],
        "revision": found["revision"],
        "state": found["state"],
        "reason": found["reason"],
        "requested_start": found["requested_start"],
        "rollup": derived_rollup(frozenset(map(State, found["line_states"] or ()))),
        "submitted_at": found["submitted_at"],
        "completed_at": found["completed_at"],
    }


def run_body(house: House, order_id: str, run_id: str | None, status: str) -> dict[str, Any]:
    """The order's run."""
    workflow_id = f"order-{order_id}"
    return {
        "workflow_id": workflow_id,
        "run_id": run_id,
        "status": status,
        "temporal_ui": house.run_url(workflow_id, run_id),
    }


def _run_status(found: Found) -> str:
    if found["run_started_at"] is None:
        return "starting"
    return "completed" if found["state"] in FINAL else "running"


def _acknowledged_line(decomposed: Decomposed, line: OrderLine) -> dict[str, Any]:
    billing = {"phase": decomposed.phase(line), **_UNBILLED} if decomposed.is_billed(line) else None
    return _line_body(line, state=State.ACKNOWLEDGED, step="validate", asset=line.asset, billing=billing)


_UNBILLED = {"state": "none", "service_instance": None, "purchased_product": None}


def _line_body(
    line: OrderLine,
    *,
    state: str,
    step: str | None,
    asset: str | None,
    billing: Mapping[str, Any] | None,
    delivered_at: datetime | None = None,
    fallout: str | None = None,
) -> dict[str, Any]:
    return {
        "id": line.id,
        "parent": line.parent,
        "root": line.root,
        "product": line.product or None,
        "action": line.action,
        "changes": line.changes,
        "quantity": line.quantity,
        "state": state,
        "step": step,
        "asset": asset,
        "related_line": line.related_line,
        "replaces": line.replaces,
        "service_account": line.service_account,
        "billing_account": line.billing_account,
        "billing_profile": line.billing_profile,
        "service_id": line.service_id,
        "service_point": line.service_point,
        "attributes": dict(sorted(line.attributes.items())),
        "price": line.price and money_body(line.price),
        "promotion_ref": line.promotion_ref,
        "location": line.location,
        "due_date": line.due_date,
        "service_start": line.service_start,
        "service_end": line.service_end,
        "actual_delivery_at": delivered_at,
        "billing": billing,
        "fallout": fallout,
    }


class _Standing:
    """Where each line of an order stands, from its rows, its steps and billing's answers to them."""

    def __init__(self, found: Found, house: House) -> None:
        self._found = found
        self._steps: list[Mapping[str, Any]] = found["steps"] or []
        self._rows = {id_: rest for id_, *rest in found["lines"]}
        self.order: Order = corrected(
            ORDER.validate_python(found["document"]),
            _CORRECTIONS.validate_python(found["corrections"])[found["corrections_included"] :],
        )
        self._decomposed = catalogs.decomposed(house.engine, self.order, found["catalog_version"])

    def line(self, line: OrderLine) -> dict[str, Any]:
        state, delivered_at, asset, is_installed = self._rows[line.id]
        return _line_body(
            line,
            state=state,
            step=None if state in FINAL else self._stages.get(line.id, "asset" if self._steps else "validate"),
            asset=asset if is_installed or line.asset else None,
            delivered_at=datetime.fromisoformat(delivered_at) if delivered_at else None,
            billing=self._billing_of(line) if self._decomposed.is_billed(line) else None,
            fallout=self._fallouts.get(line.id),
        )

    @cached_property
    def _stages(self) -> Mapping[str, str]:
        """The stage of each line: of the first step covering it that is not settled."""
        stages: dict[str, str] = {}
        for step in self._steps:
            if step["state"] not in SETTLED:
                for line in step["lines"]:
                    stages.setdefault(line, STAGE[Function(step["function"])])
        return stages

    @cached_property
    def _fallouts(self) -> Mapping[str, str]:
        """The open fallout of each line: of a step that covers it."""
        covered = {step["id"]: step["lines"] for step in self._steps}
        return {
            line: fallout["id"]
            for fallout in self._found["fallouts"] or ()
            for line in (*covered.get(fallout["step"], ()), fallout["line"])
            if line is not None
        }

    def _billing_of(self, line: OrderLine) -> Mapping[str, Any]:
        asset = asset_id(self._found["id"], line)
        purchase = self._purchases.get(asset, {})
        instance, instance_state = self._instances.get(asset, (None, None))
        return {
            "phase": self._decomposed.phase(line),
            "state": purchase.get("state") or instance_state or "none",
            "service_instance": purchase.get("service_instance") or instance,
            "purchased_product": purchase.get("id"),
        }

    @cached_property
    def _purchases(self) -> Mapping[str, Mapping[str, Any]]:
        """What billing last said of each asset's purchase."""
        return {
            x["asset"]: {**x, "state": _state(x, step)} for billed, step in self._answers() for x in billed["purchases"]
        }

    @cached_property
    def _instances(self) -> Mapping[str, tuple[str | None, str]]:
        """What billing last said of each service's instance: told by what was purchased for it, or by its own call."""
        instances: dict[str, tuple[str | None, str]] = {}
        for billed, step in self._answers():
            state = _state(billed, step)
            for line in (self.order.by_id[x] for x in step["lines"] if x in self.order.by_id):  # others were dropped
                service = self._decomposed.service_of(line)
                bought = self._purchases.get(asset_id(self._found["id"], line), {}).get("service_instance")
                if service is not None and bought:
                    instances[asset_id(self._found["id"], service)] = (bought, state)
            if subject := self.order.by_id.get(step["subject"]):
                instances[asset_id(self._found["id"], subject)] = (billed["service_instance"], state)
        return instances

    def _answers(self) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        return [(x["result"], x) for x in self._steps if x["result"] and "purchases" in x["result"]]


def _state(billed: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """The state in billing of what a step did there, or of one of its purchases: what was initiated may be undone."""
    return InstanceState.VOIDED if step["state"] == StepState.UNDONE else billed["state"]
