"""Input that means harm, or comes from a broken client."""

import json
from collections.abc import Iterator
from typing import Any

MARK = "xyzzy"
"""Stands in hostile input, and must never come back."""

RAW: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{xyzzy",
    "a number": b"1",
    "a string": b'"xyzzy"',
    "null": b"null",
    "a list": b"[]",
    "NaN": b'{"lines": NaN}',
    "Infinity": b'{"lines": Infinity}',
    "-Infinity": b'{"lines": -Infinity}',
    "1e400": b'{"lines": 1e400}',
    "5,000 digits": b'{"lines": ' + b"9" * 5_000 + b"}",
    "beyond 64 bits": b'{"lines": 9223372036854775808}',
    "NUL": b'{"lines": "\\u0000xyzzy"}',
    "raw NUL": b'{"lines": "\x00xyzzy"}',
    "a lone surrogate": b'{"lines": "\\ud800xyzzy"}',
    "a lone surrogate as a key": b'{"\\udc00xyzzy": 1}',
    "duplicate keys": b'{"xyzzy": 1, "xyzzy": 2}',
    "Latin-1": '{"xyzzy": "ü"}'.encode("latin-1"),
    "UTF-16": '{"xyzzy": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"xyzzy": 1}',
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "500,000 levels": b"[" * 500_000,
    "33 levels": b'{"lines": ' + b"[" * 33 + b"]" * 33 + b"}",
    "two documents": b"{} {}",
}
"""Bodies that are no acceptable JSON, or no object."""

VALUES: dict[str, Any] = {
    "negative": -1,
    "zero": 0,
    "huge": 2**63 - 1,
    "2^31": 2**31,
    "a fraction": 0.001,
    "true": True,
    "digits in a string": "5",
    "null": None,
    "empty": "",
    "a list": [MARK],
    "an object": {MARK: MARK},
    "a long string": MARK * 30_000,
    "right to left": f"\u202e{MARK}",
    "zero width": f"\u200b{MARK}",
    "a line break": f"{MARK}\r\nSet-Cookie: {MARK}",
    "a noncharacter": f"{MARK}\uffff",
    "SQL": f"{MARK}'; DROP TABLE orderloom.orders; --",
    "a template": f"{{{{7*7}}}}{MARK}",
    "a path": f"../../{MARK}",
}
"""Values put in the place of each field of a good body."""


def mutated(good: dict[str, Any], *, harmless: frozenset[tuple[str, str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The good body with one field at a time made hostile, and with fields nobody asked for.

    ``harmless`` are pairs of field and value that the documented shape allows.
    """
    for path, value in _leaves(good, ()):
        for name, hostile in VALUES.items():
            if hostile != value and (path[-1], name) not in harmless:
                yield f"{'.'.join(map(str, path))}: {name}", _with(good, path, hostile)
    for extra in ("status", "state", "tenant", "price", "asset_id", "role", "id_", MARK):
        yield f"extra {extra}", {**good, extra: MARK}


def _leaves(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:  # noqa: ANN401
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in entries:
        yield (*path, key), value
        if isinstance(value, dict | list):
            yield from _leaves(value, (*path, key))


def _with(node: Any, path: tuple[Any, ...], value: Any) -> Any:  # noqa: ANN401
    copy = json.loads(json.dumps(node))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy
