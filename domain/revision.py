"""A revision of an order under way: which of its lines are which, and what of the plan is done anew (2.7)."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, cast

from domain.billing import carried, initiated_services
from domain.in_flight import Correction, InFlight
from domain.inventory import demands
from domain.order import Order, OrderLine, asset_id, with_defaults
from domain.plan import Function, PlanItem
from domain.provisioning import network_service
from domain.violation import Violation


class RevisionState(StrEnum):
    """What became of a submitted revision."""

    QUEUED = "queued"
    ACCEPTED = "accepted"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


COMMERCIAL = frozenset({"price", "promotion_ref", "billing_account", "billing_profile", "due_date"})
"""What only billing is told: it may still change after the point of no return, until billing has closed (5.4)."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """A revision whose lines bear the ids they have always had, or why it cannot be one."""

    order: Order
    violations: tuple[Violation, ...] = ()

    def without(self, roots: Collection[str]) -> Order:
        """The order without these bundles."""
        return replace(self.order, lines=tuple(x for x in self.order.lines if x.root not in roots))


def matched(
    order_id: str,
    base: Order,
    desired: Order,
    *,
    complete: Callable[[Order], Order] = with_defaults,
    gone: frozenset[str] = frozenset(),
    ended: Collection[str] = (),
    corrections: Sequence[Correction] = (),
) -> Matched:
    """Find each desired line among those of the order: by the asset it names, else by its id.

    A line keeps the id that it was first given, for the asset it will be follows from that (2.1); it may be sent under
    another one with its ``asset``. ``complete`` fills in what it leaves blank. ``gone`` are ids of lines that an
    earlier revision dropped: they do not come back. ``ended`` are bundles at their end: their assets are otherwise by
    now, and what is said of such a bundle as it was asked for leaves it as it is.
    What operators corrected since ``base`` stays corrected wherever the revision says what ``base`` says.
    """
    times = Counter(asset_id(order_id, x) for x in base.lines)
    known = {asset: x for x in base.lines if times[asset := asset_id(order_id, x)] == 1}
    first_ids = {x.id: (known[x.asset].id if x.asset in known else x.id) for x in desired.lines}
    asked = replace(
        desired,
        external_id=desired.external_id or base.external_id,
        lines=tuple(_as_known(x, first_ids, known) for x in desired.lines),
    )
    left = {
        root: base.bundles[root]
        for root, lines in asked.bundles.items()
        if root in ended and root in base.bundles and all(_says(x, base) for x in lines)
    }
    order = complete(replace(asked, lines=tuple(x for x in asked.lines if x.root not in left)))
    if left:
        bundles = {**dict.fromkeys(asked.bundles, ()), **order.bundles, **left}
        order = replace(order, lines=tuple(line for lines in bundles.values() for line in lines))
    found = tuple(_violations(base, order, gone))
    return Matched(order=_still_corrected(base, order, corrections), violations=found)


def _says(line: OrderLine, base: Order) -> bool:
    """Whether a line says nothing but what the line of its id says already."""
    before = base.by_id.get(line.id)
    if before is None:
        return False
    said = {x.name for x in fields(line) if getattr(line, x.name) not in (_BLANK.get(x.name), {})}
    named = (said | {*(line.changes or ())}) - {"changes", "attributes"}
    return line.attributes.items() <= before.attributes.items() and all(
        getattr(line, x) == getattr(before, x) for x in named
    )


_BLANK = {x.name: x.default for x in fields(OrderLine)}


def _still_corrected(base: Order, desired: Order, corrections: Sequence[Correction]) -> Order:
    for correction in corrections:
        before = base.by_id.get(correction.line)
        lines = tuple(
            _with_correction(before, x, correction) if before and x.id == correction.line else x for x in desired.lines
        )
        desired = replace(desired, lines=lines)
    return desired


def _with_correction(before: OrderLine, line: OrderLine, correction: Correction) -> OrderLine:
    fields_ = {x: y for x, y in correction.fields.items() if getattr(line, x) == getattr(before, x)}
    kept = {x: y for x, y in correction.attributes.items() if line.attributes.get(x) == before.attributes.get(x)}
    return replace(line, attributes={**line.attributes, **kept}, **cast("Any", fields_))


def _as_known(line: OrderLine, ids: Mapping[str, str], known: Mapping[str, OrderLine]) -> OrderLine:
    """The line under the ids that it, its parent and its root were first given."""
    own = known.get(line.asset or "")
    return replace(
        line,
        id=ids[line.id],
        parent=None if line.parent is None else ids.get(line.parent, line.parent),
        root=ids.get(line.root, line.root),
        asset=own.asset if own else line.asset,
    )


def _violations(base: Order, desired: Order, gone: frozenset[str]) -> Iterator[Violation]:
    if desired.account != base.account:
        yield _violation("The account of an order does not change.", field="account")
    if desired.external_id != base.external_id:
        yield _violation("The external id of an order does not change.", field="external_id")
    for line in desired.lines:
        before = base.by_id.get(line.id)
        if before is None:
            if line.id in gone:
                yield _violation("An earlier line had this id and was dropped; give a new line a new id.", line, "id")
            continue
        for name in ("product", "action", "parent"):
            if getattr(line, name) != getattr(before, name):
                message = f"A line keeps its {name}: leave it out and add another line, under an id of its own."
                yield _violation(message, line, name)


def _violation(message: str, line: OrderLine | None = None, field: str | None = None) -> Violation:
    return Violation(code="REVISION", rule="2.7", message=message, line=line.id if line else None, field=field)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What tells a revision from the one before, as far as the plan goes.

    ``undo``: items that are not wanted any more; ``redo``: those whose neighbour is told something else; every other
    item is new, or stays as it is. ``roots`` are the bundles with any difference, ``technical`` those where it is more
    than billing has to know.
    """

    undo: tuple[str, ...]
    redo: tuple[str, ...]
    roots: tuple[str, ...]
    technical: tuple[str, ...]
    dropped: tuple[str, ...]
    added: tuple[str, ...]


def compare(before: InFlight, after: InFlight) -> Comparison:
    """What has to be undone and redone; both read with the same catalog."""
    old, new = before.items, after.items
    differing = {root: _differences(before.order, after.order, root) for root in _roots(before.order, after.order)}
    return Comparison(
        undo=tuple(id_ for id_ in old if id_ not in new),
        redo=tuple(id_ for id_, item in new.items() if id_ in old and told(before, old[id_]) != told(after, item)),
        roots=tuple(root for root, names in differing.items() if names),
        technical=tuple(root for root, names in differing.items() if names - COMMERCIAL),
        dropped=tuple(x.id for x in before.order.lines if x.id not in after.order.by_id),
        added=tuple(x.id for x in after.order.lines if x.id not in before.order.by_id),
    )


def _roots(before: Order, after: Order) -> tuple[str, ...]:
    return tuple(dict.fromkeys(x.id for x in (*before.roots, *after.roots)))


def _differences(before: Order, after: Order, root: str) -> frozenset[str]:
    """The names of the fields in which the lines of a bundle differ; ``lines`` when they are not the same lines."""
    old = {x.id: x for x in before.lines if x.root == root}
    new = {x.id: x for x in after.lines if x.root == root}
    found = {"lines"} if old.keys() != new.keys() else set()
    for id_ in old.keys() & new.keys():
        found |= {x.name for x in fields(OrderLine) if getattr(old[id_], x.name) != getattr(new[id_], x.name)}
    return frozenset(found)


def told(in_flight: InFlight, item: PlanItem) -> object:
    """What a step tells its neighbour, as far as it follows from the order: equal, and nothing need be done anew."""
    match item.function:
        case Function.SYNC_CUSTOMER | Function.ASSET | Function.CLAIM:
            return item.subject
        case Function.RESERVE | Function.COMMIT | Function.DELIVER:
            return demands(in_flight.decomposed, item)
        case Function.INITIATE_BILLING:
            return initiated_services(in_flight, item)
        case Function.PROVISION:
            return network_service(in_flight, item, numbers={}), demands(in_flight.decomposed, item)
        case Function.FULFILL_BILLING | Function.PURCHASE:
            return carried(in_flight, item)
        case _:
            return in_flight.lines(item)
