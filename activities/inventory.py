"""Reserve, deliver and commit stock and numbers; release is the undo of reserve."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from temporalio import activity

from activities.journal import Journal, Sending, ask, carry_out, take_back
from activities.messages import Batch, Outcome, Taken
from activities.neighbours import Inventory
from domain.inventory import Delivery, Reservation, demands
from domain.neighbour import Refused
from domain.plan import Function, Undo
from domain.progress import Done

_RESERVATION = TypeAdapter(Reservation)
_DELIVERY = TypeAdapter(Delivery)


@dataclass(frozen=True)
class InventoryActivities:
    """The steps that inventory carries out; ``clock`` dates what it answers without a date."""

    inventory: Inventory
    journal: Journal
    clock: Callable[[], datetime]

    @activity.defn(name=Function.RESERVE.value)
    def reserve(self, batch: Batch) -> tuple[Outcome, ...]:
        """Hold all that the lines of a bundle need, or nothing (F11)."""
        return carry_out(self.journal, batch, self._reserve)

    def _reserve(self, sending: Sending) -> Done | Refused:
        demanded = demands(sending.in_flight.decomposed, sending.item)
        answer = ask(
            self.journal,
            sending,
            call=lambda: self.inventory.reserve(key=sending.key, order=sending.in_flight.id, demands=demanded),
            known=lambda: self.inventory.query(key=sending.key),
            kinds=(Reservation, Refused),
        )
        return self._reserved(sending, answer)

    @activity.defn(name=Function.DELIVER.value)
    def deliver(self, batch: Batch) -> tuple[Outcome, ...]:
        """Hand physical goods to the customer; done on proof, at the time of the proof (F03, F04)."""
        self.journal.sent(batch.ref.order, steps=[x.id for x in batch.steps], at=self.clock())
        return carry_out(self.journal, batch, self._deliver)

    def _deliver(self, sending: Sending) -> Done | Refused:
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

    @activity.defn(name=Function.COMMIT.value)
    def commit(self, batch: Batch) -> tuple[Outcome, ...]:
        """Take what was reserved for good, once it is delivered (F29)."""
        return carry_out(self.journal, batch, self._commit)

    def _commit(self, sending: Sending) -> Done | Refused:
        reservation = self._reservation(sending)
        answer = ask(
            self.journal,
            sending,
            call=lambda: self.inventory.commit(key=sending.key, reservation=reservation),
            known=lambda: self.inventory.query(key=sending.key),
            kinds=(Reservation, Refused),
        )
        return self._reserved(sending, answer)

    @activity.defn(name=Undo.RELEASE.value)
    def release(self, taken: Taken) -> None:
        """Give back what a reserve step holds; harmless when it holds nothing (2.7)."""
        take_back(self.journal, taken, lambda _, __, did, undo: self.inventory.release(key=undo, reservation=did))

    def _reserved(self, sending: Sending, answer: Reservation | Refused) -> Done | Refused:
        if isinstance(answer, Refused):
            return answer
        result = _RESERVATION.dump_python(answer, mode="json")
        return Done(step=sending.item.id, key=sending.key, at=self.clock(), result=result)

    def _reservation(self, sending: Sending) -> str:
        """The key under which the bundle's reservation was made."""
        step = f"{Function.RESERVE}:{sending.item.root}"
        return str(self.journal.results(sending.in_flight.id, [step])[step]["key"])
