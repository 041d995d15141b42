"""The embedded inventory over HTTP."""

from fastapi import FastAPI

from adapters.inventory.embedded import EmbeddedInventory
from adapters.inventory.operations import COMMIT, DELIVER, QUERY, RELEASE, RESERVE
from adapters.serving import Served, create_app


def serve(inventory: EmbeddedInventory) -> FastAPI:
    """The inventory as an application."""
    return create_app(
        Served(
            name="inventory",
            switches=inventory.switches,
            does={
                RESERVE: lambda key, asked: inventory.reserve(key=key, order=asked.order, demands=asked.demands),
                DELIVER: lambda key, asked: inventory.deliver(key=key, reservation=asked.reservation, line=asked.line),
                COMMIT: lambda key, asked: inventory.commit(key=key, reservation=asked.reservation),
                RELEASE: lambda key, asked: inventory.release(key=key, reservation=asked.reservation),
            },
            reads={QUERY: lambda asked: inventory.query(key=asked["key"])},
        )
    )
