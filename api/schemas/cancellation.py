"""Cancelling an order, on the wire."""

from pydantic import ConfigDict

from api.schemas.shape import Answer, Sentence, Shape, Text
from domain.order import State
from domain.progress import Cancellation


class CancellationIn(Shape):
    """A wish to cancel; `force` needs a reason of its own."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"reason": "The customer moves abroad.", "actor": "j.doe", "force": False}}
    )

    reason: Sentence | None = None
    actor: Text = "api"
    force: bool = False

    def cancellation(self) -> Cancellation:
        """In the words of the domain."""
        return Cancellation(actor=self.actor, reason=self.reason or "no reason given", force=self.force)


class CancellationAnswer(Answer):
    """The order's state once the cancellation is accepted: `pendingCancellation` while it is undone, or `cancelled`."""

    order: str
    state: State
