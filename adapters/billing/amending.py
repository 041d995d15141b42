"""What becomes of initiated services when their order is revised: the same objects, as far as they can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from adapters.billing import effects, statements
from adapters.billing.effects import WRONG_STATE, starts_of
from adapters.billing.papers import Papers
from domain.billing import Billed, InstanceState, Purchased, PurchaseState, ServiceOrder
from domain.neighbour import Refused


def amend(
    connection: Connection,
    key: str,
    papers: Papers,
    orders: Sequence[ServiceOrder],
    dropped: Sequence[str],
    at: datetime,
) -> Billed | Refused:
    """Void what is dropped, change what is there, make what is new; refused as soon as one of it cannot be done."""
    for asset in dropped:
        voided = effects.void(connection, key, asset, at)
        if isinstance(voided, Refused):
            return voided
    there = _found(connection, orders)
    for order in orders:
        if order.asset in there and (refused := _change(connection, order, there[order.asset], papers, at)):
            return refused
    new = [x for x in orders if x.asset not in there]
    if new and isinstance(made := effects.initiate(connection, key, _of(papers, new), new, at), Refused):
        return made
    return _answer(connection, key, orders)


@dataclass(frozen=True, slots=True)
class _Found:
    """An open instance, and its open purchases by asset."""

    instance: Row[Any]
    purchases: Mapping[str, Row[Any]]


def _found(connection: Connection, orders: Sequence[ServiceOrder]) -> Mapping[str, _Found]:
    assets = {"assets": [x.asset for x in orders]}
    instances = connection.execute(statements.OPEN_INSTANCES, assets).all()
    purchases = connection.execute(statements.OPEN_PURCHASES, {"instances": [x.id for x in instances]}).all()
    return {x.asset: _Found(x, {p.asset: p for p in purchases if p.service_instance == x.id}) for x in instances}


def _change(connection: Connection, order: ServiceOrder, found: _Found, papers: Papers, at: datetime) -> Refused | None:
    """Bring an instance and its purchases to what is ordered now; what runs already may only stay as it is."""
    wanted = {x["asset"]: x for x in papers.purchases if x["asset"] in {y.asset for y in order.purchases}}
    if found.instance.status != InstanceState.INITIATED:
        if _is_as_ordered(order, found, wanted):
            return None
        return Refused(code=WRONG_STATE, message=f"the service is {found.instance.status} and cannot be amended")
    if connection.execute(statements.AMEND_INSTANCE, _instance(order, found)).first() is None:
        return Refused(code=effects.ACCOUNT_UNKNOWN, message=f"no open account {order.account}")
    starts = starts_of([order], at)
    for asset, row in found.purchases.items():
        if asset not in wanted or wanted[asset]["product"] != row.product:
            connection.execute(statements.VOID_PURCHASE, {"id": row.id, "at": at})
    for asset, purchase in wanted.items():
        there = found.purchases.get(asset)
        if there is not None and there.product == purchase["product"]:
            connection.execute(statements.AMEND_PURCHASE, {**purchase, "id": there.id, "starts": starts})
        else:
            connection.execute(statements.ADD_PURCHASE, {**purchase, "instance": found.instance.id, "starts": starts})
    return None


def _instance(order: ServiceOrder, found: _Found) -> Mapping[str, Any]:
    return {
        "id": found.instance.id,
        "account": order.account,
        "profile": order.profile,
        "service_id": order.service_id,
    }


def _is_as_ordered(order: ServiceOrder, found: _Found, wanted: Mapping[str, Mapping[str, Any]]) -> bool:
    instance = (found.instance.account, found.instance.profile, found.instance.service_id)
    names = ("product", "quantity", "price_minor", "currency", "promotion_ref")
    have = {asset: [getattr(row, x) for x in names] for asset, row in found.purchases.items() if asset in wanted}
    return instance == (order.account, order.profile, order.service_id) and have == {
        asset: [purchase[x] for x in names] for asset, purchase in wanted.items()
    }


def _of(papers: Papers, orders: Sequence[ServiceOrder]) -> Papers:
    """Those of the papers that are about these orders."""
    instances = [x for x in papers.instances if x["asset"] in {y.asset for y in orders}]
    ids = {x["id"] for x in instances}
    return Papers(instances, [x for x in papers.purchases if x["instance"] in ids])


def _answer(connection: Connection, key: str, orders: Sequence[ServiceOrder]) -> Billed:
    found = _found(connection, orders)
    own = found[orders[0].asset].instance
    return Billed(
        key=key,
        state=InstanceState.INITIATED,
        service_instance=own.id,
        balance_group=own.balance_group,
        purchases=tuple(
            Purchased(
                id=row.id,
                asset=row.asset,
                product=row.product,
                quantity=row.quantity,
                state=PurchaseState(row.status),
                service_instance=row.service_instance,
                starts=row.purchase_start,
            )
            for order in orders
            for row in found[order.asset].purchases.values()
        ),
    )
