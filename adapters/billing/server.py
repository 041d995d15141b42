"""The embedded billing system over HTTP."""

from datetime import datetime

from fastapi import FastAPI

from adapters.billing.embedded import EmbeddedBilling
from adapters.billing.operations import (
    FULFILL,
    INITIATE,
    LIST_ACTIVE,
    PRODUCTS,
    PURCHASE,
    QUERY,
    REFERENCES,
    SYNC_CUSTOMER,
    VOID_INITIATED,
)
from adapters.serving import Served, create_app


def serve(billing: EmbeddedBilling) -> FastAPI:
    """The billing system as an application."""
    return create_app(
        Served(
            name="billing",
            switches=billing.switches,
            does={
                SYNC_CUSTOMER: lambda key, asked: billing.sync_customer(key=key, account=asked),
                INITIATE: lambda key, asked: billing.initiate(key=key, orders=asked.orders),
                FULFILL: lambda key, asked: billing.fulfill(key=key, order=asked.order, actual=asked.actual),
                PURCHASE: lambda key, asked: billing.purchase(key=key, order=asked.order, actual=asked.actual),
                VOID_INITIATED: lambda key, asked: billing.void_initiated(key=key, asset=asked.asset),
            },
            reads={
                QUERY: lambda asked: billing.query(key=asked["key"]),
                REFERENCES: lambda asked: billing.references(product=asked["product"]),
                LIST_ACTIVE: lambda asked: billing.list_active(as_of=datetime.fromisoformat(asked["as_of"])),
                PRODUCTS: lambda asked: billing.products(service_instances=asked.getlist("service_instances")),
            },
        )
    )
