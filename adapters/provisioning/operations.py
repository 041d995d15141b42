"""What the network is asked and answers, operation by operation."""

from dataclasses import dataclass

from adapters.wire import Operation
from domain.neighbour import Refused
from domain.provisioning import Activation, NetworkService, RunningService, Working


@dataclass(frozen=True, slots=True, kw_only=True)
class Modify:
    """Let a service be like this, and have no effect of the call under the key ``undoes`` any more."""

    service: NetworkService
    undoes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which service is suspended, resumed or taken down; the call under ``undoes`` has no effect any more."""

    service: str
    undoes: str | None = None


ACTIVATE: Operation[NetworkService, Activation | Working | Refused] = Operation(
    "activate", asked=NetworkService, answer=Activation | Working | Refused
)
MODIFY: Operation[Modify, Activation | Working | Refused] = Operation(
    "modify", asked=Modify, answer=Activation | Working | Refused
)
SUSPEND: Operation[About, Activation | Working | Refused] = Operation(
    "suspend", asked=About, answer=Activation | Working | Refused
)
RESUME: Operation[About, Activation | Working | Refused] = Operation(
    "resume", asked=About, answer=Activation | Working | Refused
)
DEACTIVATE: Operation[About, Activation | Working | Refused | None] = Operation(
    "deactivate", asked=About, answer=Activation | Working | Refused | None
)
QUERY: Operation[None, Activation | Refused | None] = Operation("query", asked=None, answer=Activation | Refused | None)
LIST_ACTIVE: Operation[None, tuple[RunningService, ...]] = Operation(
    "list_active", asked=None, answer=tuple[RunningService, ...]
)

SLOW = frozenset({ACTIVATE.name, MODIFY.name, SUSPEND.name, RESUME.name, DEACTIVATE.name})
SWITCHABLE = SLOW | {QUERY.name, LIST_ACTIVE.name}
