"""What the network is asked and answers, operation by operation."""

from dataclasses import dataclass

from adapters.wire import Operation
from domain.neighbour import Refused
from domain.provisioning import Activation, NetworkService, RunningService, Working


@dataclass(frozen=True, slots=True, kw_only=True)
class Deactivate:
    """Take a service down, and have no effect of the call under the key ``undoes`` any more."""

    service: str
    undoes: str | None = None


ACTIVATE: Operation[NetworkService, Activation | Working | Refused] = Operation(
    "activate", asked=NetworkService, answer=Activation | Working | Refused
)
DEACTIVATE: Operation[Deactivate, Activation | Refused | None] = Operation(
    "deactivate", asked=Deactivate, answer=Activation | Refused | None
)
QUERY: Operation[None, Activation | Refused | None] = Operation("query", asked=None, answer=Activation | Refused | None)
LIST_ACTIVE: Operation[None, tuple[RunningService, ...]] = Operation(
    "list_active", asked=None, answer=tuple[RunningService, ...]
)

SWITCHABLE = frozenset(operation.name for operation in (ACTIVATE, DEACTIVATE, QUERY, LIST_ACTIVE))
SLOW = frozenset({ACTIVATE.name})
