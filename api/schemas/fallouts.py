"""Fallouts and decisions about them, on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.orders import Attributes, Value
from api.schemas.shape import Answer, Sentence, Shape, Text, closed
from domain.fallout import FalloutState

Decision = Literal["retry", "retry_with", "skip", "abort"]
Input = Annotated[dict[Text, Value | Attributes], Field(max_length=100, json_schema_extra=closed)]


class ErrorAnswer(Answer):
    """What the neighbour said."""

    code: str
    message: str


class FalloutAnswer(Answer):
    """What needs, or needed, a person.

    `order`, `account`, `line` and `step` are null where a detector found it and it belongs to none. `decisions` are
    what may be decided now. `decision` is `none` where it went away by itself.
    """

    id: str
    order: str | None
    number: int | None
    account: str | None
    line: str | None
    step: str | None
    type: str
    error: ErrorAnswer
    attempts: int
    priority: int
    owner: str | None
    since: datetime
    due_at: datetime
    escalated_at: datetime | None
    decisions: list[Decision]
    state: FalloutState
    closed_at: datetime | None
    decision: str | None
    actor: str | None
    reason: str | None


class FalloutList(Answer):
    """One page of fallouts, newest first."""

    items: list[FalloutAnswer]
    next_cursor: str | None


class ResolutionIn(Shape):
    """A decision; `input` corrects the line's technical fields with `retry_with`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"decision": "retry", "reason": "The pool was filled up.", "actor": "j.doe", "input": {}}
        }
    )

    decision: Decision
    reason: Sentence
    actor: Text = "api"
    input: Annotated[dict[Text, Value | Attributes], Field(max_length=100, json_schema_extra=closed)] = Field(
        default_factory=dict
    )


class ResolutionAnswer(Answer):
    """What was decided, once the run has taken it."""

    fallout: str
    order: str
    decision: Decision
    outcome: str


def fallout_body(found: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of models.views
    """A fallout as it goes over the wire."""
    body = {name: found[name] for name in FalloutAnswer.model_fields if name != "error"}
    return {**body, "error": {"code": found["code"], "message": found["message"]}}
