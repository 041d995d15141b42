"""Fallouts and decisions about them, on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.orders import Attributes, Value
from api.schemas.shape import Answer, Sentence, Shape, Text, closed

Decision = Literal["retry", "retry_with", "skip", "abort"]
Input = Annotated[dict[Text, Value | Attributes], Field(max_length=100, json_schema_extra=closed)]


class ErrorAnswer(Answer):
    """What the neighbour said."""

    code: str
    message: str


class FalloutAnswer(Answer):
    """A step that needs, or needed, a person's decision."""

    id: str
    order: str
    number: int
    account: str
    line: str
    step: str
    type: str
    error: ErrorAnswer
    attempts: int
    since: datetime
    decisions: list[str]
    state: Literal["open", "closed"]
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
