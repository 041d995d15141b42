"""The network itself: services by asset id, when each ran or was suspended, and none of them twice."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, Engine

from adapters.ledger import Effect, Ledger, NotReady
from adapters.provisioning import statements
from adapters.provisioning.operations import (
    ACTIVATE,
    DEACTIVATE,
    LIST_ACTIVE,
    MODIFY,
    QUERY,
    RESUME,
    SLOW,
    SUSPEND,
    SWITCHABLE,
    About,
    Modify,
)
from adapters.switches import Switches
from adapters.wire import Answer, Asked, Operation
from domain.neighbour import PAGE, Refused
from domain.provisioning import Activation, NetworkService, RunningService, ServiceState, Working

NOT_RUNNING = "NOT_RUNNING"
WRONG_STATE = "WRONG_STATE"


class EmbeddedProvisioning:
    """A network with a ledger in the schema ``provisioning`` (F20); ``switches`` make it misbehave, or slow.

    A slow network answers ``Working`` to whatever changes a service, and is done by itself when its time has passed;
    ask again with the same key.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime]) -> None:
        """``clock`` gives aware instants; it dates everything that is done."""
        self.switches = Switches(engine, schema="provisioning", operations=SWITCHABLE, slow=SLOW)
        self.ledger = Ledger(engine, schema="provisioning", clock=clock, switches=self.switches)

    def activate(self, *, key: str, service: NetworkService) -> Activation | Working | Refused:
        """Bring a service up, or bring one that runs up to date: it is never there twice, and runs since it first did.

        ``WRONG_STATE`` when it is suspended.
        """
        return self._call(ACTIVATE, key, service, lambda connection, at: _activate(connection, key, service, at))

    def modify(self, *, key: str, service: NetworkService, undoes: str | None = None) -> Activation | Working | Refused:
        """Bring a service up to date, whether it runs or is suspended; ``NOT_RUNNING`` when it is not there."""
        asked = Modify(service=service, undoes=undoes)
        return self._call(MODIFY, key, asked, lambda connection, at: _modify(connection, key, service, at), undoes)

    def suspend(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused:
        """Let a service rest, with the instant since when; one that rests goes on resting since then.

        ``NOT_RUNNING`` when it is not there.
        """
        asked = About(service=service, undoes=undoes)
        return self._call(SUSPEND, key, asked, lambda connection, at: _suspend(connection, key, service, at), undoes)

    def resume(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused:
        """Let a suspended service run again, with the instant since when; one that runs does so since it last began.

        ``NOT_RUNNING`` when it is not there.
        """
        asked = About(service=service, undoes=undoes)
        return self._call(RESUME, key, asked, lambda connection, at: _resume(connection, key, service, at), undoes)

    def deactivate(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused | None:
        """Take a service down, suspended or not, with the instant it went down; ``None`` when it was never there."""
        asked = About(service=service, undoes=undoes)
        return self._call(
            DEACTIVATE, key, asked, lambda connection, at: _deactivate(connection, key, service, at), undoes
        )

    def query(self, *, key: str) -> Activation | Refused | None:
        """The answer remembered for a key; ``None`` also while the network is at it."""
        try:
            return self.ledger.query(QUERY, key=key)
        except NotReady:
            return None

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[RunningService]:
        """The services that ran or were suspended at an instant, ascending by key (F06).

        Those after ``after``, at most ``limit``.
        """
        with self.ledger.reading(LIST_ACTIVE.name) as connection:
            rows = connection.execute(statements.LIST_ACTIVE, {"as_of": as_of, "after": after, "limit": limit})
            return tuple(RunningService(**{**row._mapping, "state": ServiceState(row.state)}) for row in rows)  # noqa: SLF001 - the public name of columns

    def _call(
        self,
        operation: Operation[Asked, Answer | Working],
        key: str,
        asked: Asked,
        effect: Effect[Answer],
        undoes: str | None = None,
    ) -> Answer | Working:
        try:
            return self.ledger.call(operation, key=key, asked=asked, effect=effect, undoes=undoes)
        except NotReady as answer:
            return Working(key=key, again_in_s=answer.again_in_s)


def _activate(connection: Connection, key: str, service: NetworkService, at: datetime) -> Activation | Refused:
    since = statements.ACTIVATE.on(connection, **_row(service), at=at).scalar_one_or_none()
    if since is None:
        return Refused(code=WRONG_STATE, message=f"service {service.service} is suspended: it is resumed")
    return Activation(key=key, service=service.service, state=ServiceState.ACTIVE, at=since)


def _modify(connection: Connection, key: str, service: NetworkService, at: datetime) -> Activation | Refused:
    state = statements.MODIFY.on(connection, **_row(service), at=at).scalar_one_or_none()
    if state is None:
        return _not_running(service.service)
    return Activation(key=key, service=service.service, state=ServiceState(state), at=at)


def _suspend(connection: Connection, key: str, service: str, at: datetime) -> Activation | Refused:
    since = statements.SUSPEND.on(connection, service=service, at=at).scalar_one_or_none()
    if since is None:
        return _not_running(service)
    return Activation(key=key, service=service, state=ServiceState.SUSPENDED, at=since)


def _resume(connection: Connection, key: str, service: str, at: datetime) -> Activation | Refused:
    since = statements.RESUME.on(connection, service=service, at=at).scalar_one_or_none()
    if since is None:
        return _not_running(service)
    return Activation(key=key, service=service, state=ServiceState.ACTIVE, at=since)


def _deactivate(connection: Connection, key: str, service: str, at: datetime) -> Activation | None:
    until = statements.DEACTIVATE.on(connection, service=service, at=at).scalar_one_or_none()
    if until is None:
        until = connection.execute(statements.STOPPED, {"service": service}).scalar_one()
    if until is None:
        return None
    return Activation(key=key, service=service, state=ServiceState.INACTIVE, at=until)


def _not_running(service: str) -> Refused:
    return Refused(code=NOT_RUNNING, message=f"service {service} is not on the network")


def _row(service: NetworkService) -> Mapping[str, Any]:
    return {
        "service": service.service,
        "product": service.product,
        "account": service.account,
        "billable": service.billable,
        "service_id": service.service_id,
        "features": list(service.features),
        "numbers": to_json(service.numbers).decode(),
        "attributes": to_json(service.attributes).decode(),
    }
