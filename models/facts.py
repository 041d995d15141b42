"""What the rules need to know of the accounts, profiles and assets that an order mentions."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row

from domain.facts import AccountFact, Facts, Lookups
from models import assets, catalogs
from sql.connections import autocommit
from sql.prepared import Prepared

FACTS = """
    WITH RECURSIVE upward AS (
        SELECT id, billing_synced_at IS NOT NULL AS synced, id AS above, parent FROM orderloom.accounts
         WHERE id = ANY(ARRAY(
               SELECT unnest(CAST(:accounts AS text[]))
               UNION SELECT account FROM orderloom.billing_profiles WHERE id = ANY(:profiles)))
        UNION ALL
        SELECT u.id, u.synced, a.id, a.parent
          FROM upward AS u JOIN orderloom.accounts AS a ON a.id = u.parent WHERE u.above <> :account
    ),
    own AS (SELECT id, synced FROM upward WHERE above = :account)
    SELECT 'account' AS kind, id, NULL AS account, synced FROM own
    UNION ALL
    SELECT 'profile', p.id, p.account, NULL
      FROM orderloom.billing_profiles AS p JOIN own ON own.id = p.account WHERE p.id = ANY(:profiles)
"""
"""Rows of kind, id, account and synced; takes :func:`asked`, and more rows by ``UNION ALL``.

Accounts are followed upward, to the one that the order is for: a few steps, however many accounts that one has.
"""

_FACTS = Prepared(FACTS)


def facts(connection: Connection, lookups: Lookups) -> Facts:
    """What is known of those accounts and profiles; what does not exist, or is another customer's, is absent."""
    return gathered(_FACTS.on(connection, **asked(lookups)))


def asked(lookups: Lookups) -> dict[str, str | list[str]]:
    """The parameters of the question."""
    return {"account": lookups.account, "accounts": [*lookups.accounts], "profiles": [*lookups.profiles]}


def gathered(rows: Iterable[Row[Any]]) -> Facts:
    """The facts that the rows tell; rows of other kinds are passed over."""
    accounts: dict[str, AccountFact] = {}
    profiles: dict[str, str] = {}
    for row in rows:
        match row.kind:
            case "account":
                accounts[row.id] = AccountFact(synced=row.synced)
            case "profile":
                profiles[row.id] = row.account
            case _:
                pass
    return Facts(accounts=accounts, profiles=profiles)


def with_assets(
    connection: Connection,
    known: Facts,
    lookups: Lookups,
    *,
    arrived: datetime,
    order: str | None = None,
    number: int | None = None,
) -> Facts:
    """What is known besides when an order is about assets: their trees, with their accounts, and what is open on them.

    ``order`` and ``number`` are those of the order itself, once it has them.
    """
    if not lookups.assets:
        return replace(known, arrived=arrived)
    found = assets.trees(connection, lookups.assets)
    pending = assets.pending(connection, lookups.assets, but_of=order) if found else ()
    accounts = frozenset(y for x in found for y in (x.billing_account, x.service_account)) - lookups.accounts
    profiles = frozenset(x.billing_profile for x in found) - lookups.profiles
    more = Lookups(account=lookups.account, accounts=accounts, profiles=profiles, assets=frozenset())
    theirs = facts(connection, more) if accounts or profiles else Facts()
    versions = {*(x.version for x in found), *(x.version for x in pending)}
    return replace(
        known,
        accounts={**known.accounts, **theirs.accounts},
        profiles={**known.profiles, **theirs.profiles},
        assets={x.id: x for x in found},
        catalogs={x: catalogs.load(connection.engine, x) for x in versions},
        pending=pending,
        arrived=arrived,
        number=known.number if number is None else number,
    )


def about(engine: Engine, ids: Collection[str], *, account: str, arrived: datetime) -> Facts:
    """What an order of the account that came at that moment would find of these assets and their trees."""
    mentioned = Lookups(account=account, accounts=frozenset({account}), profiles=frozenset(), assets=frozenset(ids))
    with autocommit(engine) as connection:
        return with_assets(connection, facts(connection, mentioned), mentioned, arrived=arrived)
