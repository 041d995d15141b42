"""How a status reaches the lines below: always downward, never onto a bundle from its parts (2.8)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.decomposed import Decomposed
from domain.order import FINAL, OrderLine, State

FieldValues = Mapping[str, object]
"""New values of a line by field name, such as ``{"state": State.COMPLETED}``."""

CAN_PROPAGATE = frozenset({"state", "actual_delivery_at", "due_date", "service_start", "service_end"})
"""What lines may have in common with the line above; never what tells them apart: ids, keys, products, accounts."""


@dataclass(frozen=True)
class PropagatedFields:
    """The fields that lines take over from the line above, as configured; ``ValueError`` for what cannot be (B29)."""

    names: frozenset[str] = frozenset({"state"})

    def __post_init__(self) -> None:
        if wrong := self.names - CAN_PROPAGATE:
            raise ValueError(f"cannot be propagated to other lines: {', '.join(sorted(wrong))}")


STATE_ONLY = PropagatedFields()


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagation:
    """The fields to write, by line id, all in one transaction; and the lines left alone because they are final."""

    changes: Mapping[str, FieldValues]
    not_changed: tuple[str, ...]


def propagate(
    decomposed: Decomposed,
    line: OrderLine,
    values: FieldValues,
    *,
    states: Mapping[str, State],
    fields: PropagatedFields = STATE_ONLY,
) -> Propagation:
    """What writing ``values`` on a line means for it and the lines below; ``states`` are the present ones by line id.

    A line that is final in another state keeps all it has (Q10); when it is the named line, nothing happens at all.
    """
    if _is_final_otherwise(line, values, states):
        return Propagation(changes={}, not_changed=(line.id,))
    inherited = {name: value for name, value in values.items() if name in fields.names}
    changes: dict[str, FieldValues] = {line.id: dict(values)}
    not_changed: list[str] = []
    for target in targets(decomposed, line) if inherited else ():
        if _is_final_otherwise(target, inherited, states):
            not_changed.append(target.id)
        else:
            changes[target.id] = inherited
    return Propagation(changes=changes, not_changed=tuple(not_changed))


def targets(decomposed: Decomposed, line: OrderLine) -> Iterator[OrderLine]:
    """The lines that take over a line's status, parents first.

    From a service bundle: all below, nested bundles and non-billing products too (B27). From a customizable product:
    the service bundles in it, directly or through other customizable products, with all below them; its own simple
    products stay as they are (B28, Q11). From any other line: none.
    """
    product = decomposed.product(line)
    if product.is_service:
        yield from decomposed.order.descendants(line)
    elif decomposed.catalog.is_customizable(product):
        for child in decomposed.order.children(line):
            if decomposed.product(child).is_service:
                yield child
            yield from targets(decomposed, child)


def _is_final_otherwise(line: OrderLine, values: FieldValues, states: Mapping[str, State]) -> bool:
    state = states[line.id]
    return state in FINAL and values.get("state", state) != state
