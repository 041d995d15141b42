"""What the rules need to know of the accounts, profiles and assets that an order mentions, in one question."""

from sqlalchemy import Connection, text

from domain.asset import AssetStatus
from domain.validation import AccountFact, AssetFact, Facts, Lookups

_FACTS = text("""
    SELECT 'account' AS kind, id, NULL AS product, NULL AS account, NULL AS status,
           billing_synced_at IS NOT NULL AS synced
      FROM orderloom.accounts WHERE id = ANY(:accounts)
    UNION ALL
    SELECT 'profile', id, NULL, account, NULL, NULL FROM orderloom.billing_profiles WHERE id = ANY(:profiles)
    UNION ALL
    SELECT 'asset', CAST(id AS text), product, account, status, NULL
      FROM orderloom.assets WHERE id = ANY(CAST(:assets AS uuid[]))
""")


def facts(connection: Connection, lookups: Lookups) -> Facts:
    """What is known of those ids; what does not exist is absent."""
    accounts: dict[str, AccountFact] = {}
    profiles: dict[str, str] = {}
    assets: dict[str, AssetFact] = {}
    asked = {"accounts": [*lookups.accounts], "profiles": [*lookups.profiles], "assets": [*lookups.assets]}
    for row in connection.execute(_FACTS, asked):
        match row.kind:
            case "account":
                accounts[row.id] = AccountFact(synced=row.synced)
            case "profile":
                profiles[row.id] = row.account
            case _:
                assets[row.id] = AssetFact(product=row.product, account=row.account, status=AssetStatus(row.status))
    return Facts(accounts=accounts, profiles=profiles, assets=assets)
