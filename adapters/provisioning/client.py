"""A remote network, over HTTP."""

from collections.abc import Sequence
from datetime import datetime

import httpx

from adapters.provisioning.operations import (
    ACTIVATE,
    DEACTIVATE,
    LIST_ACTIVE,
    MODIFY,
    QUERY,
    RESUME,
    SUSPEND,
    About,
    Modify,
)
from adapters.remote import AT_ONCE, Remote, aware
from domain.neighbour import PAGE, Refused
from domain.provisioning import Activation, NetworkService, RunningService, ServiceState, Working


class ProvisioningClient:
    """The network at a base URL, which serves what :mod:`adapters.provisioning.operations` says."""

    def __init__(self, base_url: str, *, at_once: int = AT_ONCE, transport: httpx.BaseTransport | None = None) -> None:
        self._remote = Remote(base_url, at_once=at_once, transport=transport)

    def activate(self, *, key: str, service: NetworkService) -> Activation | Working | Refused:
        """Bring a service up (F20)."""
        return self._remote.call(
            ACTIVATE, key=key, asked=service, fits=lambda x: _fits(x, key, service.service, ServiceState.ACTIVE)
        )

    def modify(self, *, key: str, service: NetworkService, undoes: str | None = None) -> Activation | Working | Refused:
        """Bring a service up to date, in the state it is in."""
        asked = Modify(service=service, undoes=undoes)
        states = (ServiceState.ACTIVE, ServiceState.SUSPENDED)
        return self._remote.call(MODIFY, key=key, asked=asked, fits=lambda x: _fits(x, key, service.service, *states))

    def suspend(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused:
        """Let a service rest (F28)."""
        asked = About(service=service, undoes=undoes)
        return self._remote.call(
            SUSPEND, key=key, asked=asked, fits=lambda x: _fits(x, key, service, ServiceState.SUSPENDED)
        )

    def resume(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused:
        """Let a suspended service run again."""
        asked = About(service=service, undoes=undoes)
        return self._remote.call(
            RESUME, key=key, asked=asked, fits=lambda x: _fits(x, key, service, ServiceState.ACTIVE)
        )

    def deactivate(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused | None:
        """Take a service down."""
        asked = About(service=service, undoes=undoes)
        return self._remote.call(
            DEACTIVATE, key=key, asked=asked, fits=lambda x: _fits(x, key, service, ServiceState.INACTIVE)
        )

    def query(self, *, key: str) -> Activation | Refused | None:
        """The answer remembered for a key."""
        return self._remote.ask(QUERY, {"key": key}, fits=lambda x: not isinstance(x, Activation) or x.key == key)

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[RunningService]:
        """The services that ran or were suspended at an instant, ascending by key (F06)."""
        return self._remote.ask(
            LIST_ACTIVE,
            {"as_of": as_of.isoformat(), "after": after, "limit": limit},
            fits=lambda found: all(aware(x.since, x.state_since) and x.service > after for x in found),
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._remote.close()


def _fits(answer: Activation | Working | Refused | None, key: str, service: str, *states: ServiceState) -> bool:
    match answer:
        case Activation():
            return (answer.key, answer.service) == (key, service) and answer.state in states and aware(answer.at)
        case Working():
            return answer.key == key and answer.again_in_s >= 0
        case _:
            return True
