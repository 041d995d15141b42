"""What each billing operation does to the rows, within the transaction that also remembers its answer."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from adapters.billing import statements
from adapters.billing.papers import Papers, charged
from domain.billing import (
    INSTANCE_NEXT,
    PLACEHOLDER_DAYS,
    PURCHASE_OF,
    Account,
    Billed,
    InstanceState,
    Purchased,
    ServiceOrder,
)
from domain.neighbour import Refused

ACCOUNT_UNKNOWN = "ACCOUNT_UNKNOWN"
ALREADY_BILLED = "ALREADY_BILLED"
NOT_BILLED = "NOT_BILLED"
NOT_INITIATED = "NOT_INITIATED"
WRONG_DATE = "WRONG_DATE"
WRONG_STATE = "WRONG_STATE"


def sync(connection: Connection, account: Account) -> Account:
    """Write the account down; its default balance group stays what it is."""
    row = {"id": account.id, "name": account.name, "owner": account.owner, "balance_group": f"BG-{account.id}"}
    connection.execute(statements.SYNC_CUSTOMER, row)
    return account


def initiate(
    connection: Connection, key: str, papers: Papers, orders: Sequence[ServiceOrder], at: datetime
) -> Billed | Refused:
    """Make instances and products that begin far ahead, until the real date is known (5.1)."""
    starts = starts_of(orders, at)
    return _make(connection, key, papers, orders, InstanceState.INITIATED, at=at, active_from=None, starts=starts)


def starts_of(orders: Sequence[ServiceOrder], at: datetime) -> datetime:
    """When what is initiated would begin by itself: far behind the day it is due (5.1, B57)."""
    due = max((datetime.combine(x.due, time.min, UTC) for x in orders if x.due), default=at)
    return max(at, due) + timedelta(days=PLACEHOLDER_DAYS)


def purchase(
    connection: Connection, key: str, papers: Papers, order: ServiceOrder, at: datetime, actual: datetime
) -> Billed | Refused:
    """Make an instance and its products that begin on the actual date, and charge its Items."""
    return _make(connection, key, papers, [order], InstanceState.ACTIVE, at=at, active_from=actual, starts=actual)


def _make(
    connection: Connection,
    key: str,
    papers: Papers,
    orders: Sequence[ServiceOrder],
    state: InstanceState,
    *,
    at: datetime,
    active_from: datetime | None,
    starts: datetime,
) -> Billed | Refused:
    instances, purchases = papers.as_json
    rows = statements.MAKE.on(
        connection,
        instances=instances,
        purchases=purchases,
        holder=orders[0].holder,
        status=state,
        purchase_status=PURCHASE_OF[state],
        at=at,
        active_from=active_from,
        starts=starts,
    ).all()
    instance_of = {row.id: row.service_instance for row in rows if row.id is not None}
    if rows[0].instances < len(papers.instances) or len(instance_of) < len(papers.purchases):
        return _obstacle(connection, orders)
    own = papers.instances[0] if papers.instances else {}
    return Billed(
        key=key,
        state=state,
        service_instance=own.get("id"),
        balance_group=own.get("balance_group"),
        purchases=tuple(
            Purchased(
                id=x["id"],
                asset=x["asset"],
                product=x["product"],
                quantity=x["quantity"],
                state=PURCHASE_OF[state],
                service_instance=instance_of[x["id"]],
                starts=starts,
            )
            for x in papers.purchases
        ),
        charged=charged(orders),
    )


def fulfill(
    connection: Connection, key: str, papers: Papers, order: ServiceOrder, actual: datetime
) -> Billed | Refused:
    """Let an initiated service and its products begin on the actual date, and charge its Items."""
    _, purchases = papers.as_json
    rows = statements.FULFILL.on(connection, asset=order.asset, starts=actual, purchases=purchases).all()
    if not rows:
        return _cannot_become(connection, order.asset, InstanceState.ACTIVE) or Refused(
            code=NOT_INITIATED, message=f"nothing is initiated for asset {order.asset}"
        )
    if {x.asset for x in order.purchases} - {row.asset for row in rows}:
        return _obstacle(connection, [order])
    return _billed(key, InstanceState.ACTIVE, rows, order, starts=actual)


def void(connection: Connection, key: str, asset: str, at: datetime) -> Billed | Refused | None:
    """Take back an initiated service with its products."""
    rows = statements.VOID.on(connection, asset=asset, at=at).all()
    if not rows:
        return _cannot_become(connection, asset, InstanceState.VOIDED)
    return _billed(key, InstanceState.VOIDED, rows, None, starts=None)


def _billed(
    key: str, state: InstanceState, rows: Sequence[Row[Any]], order: ServiceOrder | None, *, starts: datetime | None
) -> Billed:
    """The answer about one instance, from its rows: one for each purchase, or a single one without."""
    return Billed(
        key=key,
        state=state,
        service_instance=rows[0].service_instance,
        balance_group=rows[0].balance_group,
        purchases=tuple(
            Purchased(
                id=row.id,
                asset=row.asset,
                product=row.product,
                quantity=row.quantity,
                state=PURCHASE_OF[state],
                service_instance=row.service_instance,
                starts=starts,
            )
            for row in rows
            if row.id is not None
        ),
        charged=charged([order]) if order else None,
    )


def _obstacle(connection: Connection, orders: Sequence[ServiceOrder]) -> Refused:
    """Why not everything could be made."""
    asked = {
        "accounts": [x.account for x in orders],
        "services": [x.asset for x in orders if x.billing_service_type is not None],
        "purchased": [x.asset for order in orders for x in order.purchases],
    }
    row = connection.execute(statements.OBSTACLES, asked).one()
    if row.unknown:
        return Refused(code=ACCOUNT_UNKNOWN, message=f"no open account {', '.join(sorted(row.unknown))}")
    return Refused(code=ALREADY_BILLED, message=f"billed already: {', '.join(sorted(row.billed))}")


def _cannot_become(connection: Connection, asset: str, wanted: InstanceState) -> Refused | None:
    """Why the asset's open instance does not pass into a state; ``None`` when there is no open instance (5.1)."""
    row = connection.execute(statements.INSTANCE, {"asset": asset}).one_or_none()
    if row is None:
        return None
    state = InstanceState(row.status)
    if state is InstanceState.INITIATED and wanted in INSTANCE_NEXT[state]:
        return Refused(code=ACCOUNT_UNKNOWN, message=f"no open account {row.account}")
    return Refused(code=WRONG_STATE, message=f"the service is {state} and cannot become {wanted}")
