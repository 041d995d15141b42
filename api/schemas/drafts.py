"""What is changed about a draft, on the wire."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.orders import HEADER, LineIn, flat, line_of, said
from api.schemas.shape import Id, Instant, Sentence, Shape, Text
from domain.order import Order, OrderLine
from domain.size import MAX_LINES
from domain.violation import Violation


class DraftChange(Shape):
    """What is to be otherwise; what is left out stays. A line that is named by its id keeps its place."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"priority": 2, "lines": [{"id": "1", "due_date": "2026-07-01"}], "remove": ["1.2"]}
        }
    )

    account: Id | None = None
    external_id: Text | None = None
    requested_start: Instant | None = None
    requested_completion: Instant | None = None
    priority: Annotated[int, Field(ge=0, le=4)] = 4
    reason: Sentence | None = None
    service_account: Id | None = None
    billing_account: Id | None = None
    billing_profile: Id | None = None
    lines: Annotated[list[LineIn], Field(max_length=MAX_LINES)] = Field(default_factory=list)
    remove: Annotated[list[Id], Field(max_length=MAX_LINES)] = Field(default_factory=list)

    def applied(self, order: Order) -> tuple[Order, tuple[Violation, ...]]:
        """The draft as it is then, and what cannot be done to it."""
        header: dict[str, Any] = {x: getattr(self, x) for x in HEADER if x in self.model_fields_set}
        gone = {
            y.id for x in self.remove if x in order.by_id for y in (order.by_id[x], *order.descendants(order.by_id[x]))
        }
        lines = {x.id: x for x in order.lines if x.id not in gone}
        for given, parent, root in flat(self.lines):
            known = lines.get(given.id)
            lines[given.id] = _changed(known, given) if known else line_of(given, parent, _root(lines, parent) or root)
        header["account"] = header.get("account") or order.account
        return replace(order, **header, lines=tuple(lines.values())), tuple(self._wrong(order, lines))

    def _wrong(self, order: Order, lines: dict[str, OrderLine]) -> Iterator[Violation]:
        for line in (x for x in self.remove if x not in order.by_id):
            yield Violation(code="STRUCTURE", rule="B01", line=line, field="remove", message="There is no such line.")
        if not lines:
            message = "An order has at least one line: discard the draft instead."
            yield Violation(code="STRUCTURE", rule="B01", field="remove", message=message)


def _root(lines: dict[str, OrderLine], parent: str | None) -> str | None:
    return lines[parent].root if parent in lines else None


def _changed(line: OrderLine, given: LineIn) -> OrderLine:
    """A line with what is said of it now; what it changes of an asset is what it ever named."""
    new = replace(line, **said(given))
    return replace(new, changes=given.changes(new.action, line.changes or ()))
