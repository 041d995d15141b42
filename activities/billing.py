"""The billing protocol's calls: what is new in two phases or one, and what changes; void is the undo of initiate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from temporalio import activity

from activities.journal import Journal, Send, Sending, ask, take_back
from activities.messages import Taken
from activities.neighbours import Billing
from activities.records import Accounts
from domain.billing import (
    Account,
    Billed,
    Repointed,
    carried,
    charge,
    charged_service,
    initiated_services,
    moves,
    updates,
)
from domain.in_flight import InFlight
from domain.neighbour import Refused
from domain.plan import PROVING, Function, PlanItem, Undo
from domain.progress import Done

_ANSWER: TypeAdapter[Account | Billed | Repointed] = TypeAdapter(Account | Billed | Repointed)


@dataclass(frozen=True)
class BillingActivities:
    """The steps that billing carries out; ``clock`` dates what it answers without a date."""

    billing: Billing
    journal: Journal
    accounts: Accounts
    clock: Callable[[], datetime]

    @property
    def sends(self) -> Mapping[Function, Send]:
        """How billing carries out what it does."""
        return {
            Function.SYNC_CUSTOMER: self._sync,
            Function.INITIATE_BILLING: self._initiate,
            Function.FULFILL_BILLING: self._fulfill,
            Function.PURCHASE: self._purchase,
            Function.REPOINT: self._repoint,
            Function.CHARGE: self._charge,
            Function.UPDATE_BILLING: self._update,
            Function.SUSPEND_BILLING: self._suspend,
            Function.RESUME_BILLING: self._resume,
            Function.CLOSE_BILLING: self._terminate,
        }

    def _sync(self, sending: Sending) -> Done | Refused:
        """Tell billing of a billing account before its first call (F34)."""
        account = self.accounts.account(sending.item.subject)
        answer = ask(
            self.journal,
            sending,
            call=lambda: self.billing.sync_customer(key=sending.key, account=account),
            known=lambda: self.billing.query(key=sending.key),
            kinds=(Account, Refused),
        )
        if isinstance(answer, Refused):
            return answer
        at = self.clock()
        self.accounts.synchronized(account.id, at=at)
        return Done(step=sending.item.id, key=sending.key, at=at, result=_ANSWER.dump_python(answer, mode="json"))

    def _initiate(self, sending: Sending) -> Done | Refused:
        """Phase one: instances and products exist in billing before anything is activated (B49, F21)."""
        orders = initiated_services(sending.in_flight, sending.item)
        if (former := sending.replaces) is None:
            return self._bill(sending, lambda: self.billing.initiate(key=sending.key, orders=orders), at=self.clock())
        kept = {x.asset for x in orders}
        before = initiated_services(former.in_flight, former.in_flight.item(sending.item.id))
        dropped = [x.asset for x in before if x.asset not in kept]
        return self._bill(
            sending,
            lambda: self.billing.amend_initiated(key=sending.key, orders=orders, replaces=former.key, dropped=dropped),
            at=self.clock(),
        )

    def _fulfill(self, sending: Sending) -> Done | Refused:
        """Phase two: billed from the date of the proof; retries keep that date (B57, 5.5)."""
        order, actual = carried(sending.in_flight, sending.item), self._actual(sending)
        return self._bill(sending, lambda: self.billing.fulfill(key=sending.key, order=order, actual=actual), at=actual)

    def _purchase(self, sending: Sending) -> Done | Refused:
        """The one call of single-phase billing (B48)."""
        order, actual = carried(sending.in_flight, sending.item), self._actual(sending)
        return self._bill(
            sending, lambda: self.billing.purchase(key=sending.key, order=order, actual=actual), at=actual
        )

    def _repoint(self, sending: Sending) -> Done | Refused:
        """Have billing know what has moved by its new assets, under the ids it has (B53)."""
        moved, actual = moves(sending.in_flight, sending.item), self._actual(sending)
        return self._bill(sending, lambda: self.billing.repoint(key=sending.key, moves=moved, actual=actual), at=actual)

    def _charge(self, sending: Sending) -> Done | Refused:
        """Post what a change costs to the service that it costs something for (B26, B58)."""
        in_flight, item, actual = sending.in_flight, sending.item, self._actual(sending)
        service, asked = charged_service(in_flight, item), charge(in_flight, item)
        return self._bill(
            sending,
            lambda: self.billing.charge(key=sending.key, service=service, charge=asked, actual=actual),
            at=actual,
        )

    def _update(self, sending: Sending) -> Done | Refused:
        """Have a service, and products in it, be otherwise: in one call (B54, B56)."""
        changed, actual = updates(sending.in_flight, sending.item), self._actual(sending)
        return self._bill(
            sending, lambda: self.billing.update(key=sending.key, updates=changed, actual=actual), at=actual
        )

    def _suspend(self, sending: Sending) -> Done | Refused:
        """Let what rests be billed no more, since it does (B50)."""
        return self._become(sending, self.billing.suspend)

    def _resume(self, sending: Sending) -> Done | Refused:
        """Let what runs again be billed again, since it does (B50)."""
        return self._become(sending, self.billing.resume)

    def _terminate(self, sending: Sending) -> Done | Refused:
        """End what is off, as of when it went off (B42, B51)."""
        return self._become(sending, self.billing.terminate)

    def _become(self, sending: Sending, call: Callable[..., Billed | Refused]) -> Done | Refused:
        asset = sending.in_flight.asset(sending.in_flight.order.by_id[sending.item.subject])
        actual = self._actual(sending)
        return self._bill(sending, lambda: call(key=sending.key, asset=asset, actual=actual), at=actual)

    def _actual(self, sending: Sending) -> datetime:
        """The date from which a step is billed: told, or that of the proof that was made in the same batch (5.3)."""
        if sending.actual is not None:
            return sending.actual
        proving = (x for x in sending.item.dated_by if sending.in_flight.item(x).function in PROVING)
        proofs = sending.earlier.of(proving).values()
        return max((datetime.fromisoformat(x["at"]) for x in proofs), default=None) or self.clock()

    @activity.defn(name=Undo.VOID_INITIATED.value, no_thread_cancel_exception=True)
    def void_initiated(self, taken: Taken) -> None:
        """Take back what was initiated for a bundle, each service with its products; nothing was charged (5.4)."""
        take_back(self.journal, taken, self._void)

    def _void(self, in_flight: InFlight, item: PlanItem, did: str, undo: str) -> Refused | None:
        for order in initiated_services(in_flight, item):
            answer = self.billing.void_initiated(key=f"{undo}:{order.line}", asset=order.asset, undoes=did)
            if isinstance(answer, Refused):
                return answer
        return None

    def _bill(
        self, sending: Sending, call: Callable[[], Billed | Repointed | Refused], *, at: datetime
    ) -> Done | Refused:
        answer = ask(
            self.journal,
            sending,
            call=call,
            known=lambda: self.billing.query(key=sending.key),
            kinds=(Billed, Repointed, Refused),
        )
        if isinstance(answer, Refused):
            return answer
        return Done(step=sending.item.id, key=sending.key, at=at, result=_ANSWER.dump_python(answer, mode="json"))
