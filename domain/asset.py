"""Installed assets: what a customer has, and what may be done to it."""

from collections.abc import Mapping
from enum import StrEnum

from domain.order import Action


class AssetStatus(StrEnum):
    """The life of an asset (2.5)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    INACTIVE = "inactive"


IN_PROFILE = frozenset({AssetStatus.ACTIVE, AssetStatus.SUSPENDED})
"""A customer's service profile: active assets, and suspended ones, which resume starts from (A01, Q16)."""

ALLOWED_ON: Mapping[Action, frozenset[AssetStatus]] = {
    Action.ADD: frozenset(),
    Action.UPDATE: frozenset({AssetStatus.ACTIVE}),
    Action.DELETE: frozenset({AssetStatus.ACTIVE, AssetStatus.SUSPENDED}),
    Action.SUSPEND: frozenset({AssetStatus.ACTIVE}),
    Action.RESUME: frozenset({AssetStatus.SUSPENDED}),
    Action.MOVE_ADD: frozenset(),
    Action.MOVE_DELETE: frozenset({AssetStatus.ACTIVE}),
    Action.NONE: frozenset(AssetStatus),
}
"""The states of an asset in which a line may ask for an action (2.2)."""
