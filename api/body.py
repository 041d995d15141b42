"""Reading a request's body: strict JSON within bounds, before anything else looks at it (F7)."""

import asyncio
import json
import math
import re
from collections.abc import Callable, Coroutine, Iterator
from email.message import Message
from functools import lru_cache
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.errors import Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
ARRIVES_WITHIN_S = 10.0


class StrictRoute(APIRoute):
    """A route whose JSON body is read by :func:`parse`; give it to the ``APIRouter`` as ``route_class``.

    One that takes no body refuses any, except where bodies mean nothing (``GET``).
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, on a request that reads strictly."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle if self.methods == {"GET"} else _without_body(handle)

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def _without_body(
    handle: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def bare(request: Request) -> Response:
        if await read_within_bounds(request):
            raise Problem(400, "No body expected", "This operation takes no body: send none.")
        return await handle(request)

    return bare


class _StrictRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            body = await read_within_bounds(self)
            if body:
                require_media_type(self, "application/json")
            self._body = body
        return self._body

    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return parse(await self.body())


def require_media_type(request: Request, *accepted: str) -> str:
    """The body's media type; 415 when it is none of the accepted, or the body is encoded in any way but UTF-8."""
    media_type, charset = _media_type(request.headers.get("content-type", ""))
    if media_type not in accepted or charset != "utf-8" or "content-encoding" in request.headers:
        raise Problem(415, "Unsupported media type", f"Send {' or '.join(accepted)} in UTF-8, not compressed.")
    return media_type


@lru_cache(maxsize=100)
def _media_type(content_type: str) -> tuple[str, str]:
    """Media type and charset that a header names."""
    header = Message()
    header["content-type"] = content_type
    return header.get_content_type() if content_type else "", str(header.get_param("charset", "utf-8")).lower()


async def read_within_bounds(request: Request) -> bytes:
    """The whole body; 408 when it does not arrive in time. The envelope refuses one that is too large."""
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            return b"".join([chunk async for chunk in request.stream()])
    except TimeoutError:
        raise Problem(408, "Request timeout", "The body took too long to arrive.") from None


def parse(raw: bytes) -> Any:  # noqa: ANN401
    """The JSON value of a body.

    Refuses, with a 400, what JSON parsers disagree on or what cannot be stored: other encodings than UTF-8, duplicate
    keys, NaN and infinities, integers beyond 64 bits, NUL, lone surrogates, and nesting deeper than 32 levels. A number
    without a fraction is an integer, however it is written, as JSON Schema has it.
    """
    try:
        text = raw.decode("utf-8")
        document = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise _unacceptable() from None
    if _is_too_deep(document) or ("\\u" in text and any(_UNSTORABLE.search(x) for x in _strings(document))):
        raise _unacceptable()
    return document


def _unacceptable() -> Problem:
    return Problem(400, "Unacceptable JSON", "The body must be JSON in UTF-8, without duplicate keys, within bounds.")


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MAX_DIGITS = 20
_EXACT = 2.0**53


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS or not -(2**63) <= (value := int(digits)) < 2**63:
        raise ValueError("beyond 64 bits")
    return value


def _number(digits: str) -> float | int:
    if not math.isfinite(value := float(digits)):
        raise ValueError("not finite")
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _constant(_: str) -> NoReturn:
    raise ValueError("not a number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def _is_too_deep(document: Any) -> bool:  # noqa: ANN401
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [x for node in level for x in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> Any:  # noqa: ANN401
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _strings(node: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from node
    for child in _children(node):
        yield from _strings(child)
