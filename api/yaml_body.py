"""Reading a YAML body as strictly as a JSON one: the same values, the same bounds, nothing that only YAML has."""

import json
import math
import re
from typing import Any

import yaml

from api.body import MAX_DEPTH, parse
from api.errors import Problem

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Unacceptable(Exception):  # noqa: N818
    """Not the YAML that is read here."""


def parse_yaml(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a YAML body of one document; a 400 for anything that JSON could not say.

    Refuses anchors, aliases and tags, duplicate and non-text keys, and what :func:`api.body.parse` refuses. Plain words
    are text but for ``true``, ``false``, ``null`` and numbers, so ``no`` and dates are texts.
    """
    try:
        value = _read(raw.decode("utf-8"))
        return parse(json.dumps(value, allow_nan=False).encode())
    except (_Unacceptable, yaml.YAMLError, ValueError):
        raise Problem(
            400, "Unacceptable YAML", "The body must be one YAML document of plain values, without anchors or tags."
        ) from None


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
