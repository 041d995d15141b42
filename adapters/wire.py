"""What goes over the wire, and into the ledgers: each operation's question and answer as JSON."""

from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from domain.neighbour import Unacceptable

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Operation(Generic[Asked, Answer]):
    """One operation of a neighbour: its name, what is asked and what can be answered, both with their JSON form."""

    def __init__(self, name: str, *, asked: Any, answer: Any) -> None:  # noqa: ANN401 - a union is a value, not a type
        """``asked`` and ``answer`` are the types; building their schemas is dear, so operations are made once."""
        self.name = name
        self.asked: TypeAdapter[Asked] = TypeAdapter(asked)
        self.answer: TypeAdapter[Answer] = TypeAdapter(answer)

    def question(self, key: str, asked: Asked) -> bytes:
        """What is asked, as JSON; ``Unacceptable`` when it, or the key, holds what no text may."""
        try:
            body = self.asked.dump_json(asked)
            sound = key and "\0" not in key and b"\\u0000" not in body and key.encode()
        except ValueError as error:  # half a character, or a number that is none
            raise Unacceptable(f"{self.name}: {error}") from error
        if not sound:
            raise Unacceptable(f"{self.name}: the key is missing, or a text holds NUL")
        return body
