"""Bring services up on the network; deactivate is the undo."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter
from temporalio import activity

from activities.journal import Journal, Send, Sending, ask, take_back
from activities.messages import Taken
from activities.neighbours import Provisioning
from domain.neighbour import Refused
from domain.plan import Function, Undo
from domain.progress import Done
from domain.provisioning import Activation, Working, network_service

_ACTIVATION = TypeAdapter(Activation)


@dataclass(frozen=True)
class ProvisioningActivities:
    """The steps that the network carries out."""

    provisioning: Provisioning
    journal: Journal

    @property
    def sends(self) -> Mapping[Function, Send]:
        """How the network carries out what it does."""
        return {Function.PROVISION: self._activate}

    def _activate(self, sending: Sending) -> Done | Working | Refused:
        """Activate a service, a nested one after the one it stands in (F02, F20)."""
        service = network_service(sending.in_flight, sending.item, numbers=self._numbers(sending))
        answer = ask(
            self.journal,
            sending,
            call=lambda: self.provisioning.activate(key=sending.key, service=service),
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

    @activity.defn(name=Undo.DEACTIVATE.value)
    def deactivate(self, taken: Taken) -> None:
        """Take a service down; harmless when it never ran (2.7)."""
        take_back(
            self.journal,
            taken,
            lambda in_flight, item, did, undo: self.provisioning.deactivate(
                key=undo, service=in_flight.asset(in_flight.order.by_id[item.subject]), undoes=did
            ),
        )
