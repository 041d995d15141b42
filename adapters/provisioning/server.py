"""The network, served over HTTP."""

from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import AwareDatetime

from adapters.provisioning.embedded import EmbeddedProvisioning
from adapters.provisioning.operations import ACTIVATE, DEACTIVATE, LIST_ACTIVE, MODIFY, QUERY, RESUME, SUSPEND
from adapters.serving import Change, add_controls, question, serve
from domain.neighbour import PAGE, Refused
from domain.provisioning import Activation, RunningService


def create_app(provisioning: EmbeddedProvisioning) -> FastAPI:
    """The server of an embedded network."""
    app = serve(
        "Provisioning",
        changes=(
            Change(ACTIVATE, lambda key, x: provisioning.activate(key=key, service=x)),
            Change(MODIFY, lambda key, x: provisioning.modify(key=key, service=x.service, undoes=x.undoes)),
            Change(SUSPEND, lambda key, x: provisioning.suspend(key=key, service=x.service, undoes=x.undoes)),
            Change(RESUME, lambda key, x: provisioning.resume(key=key, service=x.service, undoes=x.undoes)),
            Change(DEACTIVATE, lambda key, x: provisioning.deactivate(key=key, service=x.service, undoes=x.undoes)),
        ),
    )

    @question(app, QUERY)
    def query(key: str) -> Activation | Refused | None:
        return provisioning.query(key=key)

    @question(app, LIST_ACTIVE)
    def list_active(
        as_of: AwareDatetime, after: str = "", limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE
    ) -> tuple[RunningService, ...]:
        return tuple(provisioning.list_active(as_of=as_of, after=after, limit=limit))

    add_controls(app, switches=provisioning.switches, ledger=provisioning.ledger)
    return app
