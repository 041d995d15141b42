"""What the activities need of the neighbouring systems.

Every operation that changes something takes ``key``: the same key gives the same answer and no second effect. A
business no is returned as :class:`~domain.neighbour.Refused` and remembered under its key; ``Unavailable``,
``OutcomeUnknown`` and ``Unacceptable`` are raised. ``query(key=…)`` returns the remembered answer, or ``None`` when
nothing was done.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.billing import Account, Billed, BilledService, Move, PurchaseOrder, Repointed, ServiceOrder, Update
from domain.catalog_sync import BillingProduct
from domain.inventory import Delivery, Demand, Reservation, Retired, Retirement
from domain.neighbour import PAGE, Refused
from domain.provisioning import Activation, NetworkService, RunningService, Working


class Inventory(Protocol):
    """Stock by location, and pools of numbers and addresses (F08, F13)."""

    def reserve(self, *, key: str, order: str, demands: Sequence[Demand]) -> Reservation | Refused:
        """Hold everything demanded, or nothing: refused with ``NO_STOCK`` naming what is short."""
        ...

    def amend_reservation(
        self, *, key: str, order: str, demands: Sequence[Demand], replaces: str
    ) -> Reservation | Refused:
        """Hold what is demanded now in the place of what the reservation of the key ``replaces`` holds.

        All or none: when it is refused, the old one still holds. What a line keeps of a pool are the same numbers. A
        reservation under ``replaces`` that arrives afterwards is refused.
        """
        ...

    def deliver(self, *, key: str, reservation: str, line: str) -> Delivery | Refused:
        """Hand the goods held for one line by the reservation of that key to the customer; answered with the proof."""
        ...

    def commit(self, *, key: str, reservation: str) -> Reservation | Refused:
        """Take what is held for good: stock leaves the shelf, numbers are assigned to their holder."""
        ...

    def release(self, *, key: str, reservation: str) -> Reservation | Refused | None:
        """Give back what is held; ``None`` when the reservation never came to be. A committed one is refused.

        A reservation that arrives after its release is refused.
        """
        ...

    def retire(self, *, key: str, retirements: Sequence[Retirement]) -> Retired | Refused:
        """Take numbers and addresses back from their holders, not to be given out for a while: all or none (F13, F28).

        Refused with ``NOT_HELD``, which names the lines. Goods are not taken back.
        """
        ...

    def query(self, *, key: str) -> Reservation | Delivery | Retired | Refused | None:
        """The answer remembered for a key."""
        ...


class Provisioning(Protocol):
    """The network.

    Whatever changes a service may be answered with ``Working`` when it takes longer: ask again with the same key. A
    move is an activation at the new place and a deactivation at the old one (5.6).
    """

    def activate(self, *, key: str, service: NetworkService) -> Activation | Working | Refused:
        """Bring a service up; ``WRONG_STATE`` when it is there and suspended."""
        ...

    def modify(self, *, key: str, service: NetworkService, undoes: str | None = None) -> Activation | Working | Refused:
        """Bring a service up to date; it stays in its state, active or suspended. ``NOT_RUNNING`` when it is not there.

        The modification under the key ``undoes`` is refused should it arrive afterwards: then ``service`` is what was.
        """
        ...

    def suspend(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused:
        """Let a service rest (F28); answered with the instant since when it does, also when it did before.

        ``NOT_RUNNING`` when it is not there. The resumption under the key ``undoes`` is refused should it arrive
        afterwards.
        """
        ...

    def resume(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused:
        """Let a suspended service run again; answered with the instant since when it does, also when it did before.

        ``NOT_RUNNING`` when it is not there. The suspension under the key ``undoes`` is refused should it arrive
        afterwards.
        """
        ...

    def deactivate(self, *, key: str, service: str, undoes: str | None = None) -> Activation | Working | Refused | None:
        """Take a service down, whether it runs or is suspended; ``None`` when the network never had it.

        An activation under the key ``undoes`` that arrives afterwards is refused.
        """
        ...

    def query(self, *, key: str) -> Activation | Refused | None:
        """The answer remembered for a key."""
        ...

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[RunningService]:
        """The services that ran or were suspended at an instant, ascending by key.

        The first of those after a key, at most ``limit``.
        """
        ...


class Billing(Protocol):
    """The billing system (billing.md 5.2)."""

    def sync_customer(self, *, key: str, account: Account) -> Account | Refused:
        """Make the account known, or bring it up to date (F34)."""
        ...

    def initiate(self, *, key: str, orders: Sequence[ServiceOrder]) -> Billed | Refused:
        """Phase one for the services of a bundle, all or none: instances and products, nothing charged or rated (B49).

        The answer holds the first order's instance and the purchases of all.
        """
        ...

    def amend_initiated(
        self, *, key: str, orders: Sequence[ServiceOrder], replaces: str, dropped: Sequence[str]
    ) -> Billed | Refused:
        """Let what was initiated under the key ``replaces`` be as ``orders`` say, and void what is ``dropped`` (5.4).

        All or none; instances and purchases keep their ids, and nothing is charged (B57). What runs already may only
        stay as it is. Initiating under ``replaces`` that arrives afterwards is refused.
        """
        ...

    def fulfill(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """Phase two for one initiated service: active from the actual date; its Items are charged now (B49, B57)."""
        ...

    def purchase(self, *, key: str, order: ServiceOrder, actual: datetime) -> Billed | Refused:
        """The one call of single-phase billing: instance, products and charges at once (B48)."""
        ...

    def void_initiated(self, *, key: str, asset: str, undoes: str | None = None) -> Billed | Refused | None:
        """Take back an initiated service, instance and products together; ``None`` when there is none (5.4).

        What is initiated under the key ``undoes`` and arrives afterwards is refused.
        """
        ...

    def suspend(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """Let a service rest from the actual date on, with all that is purchased for it (B50); or one product alone.

        Refused with ``NOT_BILLED`` when nothing is billed for the asset, ``WRONG_STATE`` unless it is active,
        ``WRONG_DATE`` before it began.
        """
        ...

    def resume(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """Let what is suspended be billed again from the actual date on, with all that is in it (B50).

        Refused as ``suspend`` is; a product alone also while its service is suspended.
        """
        ...

    def terminate(self, *, key: str, asset: str, actual: datetime) -> Billed | Refused:
        """End a service on the actual date with all that is purchased for it, suspended or not (B42, B51).

        Or one product of a service that goes on; never that of a simple service bundle, which ends with its service,
        for both have one asset (B52). Refused as ``suspend`` is.
        """
        ...

    def update(self, *, key: str, updates: Sequence[Update], actual: datetime) -> Billed | Refused:
        """Let one service, and products in it, be otherwise from the actual date on: all or none (B54, B56).

        Each field reaches the object that it belongs to. Refused with ``NOT_BILLED``, ``WRONG_STATE``, ``WRONG_DATE``,
        which name the lines, or ``ACCOUNT_UNKNOWN``.
        """
        ...

    def charge(self, *, key: str, service: str, charge: PurchaseOrder, actual: datetime) -> Billed | Refused:
        """Charge an Item once, to the balance group of a service (B26, B58): never to that of its account.

        Refused with ``NOT_BILLED`` when the service has no instance, ``WRONG_STATE`` while it is only initiated,
        ``WRONG_DATE`` before it began, ``ALREADY_BILLED`` or ``ACCOUNT_UNKNOWN``.
        """
        ...

    def repoint(self, *, key: str, moves: Sequence[Move], actual: datetime) -> Repointed | Refused:
        """Let instances and purchases be known by other assets: all or none; their ids stay, nothing is billed (B53).

        Refused with ``NOT_BILLED``, ``WRONG_STATE`` of what is only initiated, or ``ALREADY_BILLED``; the lines named.
        """
        ...

    def query(self, *, key: str) -> Billed | Account | Repointed | Refused | None:
        """The answer remembered for a key."""
        ...

    def references(self, *, product: str) -> Sequence[str]:
        """Ids of the open purchases of a product (B40)."""
        ...

    def list_active(self, *, as_of: datetime, after: str = "", limit: int = PAGE) -> Sequence[BilledService]:
        """The services billed at an instant, and those initiated or suspended then, in pages like the network's."""
        ...

    def products(self, *, service_instances: Sequence[str]) -> Sequence[BillingProduct]:
        """The billing system's own products, for synchronization (B18, B32, B62).

        Those named in ``service_instances`` come with their Event products as components.
        """
        ...
