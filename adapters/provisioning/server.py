"""The embedded network over HTTP."""

from datetime import datetime

from fastapi import FastAPI

from adapters.provisioning.embedded import EmbeddedProvisioning
from adapters.provisioning.operations import ACTIVATE, DEACTIVATE, LIST_ACTIVE, QUERY
from adapters.serving import Served, create_app


def serve(provisioning: EmbeddedProvisioning) -> FastAPI:
    """The network as an application."""
    return create_app(
        Served(
            name="provisioning",
            switches=provisioning.switches,
            does={
                ACTIVATE: lambda key, asked: provisioning.activate(key=key, service=asked),
                DEACTIVATE: lambda key, asked: provisioning.deactivate(key=key, service=asked.service),
            },
            reads={
                QUERY: lambda asked: provisioning.query(key=asked["key"]),
                LIST_ACTIVE: lambda asked: provisioning.list_active(as_of=datetime.fromisoformat(asked["as_of"])),
            },
        )
    )
