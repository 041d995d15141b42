# ruff: noqa: ANN401 - an answer of any shape
"""What can happen on the wire to a neighbour, and what is to come of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx

SLOW_S = 3.0
"""Longer than a quick attempt may take here, so that its answer comes when nobody waits for it any more."""


class Mode(StrEnum):
    """A way in which a request goes wrong. Those that end in ``_after`` reach the neighbour, which does as it is asked.

    The others are ended, or answered, by something in between, and the neighbour hears nothing.
    """

    LOST_AFTER = "lost_after"
    LOST = "lost"
    SWALLOWED = "swallowed"
    REFUSED_CONNECTION = "refused_connection"
    BROKEN_AFTER = "broken_after"
    TWICE = "twice"
    SLOW = "slow"
    DRIP_AFTER = "drip_after"
    E500 = "500"
    E500_AFTER = "500_after"
    E502_AFTER = "502_after"
    E503 = "503"
    E503_AFTER = "503_after"
    E504_AFTER = "504_after"
    E408_AFTER = "408_after"
    E425 = "425"
    E429 = "429"
    E400 = "400"
    E401 = "401"
    E403 = "403"
    E404 = "404"
    E409 = "409"
    E422 = "422"
    HTML_AFTER = "html_after"
    TRUNCATED_AFTER = "truncated_after"
    WRONG_TYPE_AFTER = "wrong_type_after"
    HUGE_AFTER = "huge_after"
    NAN_AFTER = "nan_after"
    OTHER_KEY_AFTER = "other_key_after"
    REDIRECT = "redirect"


REFUSALS = frozenset({Mode.E409, Mode.E422})
NOT_UNDERSTOOD = frozenset(
    {
        Mode.E400, Mode.E401, Mode.E403, Mode.E404, Mode.HTML_AFTER, Mode.TRUNCATED_AFTER, Mode.WRONG_TYPE_AFTER,
        Mode.HUGE_AFTER, Mode.NAN_AFTER, Mode.OTHER_KEY_AFTER, Mode.REDIRECT,
    }
)  # fmt: skip
FALLS_OUT = REFUSALS | NOT_UNDERSTOOD
"""After these a person is asked at once, and nothing is sent again before."""

PAUSE_S = 1
"""What a neighbour that answers 429 asks for."""


@dataclass(kw_only=True)
class Mischief:
    """What happens to the next ``times`` requests to a path."""

    path: str
    mode: Mode
    times: int = 1
    decoy: str = ""
    """Where a redirect leads."""
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin with all of them."""
        self._left = self.times

    def __call__(self, wire: httpx.BaseTransport, request: httpx.Request) -> httpx.Response | None:
        """The answer, or what is raised instead; ``None`` when the request is none of those meant."""
        if not request.url.path.endswith(self.path) or not self._left:
            return None
        self._left -= 1
        if self.mode in _INSTEAD:
            return _INSTEAD[self.mode](self, request)
        answer = wire.handle_request(request)
        answer.read()
        return _AFTERWARDS[self.mode](wire, request, answer)


def _lost(*asked: Any) -> httpx.Response:
    request = next(x for x in asked if isinstance(x, httpx.Request))
    raise httpx.ReadTimeout("no answer", request=request)


def _swallowed(_: Mischief, request: httpx.Request) -> httpx.Response:
    time.sleep(SLOW_S)
    raise httpx.ReadTimeout("no answer", request=request)


def _broken(_: httpx.BaseTransport, request: httpx.Request, __: httpx.Response) -> httpx.Response:
    raise httpx.RemoteProtocolError("the connection ended", request=request)


def _refused(_: Mischief, request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def _answer(status: int, body: bytes, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


def _status(status: int, **headers: str) -> Callable[..., httpx.Response]:
    return lambda *_: _answer(status, b"<html>the proxy is sorry</html>", **headers)


def _refusal(status: int) -> Callable[..., httpx.Response]:
    return lambda *_: _answer(status, b'{"code": "NO", "message": "not today"}')


def _instead(change: Callable[[bytes], bytes]) -> Callable[..., httpx.Response]:
    return lambda _, __, answer: _answer(200, change(answer.content))


def _twice(wire: httpx.BaseTransport, request: httpx.Request, _: httpx.Response) -> httpx.Response:
    return wire.handle_request(request)


def _late(_: httpx.BaseTransport, __: httpx.Request, answer: httpx.Response) -> httpx.Response:
    time.sleep(SLOW_S)
    return _answer(answer.status_code, answer.content)


class _Drip(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Any:
        for place in range(len(self._body)):
            time.sleep(SLOW_S / max(len(self._body), 1))
            yield self._body[place : place + 1]


_INSTEAD: Mapping[Mode, Callable[[Mischief, httpx.Request], httpx.Response]] = {
    Mode.LOST: _lost,
    Mode.SWALLOWED: _swallowed,
    Mode.REFUSED_CONNECTION: _refused,
    Mode.E500: _status(500),
    Mode.E503: _status(503),
    Mode.E425: _status(425),
    Mode.E429: _status(429, **{"Retry-After": str(PAUSE_S)}),
    Mode.E400: _status(400),
    Mode.E401: _status(401),
    Mode.E403: _status(403),
    Mode.E404: _status(404),
    Mode.E409: _refusal(409),
    Mode.E422: _refusal(422),
    Mode.REDIRECT: lambda mischief, _: _answer(302, b"", Location=mischief.decoy),
}
_AFTERWARDS: Mapping[Mode, Callable[[httpx.BaseTransport, httpx.Request, httpx.Response], httpx.Response]] = {
    Mode.LOST_AFTER: _lost,
    Mode.BROKEN_AFTER: _broken,
    Mode.TWICE: _twice,
    Mode.SLOW: _late,
    Mode.DRIP_AFTER: lambda _, __, answer: httpx.Response(answer.status_code, stream=_Drip(answer.content)),
    Mode.E500_AFTER: _status(500),
    Mode.E502_AFTER: _status(502),
    Mode.E503_AFTER: _status(503),
    Mode.E504_AFTER: _status(504),
    Mode.E408_AFTER: _status(408),
    Mode.HTML_AFTER: _status(200),
    Mode.TRUNCATED_AFTER: _instead(lambda body: body[: len(body) // 2] or b"{"),
    Mode.WRONG_TYPE_AFTER: _instead(lambda _: b'{"key": 5, "state": ["reserved"]}'),
    Mode.HUGE_AFTER: _instead(lambda _: b'"' + b"x" * 10_000_000 + b'"'),
    Mode.NAN_AFTER: _instead(lambda body: body[:-1] + b', "amount": NaN}'),
    Mode.OTHER_KEY_AFTER: _instead(lambda body: body.replace(b'"key":"', b'"key":"x').replace(b'"id":"', b'"id":"x')),
}
