"""Verdicts on orders that wait for approval, on the wire."""

from typing import Literal

from pydantic import ConfigDict

from api.schemas.shape import Answer, Sentence, Shape, Text
from domain.approval import Approval
from domain.order import State

Verdict = Literal["approve", "reject"]


class ApprovalIn(Shape):
    """A verdict, by whom, and why."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"decision": "approve", "reason": "A customer of ten years.", "actor": "j.doe"}}
    )

    decision: Verdict
    reason: Sentence
    actor: Text = "api"

    def approval(self) -> Approval:
        """In the words of the domain."""
        return Approval(decision=self.decision, actor=self.actor, reason=self.reason)


class ApprovalAnswer(Answer):
    """The verdict, and the order's state with it."""

    order: str
    decision: Verdict
    state: State
