"""What becomes of what is billed already: it rests, goes on, ends, is otherwise, costs something, moves (5.6)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, Row

from adapters.billing import effects, statements
from adapters.billing.effects import ACCOUNT_UNKNOWN, ALREADY_BILLED, NOT_BILLED, WRONG_DATE, WRONG_STATE
from adapters.billing.papers import drawn_up
from domain.billing import (
    INSTANCE_NEXT,
    PURCHASE_OF,
    Billed,
    InstanceState,
    Move,
    Purchased,
    PurchaseOrder,
    Repointed,
    ServiceOrder,
    Update,
)
from domain.catalog import BillingType
from domain.neighbour import Refused, Unacceptable

_OF_SERVICE = {"service_id": "service_id", "billing_account": "account", "billing_profile": "profile"}
_OF_PRODUCT = frozenset({"price", "promotion_ref", "quantity"})
_STATE_OF = {purchase: instance for instance, purchase in PURCHASE_OF.items()}


@dataclass(frozen=True, slots=True)
class _Open:
    """What is open in billing for some assets: their services, or those they are part of, and all purchases in them."""

    services: Sequence[Row[Any]]
    purchases: Sequence[Row[Any]]

    def service(self, asset: str) -> Row[Any] | None:
        """The instance of an asset that is a service."""
        return next((x for x in self.services if x.asset == asset), None)

    def purchase(self, asset: str) -> Row[Any] | None:
        """What was purchased as an asset."""
        return next((x for x in self.purchases if x.asset == asset), None)

    def of(self, asset: str) -> Sequence[Row[Any]]:
        """All that is known by an asset: of a simple service bundle both (B35)."""
        return [x for x in (self.service(asset), self.purchase(asset)) if x is not None]

    def within(self, service: Row[Any]) -> Iterator[Row[Any]]:
        """What is purchased for a service and goes on; what was charged once is over."""
        return (x for x in self.purchases if x.service_instance == service.id and not _is_item(x))


def _open(connection: Connection, assets: Iterable[str]) -> _Open:
    asked = [*assets]
    services = statements.LOCK_SERVICES.on(connection, assets=asked).all()
    purchases = statements.LOCK_PURCHASES.on(connection, services=[x.id for x in services], assets=asked).all()
    return _Open(services, purchases)


def become(connection: Connection, key: str, asset: str, wanted: InstanceState, actual: datetime) -> Billed | Refused:
    """Let a service with all that is in it, or a product by itself, pass into a state from the actual date on."""
    found = _open(connection, [asset])
    service, product = found.service(asset), found.purchase(asset)
    if service is None and product is None:
        return Refused(code=NOT_BILLED, message=f"nothing is billed for asset {asset}")
    refused = _stays(service, wanted) if service else _product_stays(found, product, wanted)
    if refused is not None:
        return refused
    own = found.within(service) if service else iter([product] if product else [])
    purchases = [x for x in own if _may_become(_state(x), wanted)]
    concerned = [*purchases, *([service] if service else [])]
    if (refused := _too_early(concerned, actual)) is not None:
        return refused
    statements.BECOME.on(
        connection,
        service=service.id if service else None,
        purchases=[x.id for x in purchases],
        status=wanted,
        purchase_status=PURCHASE_OF[wanted],
        at=actual,
        ended_at=actual if wanted is InstanceState.CLOSED else None,
    )
    return Billed(
        key=key,
        state=wanted,
        service_instance=service.id if service else None,
        balance_group=service.balance_group if service else None,
        purchases=tuple(_purchased(x, wanted, x.quantity) for x in purchases),
        since=actual,
    )


def _state(row: Row[Any]) -> InstanceState:
    """The state of an instance, or that of the instance that a purchase in its state goes with."""
    return _STATE_OF[row.status] if row.status in _STATE_OF else InstanceState(row.status)


def _may_become(state: InstanceState, wanted: InstanceState) -> bool:
    """Whether a state may follow in the life of what is billed; what is only initiated has a way of its own (5.4)."""
    return state is not InstanceState.INITIATED and wanted in INSTANCE_NEXT[state]


def _stays(service: Row[Any], wanted: InstanceState) -> Refused | None:
    if _may_become(_state(service), wanted):
        return None
    return Refused(code=WRONG_STATE, message=f"the service is {service.status} and cannot become {wanted}")


def _product_stays(found: _Open, product: Row[Any] | None, wanted: InstanceState) -> Refused | None:
    """Why a product by itself does not pass into a state; it is billed only while its service is (B50)."""
    assert product is not None, "it was found"
    within = next((x for x in found.services if x.id == product.service_instance), None)
    message = None
    if _is_item(product):
        message = f"{product.product} was charged once, and does not go on"
    elif not _may_become(_state(product), wanted):
        message = f"the product is {product.status} and cannot become {PURCHASE_OF[wanted]}"
    elif within is not None and wanted is InstanceState.ACTIVE and within.status != InstanceState.ACTIVE:
        message = f"its service is {within.status}"
    return Refused(code=WRONG_STATE, message=message) if message else None


def must_make_sense(updates: Sequence[Update]) -> None:
    """``Unacceptable`` when an update changes what is not billing's, or nothing, or to a quantity of none (B47)."""
    for x in updates:
        if not x.changes or not {*x.changes} <= {*_OF_SERVICE} | _OF_PRODUCT:
            raise Unacceptable(f"line {x.line}: {', '.join(x.changes) or 'nothing'} cannot be changed in billing")
        if "quantity" in x.changes and x.quantity < 1:
            raise Unacceptable(f"line {x.line}: a quantity of at least one is purchased (B47)")


def update(connection: Connection, key: str, updates: Sequence[Update], actual: datetime) -> Billed | Refused:
    """Let a service, and products in it, be otherwise from the actual date on: each field where it belongs."""
    found = _open(connection, [x.asset for x in updates])
    if (refused := _not_billed(updates, found)) is not None:
        return refused
    groups: dict[str, str] = {}
    for account in {x.billing_account for x in updates if "billing_account" in x.changes}:
        group = connection.execute(statements.BALANCE_GROUP, {"account": account}).scalar_one_or_none()
        if account is None or group is None:
            return Refused(code=ACCOUNT_UNKNOWN, message=f"no open account {account}")
        groups[account] = group
    after = _Rewritten(found)
    for x in updates:
        for row, values in _values(x, found, groups):
            if (refused := _not_begun(row, actual, x.line)) is not None:
                return refused
            if _is_item(row):
                message = f"{row.product} was charged once, and stays so"
                return Refused(code=WRONG_STATE, message=message, lines=(x.line,))
            after.change(row, values)
    after.write(connection, actual)
    return _as_updated(key, found, after)


def _not_billed(updates: Sequence[Update], found: _Open) -> Refused | None:
    """Refuse what is to change something that billing does not have."""
    missing: list[Update] = []
    for x in updates:
        service, product = found.service(x.asset), found.purchase(x.asset)
        alone = product is not None and product.service_instance is None
        of_service = {*x.changes} & ({*_OF_SERVICE} - ({"billing_account"} if alone else set()))
        if (of_service and service is None) or ({*x.changes} & _OF_PRODUCT and product is None):
            missing.append(x)
    if not missing:
        return None
    named = ", ".join(f"{' and '.join(x.changes)} of asset {x.asset}" for x in missing)
    return Refused(code=NOT_BILLED, message=f"billing has no {named}", lines=tuple(x.line for x in missing))


def _values(asked: Update, found: _Open, groups: Mapping[str, str]) -> Iterator[tuple[Row[Any], Mapping[str, Any]]]:
    """The rows that an update reaches, and what is new of each: an account reaches all that goes on in a service."""
    service, product = found.service(asked.asset), found.purchase(asked.asset)
    new = {column: getattr(asked, x) for x, column in _OF_SERVICE.items() if x in asked.changes}
    if service is not None and new:
        yield service, new
        for row in found.within(service) if "account" in new else ():
            yield row, {"account": new["account"]}
    elif product is not None and new:
        yield product, {"account": new["account"], "balance_group": groups[new["account"]]}
    bought: dict[str, Any] = {x: getattr(asked, x) for x in ("promotion_ref", "quantity") if x in asked.changes}
    if "price" in asked.changes:
        bought["price_minor"] = asked.price.minor if asked.price else None
        bought["currency"] = asked.price.currency if asked.price else None
    if product is not None and bought:
        yield product, bought


def _not_begun(row: Row[Any], actual: datetime, line: str) -> Refused | None:
    """Refuse what is about something that has not begun by that date."""
    if _state(row) is InstanceState.INITIATED:
        return Refused(code=WRONG_STATE, message=f"{row.id} is only initiated", lines=(line,))
    if actual < row.starts:
        return Refused(code=WRONG_DATE, message=f"{row.id} begins at {row.starts}, after {actual}", lines=(line,))
    return None


class _Rewritten:
    """Instances and purchases as they are to be, and what they were."""

    def __init__(self, found: _Open) -> None:
        self._services = {x.id for x in found.services}
        self._rows: dict[str, dict[str, Any]] = {}
        self._was: dict[str, dict[str, Any]] = {}

    def change(self, row: Row[Any], values: Mapping[str, Any]) -> None:
        """Let some columns of a row be otherwise; the first value that each had is what it was."""
        before = self._rows.setdefault(row.id, {**row._mapping, "balance_group": None})  # noqa: SLF001 - columns
        was = self._was.setdefault(row.id, {})
        was |= {x: getattr(row, x) for x in values if x not in was and x != "balance_group"}
        before |= values

    def row(self, id_: str) -> Mapping[str, Any] | None:
        """A row as it is to be, if it is to be otherwise."""
        return self._rows.get(id_)

    def write(self, connection: Connection, actual: datetime) -> None:
        """Write all of it down at once."""
        rows = [*self._rows.values()]
        statements.REWRITE.on(
            connection,
            services=_json(x for x in rows if x["id"] in self._services),
            purchases=_json(x for x in rows if x["id"] not in self._services),
            was=_json({"id": id_, "was": was} for id_, was in self._was.items()),
            ids=[x["id"] for x in rows],
            at=actual,
        )


def _json(rows: Iterable[Mapping[str, Any]]) -> str:
    return to_json([*rows]).decode()


def _as_updated(key: str, found: _Open, after: _Rewritten) -> Billed:
    """The answer: the service, or the product that stands alone, and the purchases that are otherwise now."""
    service = found.services[0] if found.services else None
    rewritten = [(x, row) for x in found.purchases if (row := after.row(x.id)) is not None]
    return Billed(
        key=key,
        state=_state(service or found.purchases[0]),
        service_instance=service.id if service else None,
        balance_group=service.balance_group if service else None,
        purchases=tuple(_purchased(x, _state(x), row["quantity"]) for x, row in rewritten),
    )


def charge(
    connection: Connection, key: str, service: str, asked: PurchaseOrder, at: datetime, actual: datetime
) -> Billed | Refused:
    """Charge an Item on a service's own balance group, whatever state the service is in once it has begun (B58)."""
    row = _open(connection, [service]).service(service)
    if row is None:
        return Refused(code=NOT_BILLED, message=f"no service is billed for asset {service}", lines=(asked.line,))
    if (refused := _not_begun(row, actual, asked.line)) is not None:
        return refused
    order = ServiceOrder(
        account=row.account,
        profile=row.profile,
        asset=asked.asset,
        line=asked.line,
        billing_service_type=None,
        service_id=None,
        purchases=(asked,),
        holder=service,
    )
    return effects.purchase(connection, key, drawn_up([order]), order, at, actual)


def repoint(connection: Connection, key: str, moves: Sequence[Move], actual: datetime) -> Repointed | Refused:
    """Let all that is known by the old assets be known by the new ones (B53)."""
    found = _open(connection, [x.old for x in moves])
    if missing := [x for x in moves if not found.of(x.old)]:
        named = ", ".join(x.old for x in missing)
        lines = tuple(x.line for x in missing)
        return Refused(code=NOT_BILLED, message=f"nothing is billed for {named}", lines=lines)
    news = {"accounts": [], "services": [x.new for x in moves], "purchased": [x.new for x in moves]}
    if taken := {*connection.execute(statements.OBSTACLES, news).one().billed}:
        lines = tuple(x.line for x in moves if x.new in taken)
        return Refused(code=ALREADY_BILLED, message=f"billed already: {', '.join(sorted(taken))}", lines=lines)
    after = _Rewritten(found)
    objects: dict[str, str] = {}
    for move in moves:
        for row in found.of(move.old):
            if (refused := _not_begun(row, actual, move.line)) is not None:
                return refused
            after.change(row, {"asset": move.new})
            objects[row.id] = move.new
    after.write(connection, actual)
    return Repointed(key=key, objects=objects)


def _too_early(rows: Sequence[Row[Any]], actual: datetime) -> Refused | None:
    """Refuse a date before something began, or was last suspended or resumed: a date is kept, never changed (5.5)."""
    for row in rows:
        last = row.state_since or row.starts
        if actual < last:
            return Refused(code=WRONG_DATE, message=f"{row.id} is {row.status} since {last}, which is after {actual}")
    return None


def _is_item(row: Row[Any]) -> bool:
    return getattr(row, "billing_type", None) == BillingType.ITEM


def _purchased(row: Row[Any], state: InstanceState, quantity: int) -> Purchased:
    return Purchased(
        id=row.id,
        asset=row.asset,
        product=row.product,
        quantity=quantity,
        state=PURCHASE_OF[state],
        service_instance=row.service_instance,
        starts=row.starts,
    )
