"""Fallouts and decisions about them, on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.orders import Attributes, Value
from api.schemas.shape import MAX_PAGE, Answer, Cursor, Id, Sentence, Shape, Text, Uuid, closed
from domain.fallout import FIRST, LAST, FalloutState, FalloutType
from domain.progress import Resolution
from models.views import UNSETTLED, Selection
from models.work_list import Taking

Decision = Literal["retry", "retry_with", "skip", "abort"]
OpenState = Literal["open", "inProgress", "onHold", "awaitingInfo"]
Input = Annotated[dict[Text, Value | Attributes], Field(max_length=100, json_schema_extra=closed)]


class ErrorAnswer(Answer):
    """What the neighbour said."""

    code: str
    message: str


class FalloutAnswer(Answer):
    """What needs, or needed, a person.

    `order`, `number`, `account`, `line` and `step` are null where a detector found it and it belongs to none.
    `decisions` are what may be decided now, and `correctable` the fields that `retry_with` may correct. `decision` is
    `none` where it went away by itself.
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
    overdue: bool
    escalated_at: datetime | None
    decisions: list[Decision]
    correctable: list[str]
    state: FalloutState
    closed_at: datetime | None
    decision: str | None
    actor: str | None
    reason: str | None


class FalloutList(Answer):
    """One page of fallouts, newest first."""

    items: list[FalloutAnswer]
    next_cursor: str | None


class FalloutChange(Shape):
    """Who works on a fallout, how far that is, how urgent it is: only what is given changes.

    `owner` null puts it back. What another person has taken changes hands only with `take_over`.
    """

    model_config = ConfigDict(
        json_schema_extra={"example": {"owner": "j.doe", "state": "inProgress", "actor": "j.doe"}}
    )

    owner: Text | None = None
    take_over: bool = False
    state: OpenState | None = None
    priority: Annotated[int, Field(ge=FIRST, le=LAST)] | None = None
    actor: Text = "api"
    reason: Sentence | None = None

    def taking(self) -> Taking:
        """The change as the work list takes it."""
        return Taking(
            actor=self.actor,
            reason=self.reason,
            hands_over="owner" in self.model_fields_set,
            owner=self.owner,
            take_over=self.take_over,
            state=FalloutState(self.state) if self.state else None,
            priority=self.priority,
        )


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
    input: Input = Field(default_factory=dict)

    def resolution(self, fallout: str) -> Resolution:
        """The decision about one fallout as its run takes it."""
        return Resolution(
            fallout=fallout, decision=self.decision, actor=self.actor, reason=self.reason, input=self.input
        )


class ResolutionAnswer(Answer):
    """What was decided, once the run has taken it."""

    fallout: str
    order: str
    decision: Decision
    outcome: str


class SelectionIn(Shape):
    """Which open fallouts: all that are as said; what is not said does not matter."""

    ids: Annotated[list[Id], Field(max_length=MAX_PAGE)] | None = None
    type: Annotated[FalloutType, Field(strict=False)] | None = None
    account: Id | None = None
    order: Uuid | None = None
    product: Text | None = None
    owner: Text | None = None
    taken: bool | None = None
    step: Text | None = None
    code: Text | None = None
    overdue: bool | None = None

    def selection(self) -> Selection:
        """The selection as the rows are asked; of those named also what is settled."""
        return Selection(**{"states": UNSETTLED if self.ids is None else None} | self.model_dump())


class ResolutionsIn(ResolutionIn):
    """A decision about many fallouts, a page of them at a time; after `threshold` that failed no more are attempted."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "selection": {"code": "NO_PORT"},
                "decision": "retry",
                "reason": "The exchange is repaired.",
                "actor": "j.doe",
                "threshold": 10,
            }
        }
    )

    selection: SelectionIn
    threshold: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 10
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    cursor: Cursor = ""


class Became(StrEnum):
    """What became of one fallout of a selection; `settled`: it was not open any more; `unknown`: there is none."""

    RESOLVED = "resolved"
    SETTLED = "settled"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_ATTEMPTED = "not_attempted"
    UNKNOWN = "unknown"


class OneAnswer(Answer):
    """What became of one fallout of a selection, and why."""

    fallout: str
    order: str | None
    became: Became
    detail: str | None


class ResolutionsAnswer(Answer):
    """What became of each fallout of one page of a selection; `stopped`: too many failed."""

    items: list[OneAnswer]
    stopped: bool
    next_cursor: str | None


def fallout_body(found: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of models.views
    """A fallout as it goes over the wire."""
    body = {name: found[name] for name in FalloutAnswer.model_fields if name != "error"}
    return {**body, "error": {"code": found["code"], "message": found["message"]}}
