"""Bring services up on the network; deactivate is the undo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from temporalio import activity

from activities.journal import Journal, Send, Sending, ask, take_back
from activities.messages import Taken
from activities.neighbours import Provisioning
from domain.neighbour import Refused
from domain.plan import Function, Undo
from domain.progress import Done
from domain.provisioning import Activation, ServiceState, Working, modified, network_service, relocated

_ACTIVATION = TypeAdapter(Activation)


@dataclass(frozen=True)
class ProvisioningActivities:
    """The steps that the network carries out; ``clock`` dates what it has nothing to say about."""

    provisioning: Provisioning
    journal: Journal
    clock: Callable[[], datetime]

    @property
    def sends(self) -> Mapping[Function, Send]:
        """How the network carries out what it does."""
        return {
            Function.PROVISION: self._activate,
            Function.RELOCATE: self._relocate,
            Function.MODIFY: self._modify,
            Function.SUSPEND: self._suspend,
            Function.RESUME: self._resume,
            Function.DISCONNECT: self._disconnect,
        }

    def _activate(self, sending: Sending) -> Done | Working | Refused:
        """Activate a service, a nested one after the one it stands in (F02, F20)."""
        service = network_service(sending.in_flight, sending.item, numbers=self._numbers(sending))
        return self._ask(sending, lambda: self.provisioning.activate(key=sending.key, service=service))

    def _relocate(self, sending: Sending) -> Done | Working | Refused:
        """Activate at the new place what still runs at the old one (5.6)."""
        service = relocated(sending.in_flight, sending.item, sending.tree())
        return self._ask(sending, lambda: self.provisioning.activate(key=sending.key, service=service))

    def _modify(self, sending: Sending) -> Done | Working | Refused:
        """Have a service be what it is from now on."""
        service = modified(sending.in_flight, sending.item, sending.tree(), self._numbers(sending))
        return self._ask(sending, lambda: self.provisioning.modify(key=sending.key, service=service))

    def _suspend(self, sending: Sending) -> Done | Working | Refused:
        """Let a service rest (B50)."""
        service = self._runs_as(sending)
        return self._ask(sending, lambda: self.provisioning.suspend(key=sending.key, service=service))

    def _resume(self, sending: Sending) -> Done | Working | Refused:
        """Let a service run again (B50)."""
        service = self._runs_as(sending)
        return self._ask(sending, lambda: self.provisioning.resume(key=sending.key, service=service))

    def _disconnect(self, sending: Sending) -> Done | Working | Refused:
        """Take a service down for good; one that the network does not have is down already (B42, B51)."""
        service = self._runs_as(sending)
        return self._ask(
            sending,
            lambda: (
                self.provisioning.deactivate(key=sending.key, service=service)
                or Activation(key=sending.key, service=service, state=ServiceState.INACTIVE, at=self.clock())
            ),
        )

    def _runs_as(self, sending: Sending) -> str:
        """The service of the network that a step is about."""
        line = sending.in_flight.order.by_id[sending.item.subject]
        return line.network or sending.in_flight.asset(line)

    def _ask(self, sending: Sending, call: Callable[[], Activation | Working | Refused]) -> Done | Working | Refused:
        answer = ask(
            self.journal,
            sending,
            call=call,
            known=lambda: self.provisioning.query(key=sending.key),
            kinds=(Activation, Refused, Working),
        )
        if not isinstance(answer, Activation):
            return answer
        result = _ACTIVATION.dump_python(answer, mode="json")
        return Done(step=sending.item.id, key=sending.key, at=answer.at, result=result)

    def _numbers(self, sending: Sending) -> dict[str, tuple[str, ...]]:
        """What inventory reserved for the lines of this step, by pool."""
        in_flight = sending.in_flight
        if not any(in_flight.decomposed.product(x).pool for x in in_flight.lines(sending.item)):
            return {}
        step = f"{Function.RESERVE}:{sending.item.root}"
        held = sending.earlier.of([step]).get(step, {}).get("held", ())
        return {x["pool"]: tuple(x["values"]) for x in held if x["pool"] and x["line"] in sending.item.lines}

    @activity.defn(name=Undo.DEACTIVATE.value, no_thread_cancel_exception=True)
    def deactivate(self, taken: Taken) -> None:
        """Take a service down; harmless when it never ran (2.7)."""
        take_back(
            self.journal,
            taken,
            lambda in_flight, item, did, undo: self.provisioning.deactivate(
                key=undo, service=in_flight.asset(in_flight.order.by_id[item.subject]), undoes=did
            ),
        )
