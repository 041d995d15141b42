"""The inventory system, served over HTTP: the protocol, and the keeping of shelves and pools (F29, F30)."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException

from adapters.inventory.embedded import EmbeddedInventory
from adapters.inventory.operations import AMEND_RESERVATION, COMMIT, DELIVER, QUERY, RELEASE, RESERVE, RETIRE
from adapters.inventory.supplies import Number, Stock
from adapters.serving import Change, add_controls, question, serve
from domain.inventory import DEFAULT_LOCATION, Delivery, Reservation, Retired
from domain.neighbour import Refused


def create_app(inventory: EmbeddedInventory) -> FastAPI:
    """The server of an embedded inventory."""
    app = serve(
        "Inventory",
        changes=(
            Change(RESERVE, lambda key, x: inventory.reserve(key=key, order=x.order, demands=x.demands)),
            Change(
                AMEND_RESERVATION,
                lambda key, x: inventory.amend_reservation(
                    key=key, order=x.order, demands=x.demands, replaces=x.replaces
                ),
            ),
            Change(DELIVER, lambda key, x: inventory.deliver(key=key, reservation=x.reservation, line=x.line)),
            Change(COMMIT, lambda key, x: inventory.commit(key=key, reservation=x.reservation)),
            Change(RELEASE, lambda key, x: inventory.release(key=key, reservation=x.reservation)),
            Change(RETIRE, lambda key, x: inventory.retire(key=key, retirements=x.retirements)),
        ),
    )

    @question(app, QUERY)
    def query(key: str) -> Reservation | Delivery | Retired | Refused | None:
        return inventory.query(key=key)

    _add_supplies(app, inventory)
    add_controls(app, switches=inventory.switches, ledger=inventory.ledger)
    return app


def _add_supplies(app: FastAPI, inventory: EmbeddedInventory) -> None:
    @app.get("/stock", tags=["supplies"])
    def stock() -> Sequence[Stock]:
        return inventory.supplies.stock()

    @app.post("/stock", tags=["supplies"])
    def receive(
        sku: Annotated[str, Body()],
        quantity: Annotated[int, Body(ge=0)],
        location: Annotated[str, Body()] = DEFAULT_LOCATION,
        reorder_point: Annotated[int | None, Body(ge=0)] = None,
    ) -> Stock:
        return inventory.supplies.receive(sku=sku, quantity=quantity, location=location, reorder_point=reorder_point)

    @app.get("/pools/{pool}", tags=["supplies"])
    def numbers(pool: str) -> Sequence[Number]:
        return inventory.supplies.numbers(pool=pool)

    @app.post("/pools/{pool}", tags=["supplies"])
    def create_range(pool: str, first: Annotated[str, Body()], last: Annotated[str, Body()]) -> int:
        try:
            return inventory.supplies.create_range(pool=pool, first=first, last=last)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error

    @app.delete("/pools/{pool}", tags=["supplies"])
    def delete_unused(pool: str, value: str | None = None) -> Sequence[str]:
        return inventory.supplies.delete_unused(pool=pool, values=None if value is None else [value])
