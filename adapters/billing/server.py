"""The billing system, served over HTTP."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import AwareDatetime

from adapters.billing.embedded import EmbeddedBilling
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
    SYNC_CUSTOMER,
    TERMINATE,
    UPDATE,
    VOID_INITIATED,
)
from adapters.serving import Change, add_controls, question, serve
from domain.billing import Account, Billed, BilledService, Repointed
from domain.catalog_sync import BillingProduct
from domain.neighbour import PAGE, Refused


def create_app(billing: EmbeddedBilling) -> FastAPI:
    """The server of an embedded billing system."""
    app = serve(
        "Billing",
        changes=(
            Change(SYNC_CUSTOMER, lambda key, x: billing.sync_customer(key=key, account=x)),
            Change(INITIATE, lambda key, x: billing.initiate(key=key, orders=x.orders)),
            Change(
                AMEND_INITIATED,
                lambda key, x: billing.amend_initiated(
                    key=key, orders=x.orders, replaces=x.replaces, dropped=x.dropped
                ),
            ),
            Change(FULFILL, lambda key, x: billing.fulfill(key=key, order=x.order, actual=x.actual)),
            Change(PURCHASE, lambda key, x: billing.purchase(key=key, order=x.order, actual=x.actual)),
            Change(VOID_INITIATED, lambda key, x: billing.void_initiated(key=key, asset=x.asset, undoes=x.undoes)),
            Change(SUSPEND, lambda key, x: billing.suspend(key=key, asset=x.asset, actual=x.actual)),
            Change(RESUME, lambda key, x: billing.resume(key=key, asset=x.asset, actual=x.actual)),
            Change(TERMINATE, lambda key, x: billing.terminate(key=key, asset=x.asset, actual=x.actual)),
            Change(UPDATE, lambda key, x: billing.update(key=key, updates=x.updates, actual=x.actual)),
            Change(CHARGE, lambda key, x: billing.charge(key=key, service=x.service, charge=x.charge, actual=x.actual)),
            Change(REPOINT, lambda key, x: billing.repoint(key=key, moves=x.moves, actual=x.actual)),
        ),
    )

    @question(app, QUERY)
    def query(key: str) -> Billed | Account | Repointed | Refused | None:
        return billing.query(key=key)

    @question(app, REFERENCES)
    def references(product: str) -> tuple[str, ...]:
        return tuple(billing.references(product=product))

    @question(app, LIST_ACTIVE)
    def list_active(
        as_of: AwareDatetime, after: str = "", limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE
    ) -> tuple[BilledService, ...]:
        return tuple(billing.list_active(as_of=as_of, after=after, limit=limit))

    @question(app, PRODUCTS)
    def products(service_instances: Annotated[Sequence[str], Query()] = ()) -> tuple[BillingProduct, ...]:
        return tuple(billing.products(service_instances=service_instances))

    @app.put("/products", tags=["control"], status_code=204)
    def load_products(products: list[BillingProduct]) -> None:
        billing.load_products(products)

    add_controls(app, switches=billing.switches, ledger=billing.ledger)
    return app
