"""The plan of an order: which steps, on which system, after which others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class System(StrEnum):
    """Who carries a step out."""

    INVENTORY = "inventory"
    BILLING = "billing"
    PROVISIONING = "provisioning"
    RECORDS = "records"


class Function(StrEnum):
    """What a step does (2.7). The stages every order goes through stand in the run's history by these names (W2)."""

    SYNC_CUSTOMER = "sync_customer"
    RESERVE = "reserve"
    INITIATE_BILLING = "initiate_billing"
    DELIVER = "deliver"
    PROVISION = "provision"
    FULFILL_BILLING = "fulfill_billing"
    PURCHASE = "purchase"
    COMMIT = "commit"
    ASSET = "asset"
    CLAIM = "claim"
    RELOCATE = "relocate"
    MODIFY = "modify"
    SUSPEND = "suspend"
    RESUME = "resume"
    DISCONNECT = "disconnect"
    REPOINT = "repoint"
    CHARGE = "charge"
    UPDATE_BILLING = "update_billing"
    SUSPEND_BILLING = "suspend_billing"
    RESUME_BILLING = "resume_billing"
    CLOSE_BILLING = "close_billing"
    RETIRE = "retire"

    @property
    def system(self) -> System:
        """The system that carries it out."""
        return _SYSTEM[self]

    @property
    def undo(self) -> "Undo | None":
        """What takes it back, or ``None`` where nothing can (2.7)."""
        return _UNDO.get(self)


class Undo(StrEnum):
    """What takes a step back: harmless when there is nothing to take back."""

    RELEASE = "release"
    VOID_INITIATED = "void_initiated"
    DEACTIVATE = "deactivate"
    UNCLAIM = "unclaim"


_SYSTEM: Mapping[Function, System] = {
    Function.SYNC_CUSTOMER: System.BILLING,
    Function.RESERVE: System.INVENTORY,
    Function.INITIATE_BILLING: System.BILLING,
    Function.DELIVER: System.INVENTORY,
    Function.PROVISION: System.PROVISIONING,
    Function.FULFILL_BILLING: System.BILLING,
    Function.PURCHASE: System.BILLING,
    Function.COMMIT: System.INVENTORY,
    Function.ASSET: System.RECORDS,
    Function.CLAIM: System.RECORDS,
    Function.RELOCATE: System.PROVISIONING,
    Function.MODIFY: System.PROVISIONING,
    Function.SUSPEND: System.PROVISIONING,
    Function.RESUME: System.PROVISIONING,
    Function.DISCONNECT: System.PROVISIONING,
    Function.REPOINT: System.BILLING,
    Function.CHARGE: System.BILLING,
    Function.UPDATE_BILLING: System.BILLING,
    Function.SUSPEND_BILLING: System.BILLING,
    Function.RESUME_BILLING: System.BILLING,
    Function.CLOSE_BILLING: System.BILLING,
    Function.RETIRE: System.INVENTORY,
}

_UNDO: Mapping[Function, Undo] = {
    Function.RESERVE: Undo.RELEASE,
    Function.INITIATE_BILLING: Undo.VOID_INITIATED,
    Function.PROVISION: Undo.DEACTIVATE,
    Function.CLAIM: Undo.UNCLAIM,
    Function.RELOCATE: Undo.DEACTIVATE,
}

NO_RETURN = frozenset(Function) - {
    Function.SYNC_CUSTOMER,
    Function.RESERVE,
    Function.INITIATE_BILLING,
    Function.CLAIM,
    Function.RELOCATE,
}
"""Steps past whose sending a root line and all below it can no longer be cancelled or revised (2.7).

The commit and the asset matter only for bundles in which nothing is delivered or billed before them. Of a move it is
the old place that is not coming back, not the new one (5.6).
"""

ON_THE_NETWORK = frozenset({Function.RELOCATE, Function.MODIFY, Function.SUSPEND, Function.RESUME, Function.DISCONNECT})
"""What the network does to a service that is installed."""

PROVING = frozenset({Function.DELIVER, Function.PROVISION}) | ON_THE_NETWORK
"""Steps that bring something to the customer or take it away: their proof has the date it is billed from (5.3)."""

DATED = frozenset({Function.FULFILL_BILLING, Function.PURCHASE}) | {
    Function.REPOINT,
    Function.CHARGE,
    Function.UPDATE_BILLING,
    Function.SUSPEND_BILLING,
    Function.RESUME_BILLING,
    Function.CLOSE_BILLING,
}
"""Steps that billing carries out as of a date: every attempt as of the same (5.5, 5.6)."""


class StepState(StrEnum):
    """The state of one plan item."""

    PENDING = "pending"
    IN_PROGRESS = "inProgress"
    HELD = "held"
    DONE = "done"
    SKIPPED = "skipped"
    UNDONE = "undone"


SETTLED = frozenset({StepState.DONE, StepState.SKIPPED})
BEGUN = frozenset({StepState.IN_PROGRESS, StepState.DONE, StepState.SKIPPED})


@dataclass(frozen=True, kw_only=True)
class PlanItem:
    """One step: a function for the lines it covers, after the items it depends on.

    ``subject`` is the line id it is about: a root for what is done per bundle, a service or a physical line otherwise.
    """

    function: Function
    subject: str
    root: str
    lines: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    own_proofs: tuple[str, ...] = field(default=(), compare=False)
    """Of what it depends on, what it is dated by, where other proofs are among that which are none of its own."""

    @cached_property
    def id(self) -> str:
        """``provision:1.2``: unique in the plan, the same every time the same order is decomposed."""
        return f"{self.function}:{self.subject}"

    @property
    def dated_by(self) -> tuple[str, ...]:
        """The steps whose proof it is dated by, as far as they are :data:`PROVING` (5.3)."""
        return self.own_proofs or self.depends_on

    @property
    def no_return(self) -> bool:
        """Whether sending it is a point of no return for its root line."""
        return self.function in NO_RETURN


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps of one order revision; dependencies never form a circle.

    ``in_a_row``: steps of several functions that follow one another are sent together. They are since plans say so; the
    orders that began before send each function by itself.
    """

    items: tuple[PlanItem, ...]
    in_a_row: bool = False

    def next_batches(self, *, settled: Iterable[str], taken: Iterable[str]) -> list[tuple[PlanItem, ...]]:
        """What can be sent now, one batch for each function and root bundle, and with it what follows it.

        ``settled`` are ids done or skipped, ``taken`` those under way or held. An item whose unfinished dependencies
        all stand before it in the same batch goes along: a batch is carried out in order.
        """
        batches: dict[tuple[Function, str], list[PlanItem]] = {}
        finished, busy = set(settled), set(taken)
        sent: dict[str, tuple[Function, str]] = {}
        for item in self.items:
            if item.id in finished or item.id in busy:
                continue
            if not all(x in finished or x in sent for x in item.depends_on):
                continue
            leads = {sent[x] for x in item.depends_on if x in sent} or {(item.function, item.root)}
            lead = leads.pop()
            if not leads and self._may_join(item, batches.get(lead)):
                batches.setdefault(lead, []).append(item)
                sent[item.id] = lead
        return [tuple(items) for items in batches.values()]

    def _may_join(self, item: PlanItem, batch: Sequence[PlanItem] | None) -> bool:
        """Whether a batch can take an item along: never into another bundle, nor past a point of no return."""
        if not batch:
            return True
        lead = batch[0]
        alike = item.function is lead.function or (self.in_a_row and (lead.no_return or not item.no_return))
        return alike and item.root == lead.root
