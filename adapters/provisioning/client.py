"""A remote network, over HTTP."""

from collections.abc import Sequence
from datetime import datetime

import httpx

from adapters.provisioning.operations import ACTIVATE, DEACTIVATE, LIST_ACTIVE, QUERY, Deactivate
from adapters.remote import Remote
from domain.neighbour import PAGE, Refused
from domain.provisioning import Activation, NetworkService, RunningService, ServiceState, Working


class ProvisioningClient:
    """The network at a base URL, which serves what :mod:`adapters.provisioning.operations` says."""

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._remote = Remote(base_url, transport=transport)

    def activate(self, *, key: str, service: NetworkService) -> Activation | Working | Refused:
        """Bring a service up (F20)."""
        return self._remote.call(
            ACTIVATE, key=key, asked=service, fits=lambda x: _fits(x, key, service.service, ServiceState.ACTIVE)
        )

    def deactivate(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Refused | None:
        """Take a service down."""
        asked = Deactivate(service=service, undoes=undoes)
        return self._remote.call(
            DEACTIVATE, key=key, asked=asked, fits=lambda x: _fits(x, key, service, ServiceState.INACTIVE)
        )

    def query(self, *, key: str) -> Activation | Refused | None:
        """The answer remembered for a key."""
        return self._remote.ask(QUERY, {"key": key}, fits=lambda x: not isinstance(x, Activation) or x.key == key)

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[RunningService]:
        """The services that ran at an instant, ascending by key (F06)."""
        return self._remote.ask(
            LIST_ACTIVE,
            {"as_of": as_of.isoformat(), "after": after, "limit": limit},
            fits=lambda found: all(x.since.tzinfo and x.service > after for x in found),
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._remote.close()


def _fits(answer: Activation | Working | Refused | None, key: str, service: str, state: ServiceState) -> bool:
    match answer:
        case Activation():
            return (answer.key, answer.service, answer.state) == (key, service, state) and answer.at.tzinfo is not None
        case Working():
            return answer.key == key and answer.again_in_s >= 0
        case _:
            return True
