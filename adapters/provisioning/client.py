"""The network, at the other end of a line."""

from collections.abc import Sequence
from datetime import datetime

import httpx

from adapters.provisioning.operations import ACTIVATE, DEACTIVATE, LIST_ACTIVE, QUERY, Deactivate
from adapters.remote import Remote
from domain.neighbour import Refused
from domain.provisioning import Activation, NetworkService, RunningService, Working


class ProvisioningClient:
    """Provisioning over HTTP."""

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._remote = Remote(base_url, transport=transport)

    def activate(self, *, key: str, service: NetworkService) -> Activation | Working | Refused:
        """Bring a service up; ``Working`` when it takes longer: ask again with the same key."""
        return self._remote.call(ACTIVATE, key=key, asked=service)

    def deactivate(self, *, key: str, service: str) -> Activation | Refused | None:
        """Take a service down; ``None`` when the network never had it."""
        return self._remote.call(DEACTIVATE, key=key, asked=Deactivate(service=service))

    def query(self, *, key: str) -> Activation | Refused | None:
        """The answer remembered for a key."""
        return self._remote.read(QUERY, key=key)

    def list_active(self, *, as_of: datetime) -> Sequence[RunningService]:
        """Every service that ran at an instant."""
        return self._remote.read(LIST_ACTIVE, as_of=as_of.isoformat())

    def close(self) -> None:
        """Let go of the connections."""
        self._remote.close()
