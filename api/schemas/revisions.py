"""Revisions of orders, on the wire."""

from datetime import datetime
from typing import Any

from api.schemas.shape import Answer
from domain.revision import RevisionState


class RevisionAnswer(Answer):
    """What was submitted, and what has become of it: `accepted` is in force as soon as what it changes is undone."""

    order: str
    revision: int
    state: RevisionState


class RevisionEntry(Answer):
    """A revision as it was submitted; `code` and `step` say why it was refused."""

    revision: int
    state: RevisionState
    submitted_at: datetime
    decided_at: datetime | None
    actor: str
    reason: str
    force: bool
    code: str | None
    step: str | None
    document: dict[str, Any]


class RevisionList(Answer):
    """All revisions of an order, the first one first; none when it was never revised."""

    items: list[RevisionEntry]
