"""The network itself: services by asset id, when each ran, and none of them twice."""

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic_core import to_json
from sqlalchemy import Connection, Engine, text

from adapters.ledger import Ledger, NotReady
from adapters.provisioning.operations import ACTIVATE, DEACTIVATE, LIST_ACTIVE, QUERY, SLOW, SWITCHABLE, Deactivate
from adapters.switches import Switches
from domain.neighbour import PAGE, Refused
from domain.provisioning import Activation, NetworkService, RunningService, ServiceState, Working
from sql.prepared import Prepared


class EmbeddedProvisioning:
    """A network with a ledger in the schema ``provisioning`` (F20); ``switches`` make it misbehave, or slow."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime]) -> None:
        """``clock`` gives aware instants; it dates every activation."""
        self.switches = Switches(engine, schema="provisioning", operations=SWITCHABLE, slow=SLOW)
        self.ledger = Ledger(engine, schema="provisioning", clock=clock, switches=self.switches)

    def activate(self, *, key: str, service: NetworkService) -> Activation | Working | Refused:
        """Bring a service up, or bring one that runs up to date: it is never there twice, and runs since it first did.

        A slow network answers ``Working`` and is done by itself when its time has passed; ask again with the same key.
        """
        try:
            return self.ledger.call(
                ACTIVATE, key=key, asked=service, effect=lambda connection, at: _activate(connection, key, service, at)
            )
        except NotReady as answer:
            return Working(key=key, again_in_s=answer.again_in_s)

    def deactivate(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Refused | None:
        """Take a service down, with the instant it went down; ``None`` when the network never had it.

        The activation under the key ``undoes`` is refused should it arrive later.
        """
        return self.ledger.call(
            DEACTIVATE,
            key=key,
            asked=Deactivate(service=service, undoes=undoes),
            effect=lambda connection, at: _deactivate(connection, key, service, at),
            undoes=undoes,
        )

    def query(self, *, key: str) -> Activation | Refused | None:
        """The answer remembered for a key; ``None`` also while the network is at it."""
        try:
            return self.ledger.query(QUERY, key=key)
        except NotReady:
            return None

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[RunningService]:
        """The services that ran at an instant, ascending by key: those after ``after``, at most ``limit`` (F06)."""
        with self.ledger.reading(LIST_ACTIVE.name) as connection:
            rows = connection.execute(_RUNNING, {"as_of": as_of, "after": after, "limit": limit})
            return tuple(RunningService(**row._mapping) for row in rows)  # noqa: SLF001 - the public name of columns


def _activate(connection: Connection, key: str, service: NetworkService, at: datetime) -> Activation:
    since = _ACTIVATE.on(
        connection,
        service=service.service,
        product=service.product,
        account=service.account,
        billable=service.billable,
        service_id=service.service_id,
        features=list(service.features),
        numbers=to_json(service.numbers).decode(),
        attributes=to_json(service.attributes).decode(),
        since=at,
    ).scalar_one()
    return Activation(key=key, service=service.service, state=ServiceState.ACTIVE, at=since)


def _deactivate(connection: Connection, key: str, service: str, at: datetime) -> Activation | None:
    until = connection.execute(_DEACTIVATE, {"service": service, "at": at}).scalar_one_or_none()
    if until is None:
        until = connection.execute(_STOPPED, {"service": service}).scalar_one()
    if until is None:
        return None
    return Activation(key=key, service=service, state=ServiceState.INACTIVE, at=until)


_ACTIVATE = Prepared(
    """
INSERT INTO provisioning.services
    (service, product, account, billable, service_id, features, numbers, attributes, since)
VALUES (:service, :product, :account, :billable, :service_id, :features, :numbers, :attributes, :since)
ON CONFLICT (service) WHERE until IS NULL DO UPDATE SET
    (product, account, billable, service_id, features, numbers, attributes)
    = (EXCLUDED.product, EXCLUDED.account, EXCLUDED.billable, EXCLUDED.service_id, EXCLUDED.features, EXCLUDED.numbers,
       EXCLUDED.attributes)
RETURNING since
""",
    service="text",
    product="text",
    account="text",
    billable="boolean",
    service_id="text",
    features="text[]",
    numbers="jsonb",
    attributes="jsonb",
    since="timestamptz",
)

# A slow activation that is called off before it ran leaves an empty period.
_DEACTIVATE = text("""
UPDATE provisioning.services SET until = greatest(since, :at) WHERE service = :service AND until IS NULL RETURNING until
""")

_STOPPED = text("SELECT max(until) FROM provisioning.services WHERE service = :service AND until IS NOT NULL")

# What has stopped since the instant is found first, by its end: there is much that stopped long ago.
_RUNNING = text("""
WITH stopped AS MATERIALIZED (
    SELECT service, account, billable, since FROM provisioning.services WHERE until > :as_of
)
SELECT service, account, billable, since FROM (
    (SELECT service, account, billable, since FROM provisioning.services
      WHERE until IS NULL AND since <= :as_of AND service > :after ORDER BY service LIMIT :limit)
    UNION ALL
    SELECT * FROM stopped WHERE since <= :as_of AND service > :after
) AS found ORDER BY service LIMIT :limit
""")
