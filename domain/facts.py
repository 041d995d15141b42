"""What is known of the ids that an order mentions: accounts, billing profiles, assets and what is open on those."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.asset import Asset
from domain.catalog import Catalog, Product
from domain.order import Order, OrderLine

BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFact:
    """An account that exists; ``synced`` when billing has been told of it (F34)."""

    synced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What another open order asks of an asset: a bundle of its lines, when they are due, and the catalog it pins."""

    order: str
    number: int
    version: int
    due: datetime
    lines: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the ids an order mentions, by id; ``profiles`` maps a billing profile to the account owning it.

    Accounts and profiles are those of the order's customer: its account and all below it. An id that is missing here
    does not exist, as far as that customer is concerned. ``assets`` are whole trees as they stand, ``catalogs`` the
    versions they were made from, ``pending`` what is open on them by other orders. The order came at ``arrived``, under
    ``number``; all this is so as of ``now``, where that is later.
    """

    accounts: Mapping[str, AccountFact] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)
    assets: Mapping[str, Asset] = field(default_factory=dict)
    catalogs: Mapping[int, Catalog] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()
    arrived: datetime = BEFORE_ALL
    now: datetime = BEFORE_ALL
    number: int = sys.maxsize

    @property
    def unsynced_accounts(self) -> frozenset[str]:
        """The accounts that billing has not been told of yet (F34)."""
        return frozenset(account for account, fact in self.accounts.items() if not fact.synced)

    def product(self, asset: Asset) -> Product:
        """The product of an asset, as it was when the asset was made (B62)."""
        return self.catalogs[asset.version][asset.product]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """The ids that :class:`Facts` are needed of, and the account of the customer whose they have to be."""

    account: str
    accounts: frozenset[str]
    profiles: frozenset[str]
    assets: frozenset[str]


def lookups(order: Order) -> Lookups:
    """The accounts, billing profiles and assets an order mentions, in its header and its lines."""
    parts: tuple[Order | OrderLine, ...] = (order, *order.lines)
    accounts = {order.account, *(x.billing_account for x in parts), *(x.service_account for x in parts)}
    return Lookups(
        account=order.account,
        accounts=frozenset(x for x in accounts if x),
        profiles=frozenset(x.billing_profile for x in parts if x.billing_profile),
        assets=frozenset(x.asset for x in order.lines if x.asset),
    )
