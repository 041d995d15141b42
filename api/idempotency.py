"""The same request again is the same answer: ``Idempotency-Key`` on what creates.

A request that meets another one with its key waits for that one's transaction, and is then given its answer.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Header
from pydantic import BaseModel

from api.errors import Problem
from models.submissions import Key, Remembered

_Header = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]+$",
        min_length=1,
        max_length=255,
        description="The same key with the same body gives the same answer; with another body it is refused.",
    ),
]


async def _given(idempotency_key: _Header = None) -> str | None:
    return idempotency_key


GivenKey = Annotated[str | None, Depends(_given)]
"""A route's parameter: the client's key, if it sent one."""


def key_for(route: str, given: str | None, body: BaseModel) -> Key | None:
    """The key of a request, with the fingerprint of its body."""
    if given is None:
        return None
    return Key(route=route, key=given, fingerprint=sha256(body.model_dump_json().encode()).hexdigest())


def replay(key: Key, remembered: Remembered) -> Mapping[str, Any] | None:
    """The body of the answer given before; 422 when it was given to something else."""
    if remembered.fingerprint != key.fingerprint:
        raise Problem(422, "Idempotency key reused", "The key was used before, with another body.")
    return remembered.body
