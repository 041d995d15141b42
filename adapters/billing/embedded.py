"""The billing system itself: instances and products in two phases or one, charged when they are active."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Engine

from adapters.billing import amending, changing, effects, statements
from adapters.billing.operations import (
    AMEND_INITIATED,
    CHARGE,
    FULFILL,
    INITIATE,
    LIST_ACTIVE,
    PRODUCTS,
    PURCHASE,
    QUERY,
    REFERENCES,
    REPOINT,
    RESUME,
    SUSPEND,
    SWITCHABLE,
    SYNC_CUSTOMER,
    TERMINATE,
    UPDATE,
    VOID_INITIATED,
    About,
    Amend,
    Bill,
    Charge,
    Initiate,
    Repoint,
    Updates,
    Void,
)
from adapters.billing.papers import drawn_up
from adapters.ledger import Ledger
from adapters.switches import Switches
from adapters.wire import Operation
from domain.billing import (
    Account,
    Billed,
    BilledService,
    InstanceState,
    Move,
    PurchaseOrder,
    Repointed,
    ServiceOrder,
    Update,
)
from domain.catalog import BillingType
from domain.catalog_sync import BillingProduct
from domain.money import Money
from domain.neighbour import PAGE, Refused, Unacceptable


class EmbeddedBilling:
    """Accounts, service instances and purchased products with a ledger in the schema ``billing`` (billing.md 5).

    ``switches`` make it misbehave.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime]) -> None:
        """``clock`` gives aware instants; what is active counts from the actual date it is told."""
        self.switches = Switches(engine, schema="billing", operations=SWITCHABLE, slow=frozenset())
        self._engine = engine
        self.ledger = Ledger(engine, schema="billing", clock=clock, switches=self.switches)

    def sync_customer(self, *, key: str, account: Account) -> Account | Refused:
        """Make the account known, or bring it up to date (F34)."""
        return self.ledger.call(
            SYNC_CUSTOMER, key=key, asked=account, effect=lambda connection, _: effects.sync(connection, account)
        )

    def initiate(self, *, key: str, orders: Sequence[ServiceOrder]) -> Billed | Refused:
        """Phase one, all or none: instances and products with dates far ahead, nothing charged or rated (B49, I2).

        ``ACCOUNT_UNKNOWN``, or ``ALREADY_BILLED`` when a service has an open instance (I1).
        """
        papers = drawn_up(orders)
        _must_have_two_phases(orders)
        return self.ledger.call(
            INITIATE,
            key=key,
            asked=Initiate(orders=tuple(orders)),
            effect=lambda connection, at: effects.initiate(connection, key, papers, orders, at),
        )

    def amend_initiated(
        self, *, key: str, orders: Sequence[ServiceOrder], replaces: str, dropped: Sequence[str]
    ) -> Billed | Refused:
        """Let what was initiated under the key ``replaces`` be as ``orders`` say, and void what is ``dropped``.

        All or none.
        Instances and purchases keep their ids as long as their asset and product stay; nothing is charged (B57, 5.4).
        ``WRONG_STATE`` when something that would change is active by now, ``ACCOUNT_UNKNOWN``, ``ALREADY_BILLED``.
        """
        papers = drawn_up(orders)
        _must_have_two_phases(orders)
        return self.ledger.call(
            AMEND_INITIATED,
            key=key,
            asked=Amend(orders=tuple(orders), replaces=replaces, dropped=tuple(dropped)),
            effect=lambda connection, at: amending.amend(connection, key, papers, orders, dropped, at),
            undoes=replaces,
        )

    def fulfill(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """Phase two: active from the actual date, Items charged (B49, B57).

        ``NOT_INITIATED``, ``WRONG_STATE``, ``ACCOUNT_UNKNOWN``, or ``ALREADY_BILLED`` when an Item was bought before.
        """
        papers = drawn_up([order])
        return self.ledger.call(
            FULFILL,
            key=key,
            asked=Bill(order=order, actual=actual),
            effect=lambda connection, _: effects.fulfill(connection, key, papers, order, actual),
        )

    def purchase(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """Instance, products and charges at once (B48); ``ACCOUNT_UNKNOWN`` or ``ALREADY_BILLED``."""
        papers = drawn_up([order])
        return self.ledger.call(
            PURCHASE,
            key=key,
            asked=Bill(order=order, actual=actual),
            effect=lambda connection, at: effects.purchase(connection, key, papers, order, at, actual),
        )

    def void_initiated(self, *, key: str, asset: str, undoes: str | None = None) -> Billed | Refused | None:
        """Take back an initiated service, instance and products together (5.4); ``WRONG_STATE`` once it is active.

        The call under the key ``undoes`` is refused should it arrive later.
        """
        return self.ledger.call(
            VOID_INITIATED,
            key=key,
            asked=Void(asset=asset, undoes=undoes),
            effect=lambda connection, at: effects.void(connection, key, asset, at),
            undoes=undoes,
        )

    def suspend(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """Let a service rest with all that is purchased for it, or one product alone (B50)."""
        return self._become(SUSPEND, key, asset, actual, InstanceState.SUSPENDED)

    def resume(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """Let a suspended service be billed again with all that is purchased for it, or one product alone (B50)."""
        return self._become(RESUME, key, asset, actual, InstanceState.ACTIVE)

    def terminate(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """End a service with all that is purchased for it (B42, B51), or one product of a service that goes on (B52).

        What was charged once stays as it is.
        """
        return self._become(TERMINATE, key, asset, actual, InstanceState.CLOSED)

    def update(self, *, key: str, updates: Sequence[Update], actual: datetime) -> Billed | Refused:
        """Let one service, and products in it, be otherwise: all or none (B54, B56); what it was stays on record."""
        changing.must_make_sense(updates)
        return self.ledger.call(
            UPDATE,
            key=key,
            asked=Updates(updates=tuple(updates), actual=actual),
            effect=lambda connection, _: changing.update(connection, key, updates, actual),
        )

    def charge(self, *, key: str, service: str, charge: PurchaseOrder, actual: datetime) -> Billed | Refused:
        """Charge an Item once, to the balance group of a service (B26, B58)."""
        if charge.billing_type is not BillingType.ITEM:
            raise Unacceptable(f"line {charge.line}: a {charge.billing_type} is not charged once")
        return self.ledger.call(
            CHARGE,
            key=key,
            asked=Charge(service=service, charge=charge, actual=actual),
            effect=lambda connection, at: changing.charge(connection, key, service, charge, at, actual),
        )

    def repoint(self, *, key: str, moves: Sequence[Move], actual: datetime) -> Repointed | Refused:
        """Let instances and purchases be known by other assets, all or none; their ids stay (B53)."""
        return self.ledger.call(
            REPOINT,
            key=key,
            asked=Repoint(moves=tuple(moves), actual=actual),
            effect=lambda connection, _: changing.repoint(connection, key, moves, actual),
        )

    def query(self, *, key: str) -> Billed | Account | Repointed | Refused | None:
        """The answer remembered for a key."""
        return self.ledger.query(QUERY, key=key)

    def references(self, *, product: str) -> Sequence[str]:
        """Ids of the purchases of a product that are not cancelled or voided (B40)."""
        with self.ledger.reading(REFERENCES.name) as connection:
            return tuple(connection.execute(statements.REFERENCES, {"product": product}).scalars())

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[BilledService]:
        """The services billed, initiated or suspended at an instant, and subscriptions that stand on an account (F06).

        Ascending by key: those after ``after``, at most ``limit``.
        """
        with self.ledger.reading(LIST_ACTIVE.name) as connection:
            rows = connection.execute(statements.LIST_ACTIVE, {"as_of": as_of, "after": after, "limit": limit}).all()
        return tuple(
            BilledService(
                service=x.service,
                account=x.account,
                service_instance=x.service_instance,
                since=x.since,
                state=InstanceState(x.state),
                billing_service_type=x.billing_service_type,
                quantity=x.quantity,
                price=None if x.currency is None else Money(x.price_minor, x.currency),
                state_since=x.state_since,
            )
            for x in rows
        )

    def products(self, *, service_instances: Sequence[str]) -> Sequence[BillingProduct]:
        """Billing's own products, Events too; those named come with the codes of their Events (B18, B32, B62)."""
        with self.ledger.reading(PRODUCTS.name) as connection:
            rows = connection.execute(statements.PRODUCTS, {"service_instances": list(service_instances)}).all()
        return tuple(
            BillingProduct(
                code=x.code,
                name=x.name,
                billing_type=BillingType(x.billing_type),
                billing_service_type=x.billing_service_type,
                price=None if x.price_minor is None else Money(x.price_minor, x.currency),
                events=tuple(x.events),
            )
            for x in rows
        )

    def load_products(self, products: Iterable[BillingProduct]) -> None:
        """Put products into billing's own catalog, in the place of those with the same codes."""
        with self._engine.begin() as connection:
            for x in products:
                connection.execute(
                    statements.LOAD_PRODUCT,
                    {
                        "code": x.code,
                        "name": x.name,
                        "billing_type": x.billing_type,
                        "billing_service_type": x.billing_service_type,
                        "price_minor": x.price.minor if x.price else None,
                        "currency": x.price.currency if x.price else None,
                        "events": list(x.events),
                    },
                )

    def close_account(self, *, account: str) -> None:
        """Close an account: nothing more is billed to it."""
        with self._engine.begin() as connection:
            connection.execute(statements.CLOSE_ACCOUNT, {"id": account})

    def _become(
        self,
        operation: Operation[About, Billed | Refused],
        key: str,
        asset: str,
        actual: datetime,
        state: InstanceState,
    ) -> Billed | Refused:
        return self.ledger.call(
            operation,
            key=key,
            asked=About(asset=asset, actual=actual),
            effect=lambda connection, _: changing.become(connection, key, asset, state, actual),
        )


def _must_have_two_phases(orders: Sequence[ServiceOrder]) -> None:
    if not orders or any(x.billing_service_type is None for x in orders):
        raise Unacceptable("only a service has two phases")
    if any(x.billing_type is BillingType.ITEM for order in orders for x in order.purchases):
        raise Unacceptable("an Item is charged at the end, never initiated (I2)")
