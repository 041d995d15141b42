"""What follows from an order's document and the catalog it pins, worked out anew and held against the rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, text

from domain.asset import AssetStatus
from domain.catalog import BillingType
from domain.decomposed import Decomposed
from domain.decomposition import decompose
from domain.invariant import Finding
from domain.money import Money
from domain.order import Action, Order, OrderLine, State, asset_id
from domain.plan import Function, PlanItem
from models import catalogs

SHOWN = 5
"""How many offenders are told in words."""
AT_ONCE = 200
"""How many orders are fetched at a time."""

_ORDER = TypeAdapter(Order)
_ORDERS = text("""
    SELECT CAST(o.id AS text) AS id, o.number, o.state, o.catalog_version, o.document,
           (SELECT jsonb_object_agg(
                       l.id, jsonb_build_array(l.product, l.action, l.quantity, l.parent, l.root, l.asset, l.state))
              FROM orderloom.order_lines AS l WHERE l.order_id = o.id) AS lines,
           (SELECT jsonb_object_agg(a.created_by_line, jsonb_build_object(
                       'id', a.id, 'status', a.status, 'quantity', a.quantity, 'price', a.price))
              FROM orderloom.assets AS a WHERE a.created_by_order = o.id) AS assets,
           (SELECT jsonb_agg(
                       jsonb_build_array(p.function, p.subject, p.root, p.lines, p.depends_on) ORDER BY p.position)
              FROM orderloom.plan_items AS p WHERE p.order_id = o.id) AS plan,
           ARRAY(SELECT p.id FROM orderloom.plan_items AS p
                  WHERE p.order_id = o.id AND p.state = 'undone' AND o.revision > 0) AS undone
      FROM orderloom.orders AS o
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledAssets:
    """What billing has, by asset: ``services`` the number of instances, ``purchases`` quantity and price in words."""

    services: Mapping[str, str]
    purchases: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An order read from its document, beside the rows that were written of it: ``lines`` and ``assets`` by line id.

    The assets are as they are now, whatever other orders have made of them.
    """

    id: str
    number: int
    state: State
    decomposed: Decomposed
    lines: Mapping[str, Sequence[Any]]
    assets: Mapping[str, Mapping[str, Any]]
    plan: Sequence[PlanItem]
    undone: frozenset[str]
    """The steps that were taken back in an order that was revised."""
    billed: BilledAssets | None

    @property
    def completed(self) -> Iterator[OrderLine]:
        """The added lines that are completed."""
        return self.done(Action.ADD)

    def done(self, *actions: Action) -> Iterator[OrderLine]:
        """The lines with one of these actions that are completed."""
        return (x for x in self.decomposed.order.lines if x.action in actions and self._state(x) == State.COMPLETED)

    def _state(self, line: OrderLine) -> str | None:
        return self.lines[line.id][-1] if line.id in self.lines else None


Judge = Callable[[Stored], Iterator[str | None]]
"""What is wrong with each thing that is looked at in an order; ``None`` for what is right."""


def _lines_are_the_documents(stored: Stored) -> Iterator[str | None]:
    order = stored.decomposed.order
    for line in order.lines:
        wanted = [line.product, line.action, line.quantity, line.parent, line.root, asset_id(stored.id, line)]
        found = [*stored.lines.get(line.id, [])][:-1]
        yield None if found == wanted else f"line {line.id} is stored as {found}, and is {wanted}"
    dropped = {id_ for id_, row in stored.lines.items() if row[-1] in (State.CANCELLED, State.FAILED)}
    yield from (f"line {id_} is in no document" for id_ in stored.lines.keys() - order.by_id.keys() - dropped)


def _plan_follows_from_the_order(stored: Stored) -> Iterator[str | None]:
    """Account synchronizations depend on what billing knew at that moment, and are left out.

    So is what a revision has undone and not planned again. Orders keep their plan that were planned when what follows
    billing's first phase did not name the reservation too, or even when a commit did not wait for billing.
    """
    read = stored.decomposed
    wanted = [*decompose(read.order, read.catalog, versions=read.versions).items]
    gone = stored.undone - {x.id for x in wanted}
    synced = {x.id for x in stored.plan if x.function is Function.SYNC_CUSTOMER}
    found = [
        replace(x, depends_on=tuple(d for d in x.depends_on if d not in synced))
        for x in stored.plan
        if x.id not in synced | gone
    ]
    formerly = [x if x.function is Function.COMMIT else replace(x, depends_on=_guarded(x.depends_on)) for x in wanted]
    long_ago = [
        replace(x, depends_on=_unbilled(x.depends_on)) if x.function is Function.COMMIT else x for x in formerly
    ]
    begun = stored.plan or stored.state not in (State.ACKNOWLEDGED, State.PENDING, State.REJECTED, State.CANCELLED)
    if found in (wanted, formerly, long_ago) or not begun:
        yield None
    else:
        differing = {x.id for x in found if x not in wanted} | {x.id for x in wanted if x not in found}
        yield f"other than planned: {', '.join(sorted(differing)) or 'the order of the steps'}"


def _guarded(steps: tuple[str, ...]) -> tuple[str, ...]:
    """What a step waited for when it went without saying that billing's first phase had waited for the rest."""
    initiated = any(x.startswith(f"{Function.INITIATE_BILLING}:") for x in steps)
    return tuple(x for x in steps if not (initiated and x.startswith((f"{Function.RESERVE}:", f"{Function.CLAIM}:"))))


def _unbilled(steps: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(x for x in steps if not x.startswith((f"{Function.FULFILL_BILLING}:", f"{Function.PURCHASE}:")))


def _assets_are_of_completed_lines(stored: Stored) -> Iterator[str | None]:
    """Trackable lines whose parents are trackable leave an asset (A03), charges never (B26); a context line has one."""
    kept = {x.id for x in stored.decomposed.order.lines if x.action is not Action.ADD}
    for line in stored.completed:
        is_tracked = stored.decomposed.product(line).track_as_asset and not line.is_charge
        if is_tracked and (line.parent is None or line.parent in kept):
            kept.add(line.id)
            found = stored.assets.get(line.id, {}).get("id")
            wanted = asset_id(stored.id, line)
            yield (
                None if found == wanted else f"line {line.id} is completed, its asset {wanted} is {found or 'missing'}"
            )
    yield from (f"asset {stored.assets[id_]['id']} is of line {id_}" for id_ in stored.assets.keys() - kept)


def _services_have_an_instance_each(stored: Stored) -> Iterator[str | None]:
    assert stored.billed is not None
    for line in stored.completed:
        asset = asset_id(stored.id, line)
        wanted = "1" if stored.decomposed.product(line).is_service else "0"
        found = stored.billed.services.get(asset, "0")
        if (wanted, found) != ("0", "0"):
            yield None if found == wanted else f"line {line.id} has {found} service instances, asset {asset}"


def _purchases_are_as_ordered(stored: Stored) -> Iterator[str | None]:
    """Billing took over quantity and price, as they are now; a service bundle itself is purchased for nothing (B35)."""
    assert stored.billed is not None
    for line in stored.done(Action.ADD, Action.MOVE_ADD):
        product = stored.decomposed.product(line)
        if product.billing_type in (None, BillingType.SERVICE_BUNDLE, BillingType.EVENT) or _is_over(stored, line):
            continue
        now = stored.assets.get(line.id, {"quantity": line.quantity, "price": line.price and asdict(line.price)})
        price = Money(**now["price"]) if now["price"] else product.price
        wanted = f"{now['quantity']} {line.product} x {price.minor if price else ''} {price.currency if price else ''}"
        found = stored.billed.purchases.get(asset_id(stored.id, line), "nothing")
        yield None if found == wanted else f"line {line.id}: {wanted} was ordered, {found} is billed"


def _is_over(stored: Stored, line: OrderLine) -> bool:
    """Whether what a line bought has ended since: itself, or that which it came with, unless it was charged once."""
    if line.id in stored.assets:
        return bool(stored.assets[line.id]["status"] == AssetStatus.INACTIVE)
    over = (stored.assets[x.id]["status"] for x in stored.decomposed.order.ancestors(line) if x.id in stored.assets)
    charged_once = stored.decomposed.product(line).billing_type is BillingType.ITEM
    return not charged_once and next(over, None) == AssetStatus.INACTIVE


_JUDGES: tuple[tuple[str, str, Judge], ...] = (
    (
        "I22-lines",
        "An order's lines are those of its document, about the assets that follow from it",
        _lines_are_the_documents,
    ),
    ("I22-plan", "A plan follows from its order and catalog alone", _plan_follows_from_the_order),
    ("I18", "There is an asset for each completed line that leaves one, and no other", _assets_are_of_completed_lines),
)
_BILLED_JUDGES: tuple[tuple[str, str, Judge], ...] = (
    ("I13-price", "What is billed for a line is what was ordered, at that price", _purchases_are_as_ordered),
    (
        "billing-I9",
        "Billing has one instance for each completed service, whatever its quantity",
        _services_have_an_instance_each,
    ),
)


def judged(connection: Connection, engine: Engine, billed: BilledAssets | None) -> list[Finding]:
    """Every order worked out anew; without ``billed`` nothing is said of billing. Catalogs come over ``engine``."""
    judges = _JUDGES + (_BILLED_JUDGES if billed else ())
    tallies = [_Tally() for _ in judges]
    rows = connection.execution_options(yield_per=AT_ONCE).execute(_ORDERS)
    for row in rows:
        try:
            order = _ORDER.validate_python(row.document)
            stored = _stored(row, catalogs.decomposed(engine, order, row.catalog_version), billed)
            for tally, (_, _, judge) in zip(tallies, judges, strict=True):
                tally.add(stored, judge)
        except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Somebody has changed its rows by hand: the other orders are looked at all the same.
            tallies[0].find(row.number, f"it cannot be worked out anew: {_why(error)}")
    return [
        Finding(id=id_, statement=statement, looked_at=x.looked_at, broken=x.broken, offenders=tuple(x.offenders))
        for x, (id_, statement, _) in zip(tallies, judges, strict=True)
    ]


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]


def _stored(row: Any, decomposed: Decomposed, billed: BilledAssets | None) -> Stored:  # noqa: ANN401
    return Stored(
        id=row.id,
        number=row.number,
        state=State(row.state),
        decomposed=decomposed,
        lines=row.lines or {},
        assets=row.assets or {},
        plan=[
            PlanItem(
                function=Function(function), subject=subject, root=root, lines=tuple(lines), depends_on=tuple(after)
            )
            for function, subject, root, lines, after in row.plan or ()
        ],
        undone=frozenset(row.undone),
        billed=billed,
    )


class _Tally:
    """How many things were looked at, and what was wrong with them."""

    def __init__(self) -> None:
        self.looked_at = 0
        self.broken = 0
        self.offenders: list[str] = []

    def add(self, stored: Stored, judge: Judge) -> None:
        for wrong in judge(stored):
            self.find(stored.number, wrong)

    def find(self, order: int, wrong: str | None) -> None:
        self.looked_at += 1
        self.broken += wrong is not None
        if wrong is not None and len(self.offenders) < SHOWN:
            self.offenders.append(f"order {order}: {wrong}")
