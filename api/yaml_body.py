"""Reading a YAML body as strictly as a JSON one: the same values, the same bounds, nothing that only YAML has."""

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any

import yaml
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import Message

from api.body import MAX_DEPTH, StrictRoute, read_within_bounds, require_media_type
from api.errors import Problem

MEDIA_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class YamlToo(StrictRoute):
    """A route whose body may be YAML as well: it is read as the JSON that says the same."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, which gets JSON in any case."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def either(request: Request) -> Response:
            if require_media_type(request, "application/json", *MEDIA_TYPES) == "application/json":
                return await handle(request)
            body = await run_in_threadpool(as_json, await read_within_bounds(request))
            return await handle(_json_request(request, body))

        return either


def as_json(raw: bytes) -> bytes:
    """The JSON of a YAML body of one document; a 400 for what has none.

    Refuses anchors, aliases, tags, keys that are no text or come twice, and more than 32 levels. Plain words are text
    but for ``true``, ``false``, ``null`` and numbers, so ``no`` and dates are texts.
    """
    try:
        return json.dumps(_read(raw.decode("utf-8")), allow_nan=False).encode()
    except (_Unacceptable, yaml.YAMLError, ValueError):
        raise Problem(
            400, "Unacceptable YAML", "The body must be one YAML document of plain values, without anchors or tags."
        ) from None


def _json_request(request: Request, body: bytes) -> Request:
    headers = MutableHeaders(raw=list(request.headers.raw))
    headers["content-type"] = "application/json"

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({**request.scope, "headers": headers.raw}, receive)


class _Unacceptable(Exception):  # noqa: N818
    """Not the YAML that is read here."""


def _read(text: str) -> Any:  # noqa: ANN401
    """The value, built from the parser's events without recursion; a C parser, because a catalog is a long text."""
    roots: list[Any] = []
    path: list[_Mapping | list[Any]] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        match event:
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                ended = path.pop()
                value: Any = ended.complete() if isinstance(ended, _Mapping) else ended
            case yaml.NodeEvent():
                _refuse_references(event)
                if not isinstance(event, yaml.ScalarEvent):
                    path.append(_Mapping() if isinstance(event, yaml.MappingStartEvent) else [])
                    if len(path) > MAX_DEPTH:
                        raise _Unacceptable
                    continue
                value = _scalar(event)
            case _:
                continue
        (path[-1] if path else roots).append(value)
    if len(roots) != 1:
        raise _Unacceptable
    return roots[0]


class _Mapping:
    """A mapping being read: keys and values in turn."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._key: str | None = None

    def append(self, value: Any) -> None:  # noqa: ANN401
        if self._key is not None:
            self._values[self._key], self._key = value, None
        elif isinstance(value, str) and value not in self._values:
            self._key = value
        else:
            raise _Unacceptable

    def complete(self) -> dict[str, Any]:
        return self._values


def _refuse_references(event: yaml.NodeEvent) -> None:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None or getattr(event, "tag", None) is not None:
        raise _Unacceptable


def _scalar(event: yaml.ScalarEvent) -> str | int | float | bool | None:
    text = str(event.value)
    if not event.implicit[0]:  # quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= 20 else math.inf  # noqa: PLR2004 - beyond 64 bits: refused as a number
    return float(text) if _NUMBER.fullmatch(text) else text
