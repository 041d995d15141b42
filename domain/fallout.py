"""What may be decided when a step needs a person, and what becomes of the step then."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from domain.in_flight import CORRECTABLE, Correction
from domain.order import Scalar
from domain.plan import Function, PlanItem, System


class Decision(StrEnum):
    """What a person can decide: carry it out anew, anew with corrected input, do without it, or give the bundle up."""

    RETRY = "retry"
    RETRY_WITH = "retry_with"
    SKIP = "skip"
    ABORT = "abort"


TYPE: Mapping[System, str] = {
    System.INVENTORY: "Inventory Allocation",
    System.PROVISIONING: "Provisioning",
    System.BILLING: "Billing",
    System.RECORDS: "System",
}
"""The fallout type of a step, by the system it falls out of (2.1)."""

_CORRECTED = frozenset({Function.RESERVE, Function.DELIVER, Function.PROVISION})
_SKIPPED = frozenset({Function.DELIVER, Function.PROVISION, Function.COMMIT})
_FINAL_EFFECTS = frozenset(
    {Function.DELIVER, Function.FULFILL_BILLING, Function.PURCHASE, Function.COMMIT, Function.ASSET}
)


def decisions(item: PlanItem, settled: Iterable[PlanItem], *, in_doubt: bool = False) -> tuple[Decision, ...]:
    """What may be decided about a step; ``settled`` are the steps of its bundle that are done.

    ``in_doubt``: it may have happened; then it is not asked for with other input, and a bundle is not given up for a
    step that could not be taken back.
    Billing is never skipped, for what runs would not be billed (2.4). A bundle is given up only while everything done
    for it can be undone: after a successful activation billing is retried, never rolled back (5.5).
    """
    allowed = [Decision.RETRY]
    if item.function in _CORRECTED and not in_doubt:
        allowed.append(Decision.RETRY_WITH)
    if item.function in _SKIPPED:
        allowed.append(Decision.SKIP)
    done = {x.function for x in settled} | ({item.function} if in_doubt else set())
    billing_closes = item.function in (Function.FULFILL_BILLING, Function.PURCHASE, Function.ASSET)
    if not done & _FINAL_EFFECTS and not (billing_closes and Function.PROVISION in done):
        allowed.append(Decision.ABORT)
    return tuple(allowed)


def correction(given: Mapping[str, Scalar | Mapping[str, Scalar]], *, line: str) -> Correction:
    """Read an operator's corrected input for a line; ``ValueError`` names the field that cannot be corrected.

    The line may be named in the input; otherwise it is the one the step is about.
    """
    fields: dict[str, str | None] = {}
    attributes: Mapping[str, Scalar] = {}
    for name, value in given.items():
        match name, value:
            case "line", str():
                line = value
            case "attributes", Mapping():
                attributes = value
            case _, str() | None if name in CORRECTABLE - {"attributes"}:
                fields[name] = value
            case _:
                message = f"input.{name}: only {', '.join(sorted(CORRECTABLE))} can be corrected"
                raise ValueError(message)
    if not fields and not attributes:
        message = "input: names nothing to correct"
        raise ValueError(message)
    return Correction(line=line, fields=fields, attributes=attributes)
