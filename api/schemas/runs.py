"""Runs that a request starts, on the wire."""

from typing import Literal

from api.schemas.shape import Answer


class StartedRunAnswer(Answer):
    """A run that is under way, and where a person looks at it."""

    workflow_id: str
    run_id: str | None
    status: Literal["started"]
    temporal_ui: str


class RequestedAnswer(Answer):
    """What was asked for is under way."""

    run: StartedRunAnswer
