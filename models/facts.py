"""What the rules need to know of the accounts, profiles and assets that an order mentions, in one question."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row

from domain.asset import AssetStatus
from domain.validation import AccountFact, AssetFact, Facts, Lookups
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
    SELECT 'account' AS kind, id, NULL AS product, NULL AS account, NULL AS status, synced FROM own
    UNION ALL
    SELECT 'profile', p.id, NULL, p.account, NULL, NULL
      FROM orderloom.billing_profiles AS p JOIN own ON own.id = p.account WHERE p.id = ANY(:profiles)
    UNION ALL
    SELECT 'asset', CAST(id AS text), product, account, status, NULL
      FROM orderloom.assets WHERE id = ANY(CAST(CAST(:assets AS text[]) AS uuid[]))
"""
"""Rows of kind, id, product, account, status and synced; takes :func:`asked`, and more rows by ``UNION ALL``.

Accounts are followed upward, to the one that the order is for: a few steps, however many accounts that one has.
"""

_FACTS = Prepared(FACTS)


def facts(connection: Connection, lookups: Lookups) -> Facts:
    """What is known of those ids; what does not exist, or is another customer's, is absent."""
    return gathered(_FACTS.on(connection, **asked(lookups)))


def asked(lookups: Lookups) -> dict[str, str | list[str]]:
    """The parameters of the question."""
    return {
        "account": lookups.account,
        "accounts": [*lookups.accounts],
        "profiles": [*lookups.profiles],
        "assets": [*lookups.assets],
    }


def gathered(rows: Iterable[Row[Any]]) -> Facts:
    """The facts that the rows tell; rows of other kinds are passed over."""
    accounts: dict[str, AccountFact] = {}
    profiles: dict[str, str] = {}
    assets: dict[str, AssetFact] = {}
    for row in rows:
        match row.kind:
            case "account":
                accounts[row.id] = AccountFact(synced=row.synced)
            case "profile":
                profiles[row.id] = row.account
            case "asset":
                assets[row.id] = AssetFact(product=row.product, account=row.account, status=AssetStatus(row.status))
            case _:
                pass
    return Facts(accounts=accounts, profiles=profiles, assets=assets)
