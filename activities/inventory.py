"""Reserve, deliver and commit stock and numbers, and take numbers back; release is the undo of reserve."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from temporalio import activity

from activities.journal import Journal, Send, Sending, ask, take_back
from activities.messages import Taken
from activities.neighbours import Inventory
from domain.inventory import Delivery, Reservation, Retired, demands, retirements
from domain.neighbour import Refused, Unacceptable
from domain.plan import Function, Undo
from domain.progress import Done

_RESERVATION = TypeAdapter(Reservation)
_DELIVERY = TypeAdapter(Delivery)
_RETIRED = TypeAdapter(Retired)


@dataclass(frozen=True)
class InventoryActivities:
    """The steps that inventory carries out; ``clock`` dates what it answers without a date."""

    inventory: Inventory
    journal: Journal
    clock: Callable[[], datetime]

    @property
    def sends(self) -> Mapping[Function, Send]:
        """How inventory carries out what it does."""
        return {
            Function.RESERVE: self._reserve,
            Function.DELIVER: self._deliver,
            Function.COMMIT: self._commit,
            Function.RETIRE: self._retire,
        }

    def _reserve(self, sending: Sending) -> Done | Refused:
        """Hold all that the lines of a bundle need, or nothing (F11)."""
        answer = ask(
            self.journal,
            sending,
            call=lambda: self._hold(sending),
            known=lambda: self._known(sending.key, sending.key),
            kinds=(Reservation, Refused),
        )
        return self._reserved(sending, answer)

    def _hold(self, sending: Sending) -> Reservation | Refused:
        demanded, order = demands(sending.in_flight.decomposed, sending.item), sending.in_flight.id
        if sending.replaces is None:
            return self.inventory.reserve(key=sending.key, order=order, demands=demanded)
        return self.inventory.amend_reservation(
            key=sending.key, order=order, demands=demanded, replaces=sending.replaces.key
        )

    def _deliver(self, sending: Sending) -> Done | Refused:
        """Hand physical goods to the customer; done on proof, at the time of the proof (F03, F04)."""
        reservation = self._reservation(sending)
        answer = ask(
            self.journal,
            sending,
            call=lambda: self.inventory.deliver(key=sending.key, reservation=reservation, line=sending.item.subject),
            known=lambda: self.inventory.query(key=sending.key),
            kinds=(Delivery, Refused),
        )
        if isinstance(answer, Refused):
            return answer
        result = _DELIVERY.dump_python(answer, mode="json")
        return Done(step=sending.item.id, key=sending.key, at=answer.at, result=result)

    def _commit(self, sending: Sending) -> Done | Refused:
        """Take what was reserved for good, once it is delivered (F29)."""
        reservation = self._reservation(sending)
        answer = ask(
            self.journal,
            sending,
            call=lambda: self.inventory.commit(key=sending.key, reservation=reservation),
            known=lambda: self._known(sending.key, reservation),
            kinds=(Reservation, Refused),
        )
        return self._reserved(sending, answer)

    def _retire(self, sending: Sending) -> Done | Refused:
        """Take back what disconnected assets have out of pools, or had before they got another number (F13, F28)."""
        given = retirements(sending.in_flight, sending.item, sending.tree())
        answer = ask(
            self.journal,
            sending,
            call=lambda: self.inventory.retire(key=sending.key, retirements=given),
            known=lambda: self.inventory.query(key=sending.key),
            kinds=(Retired, Refused),
        )
        if isinstance(answer, Refused):
            return answer
        result = _RETIRED.dump_python(answer, mode="json")
        return Done(step=sending.item.id, key=sending.key, at=self.clock(), result=result)

    @activity.defn(name=Undo.RELEASE.value, no_thread_cancel_exception=True)
    def release(self, taken: Taken) -> None:
        """Give back what a reserve step holds; harmless when it holds nothing (2.7)."""
        take_back(self.journal, taken, lambda _, __, did, undo: self.inventory.release(key=undo, reservation=did))

    def _reserved(self, sending: Sending, answer: Reservation | Refused) -> Done | Refused:
        if isinstance(answer, Refused):
            return answer
        result = _RESERVATION.dump_python(answer, mode="json")
        return Done(step=sending.item.id, key=sending.key, at=self.clock(), result=result)

    def _known(self, key: str, reservation: str) -> object:
        """What inventory remembers for a key, which is about that reservation; anything else is not acceptable."""
        answer = self.inventory.query(key=key)
        if isinstance(answer, Reservation) and answer.key != reservation:
            raise Unacceptable(f"inventory answers about {answer.key}, asked about {reservation}")
        return answer

    def _reservation(self, sending: Sending) -> str:
        """The key under which the bundle's reservation was made."""
        step = f"{Function.RESERVE}:{sending.item.root}"
        return str(sending.earlier.of([step])[step]["key"])
