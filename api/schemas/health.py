"""Health, on the wire."""

from typing import Literal

from api.schemas.shape import Answer


class AliveAnswer(Answer):
    """The process answers."""

    status: Literal["alive"]


class ReadyAnswer(Answer):
    """Everything an order needs is there."""

    status: Literal["ready"]
    database: Literal["ok"]
    temporal: Literal["ok"]
    worker: Literal["ok"]
