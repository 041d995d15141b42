# ruff: noqa: ANN401 - a builder hands fields on as they are
"""What a customer has installed, and lines about it, for tests of changes."""

from datetime import UTC, datetime
from typing import Any

from domain.asset import Asset
from domain.order import CHANGEABLE, Action
from tests.builders import Line, asset, facts, line

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def wireless_assets(**fields: Any) -> list[Asset]:
    """A wireless service with its plan, voicemail, a nested texting service and what comes with that, and a phone."""
    bundle = asset("aaaaaaaa-w", "WIRELESS", service_id="555-0100", **fields)
    parts = {x: asset(f"{x[:1].lower() * 8}-{x.lower()}", x, parent=bundle) for x in ("PLAN", "VOICEMAIL", "PHONE")}
    texting = asset("tttttttt-t", "TEXTING", parent=bundle)
    return [bundle, *parts.values(), texting, asset("bbbbbbbb-b", "TEXT-BASIC", parent=texting)]


WIRELESS_ASSET, PLAN, VOICEMAIL, PHONE, TEXTING, TEXT_BASIC = wireless_assets()
INTERNET = asset("iiiiiiii-i", "INTERNET")
EVENT = asset("eeeeeeee-e", "INTERNET-ACTIVATION", parent=INTERNET)
INSTALLED = facts(*wireless_assets(), INTERNET, EVENT, arrived=NOW)


def about(named: Asset, action: Action, *below: Line, **fields: Any) -> Line:
    """A line about an asset; what is given beside is what an update changes."""
    changes = tuple(x for x in fields if x in CHANGEABLE)
    updates = action in (Action.UPDATE, Action.MOVE_ADD)
    return line("", *below, asset=named.id, action=action, changes=changes if updates else changes or None, **fields)


def moved_to(**fields: Any) -> Line:
    """The new half of a move."""
    return line("", action=Action.MOVE_ADD, changes=tuple(fields), **fields)
