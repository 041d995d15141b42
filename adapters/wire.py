"""What goes over the wire, and into the ledgers: each operation's question and answer as JSON."""

from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Operation(Generic[Asked, Answer]):
    """One operation of a neighbour: its name, what is asked and what can be answered, both with their JSON form."""

    def __init__(self, name: str, *, asked: Any, answer: Any) -> None:  # noqa: ANN401 - a union is a value, not a type
        """``asked`` and ``answer`` are the types; building their schemas is dear, so operations are made once."""
        self.name = name
        self.asked: TypeAdapter[Asked] = TypeAdapter(asked)
        self.answer: TypeAdapter[Answer] = TypeAdapter(answer)
