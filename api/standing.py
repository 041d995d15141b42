"""Assets as they are read: with what may be asked of them, and what has been asked of them already (A07)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from api.house import House
from domain.allowed import PendingChange, Standing, standings
from models import catalogs, facts
from models.views import Found

_UNKNOWN = Standing(allowed=(), pending=())


def standing(house: House, assets: Sequence[Found]) -> list[dict[str, Any]]:
    """These assets, each with ``asset_id``, ``allowed_actions`` and ``pending_changes``."""
    stand = _standings(house, assets)
    return [{**x, **standing_body(x["id"], stand.get(x["id"], _UNKNOWN))} for x in assets]


def standing_body(asset: str | None, stand: Standing = _UNKNOWN) -> dict[str, Any]:
    """What is said of where an asset stands, or of what is none yet."""
    return {
        "asset_id": asset,
        "allowed_actions": [*stand.allowed],
        "pending_changes": [_pending_body(x) for x in stand.pending],
    }


def _standings(house: House, assets: Sequence[Found]) -> Mapping[str, Standing]:
    """Each account's assets are judged as in an order of that account."""
    of_account: dict[str, list[str]] = {}
    for asset in assets:
        of_account.setdefault(asset["account"], []).append(asset["id"])
    found: dict[str, Standing] = {}
    if of_account and house.asset_based_ordering:
        catalog = catalogs.current(house.engine)
        for account, ids in of_account.items():
            known = facts.about(house.engine, ids, account=account, arrived=datetime.now(UTC))
            found |= standings(catalog, known)
    return found


def _pending_body(change: PendingChange) -> dict[str, Any]:
    return {
        "order": change.order,
        "number": change.number,
        "line": change.line,
        "action": change.action,
        "due": change.due,
    }
