"""One exchange with a neighbour over HTTP, and what each way of not answering means.

``POST /{operation}`` with the key in ``Idempotency-Key`` does something, ``GET /{operation}`` asks. 200 and 202 carry
an answer, 204 is none, 409 and 422 are a refusal. It never sleeps and never tries again: that is for those who know
what it would mean.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Semaphore
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter
from pydantic_core import from_json

from adapters.wire import Answer, Asked, Operation
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable

CONNECT_S = 2.0
READ_S = 10.0
"""For each read, and for the whole answer: a trickle of bytes is no answer."""
AT_ONCE = 8
"""How many requests are under way to a neighbour at once, if nobody says otherwise. Each takes a thread, and orders
that do not need this neighbour would wait for one (B3)."""
PLACE_WITHIN_S = 1.0
"""How long a request waits until it is one of them: as long as a neighbour that is well takes for a few answers."""
MOST_IN_DOUBT = 2
"""How many wait at once for the answers of operations that have let a request time out, until they answer again."""
LARGEST_ANSWER = 1_000_000
LONGEST_PAUSE_S = 3_600.0
"""A neighbour that asks for a longer pause is asked again after this one."""

_REFUSED = TypeAdapter(Refused)
_NO = frozenset({409, 422})
_NOT_NOW = frozenset({408, 425, 429, 502, 503, 504})


class Remote:
    """A neighbour at a base URL.

    Raises ``Unavailable`` when nothing was done, ``OutcomeUnknown`` when it was sent and no answer came (for a question
    that changes nothing that is ``Unavailable`` too), ``Unacceptable`` when question or answer make no sense.
    """

    def __init__(self, base_url: str, *, at_once: int = AT_ONCE, transport: httpx.BaseTransport | None = None) -> None:
        """Neither redirects nor the environment lead elsewhere; ``transport`` is for who puts something in between."""
        self._http = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            limits=httpx.Limits(keepalive_expiry=2.0),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
        self._places, self._places_in_doubt = _Places(at_once), _Places(MOST_IN_DOUBT)
        self._in_doubt = set[str]()
        """Operations that have let a request time out, and not answered one since."""

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def call(
        self, operation: Operation[Asked, Answer], *, key: str, asked: Asked, fits: Callable[[Answer], bool]
    ) -> Answer:
        """The answer to a call; ``fits`` tells whether an answer is one to this question."""
        body = operation.question(key, asked)
        headers = {"Idempotency-Key": quote(key, safe=":/"), "Content-Type": "application/json"}
        request = self._http.build_request("POST", operation.name, content=body, headers=headers)
        try:
            return self._answer(operation, request, fits)
        except httpx.HTTPError as error:
            raise OutcomeUnknown(f"{operation.name}: no answer ({error!r})") from error

    def ask(
        self,
        operation: Operation[None, Answer],
        parameters: Mapping[str, Any],
        *,
        fits: Callable[[Answer], bool] = lambda _: True,
    ) -> Answer:
        """The answer to a question that changes nothing: when none comes, it can simply be asked again."""
        request = self._http.build_request("GET", operation.name, params=parameters)
        try:
            return self._answer(operation, request, fits)
        except (httpx.HTTPError, OutcomeUnknown) as error:
            raise Unavailable(f"{operation.name}: no answer ({error!r})") from error

    def _answer(
        self, operation: Operation[Any, Answer], request: httpx.Request, fits: Callable[[Answer], bool]
    ) -> Answer:
        status, headers, body = self._exchange(operation.name, request)
        match status:
            case HTTPStatus.OK | HTTPStatus.ACCEPTED:
                answer = _read(operation.answer, body)
            case HTTPStatus.NO_CONTENT:
                answer = _read(operation.answer, b"null")
            case _ if status in _NO:
                answer = _read(operation.answer, _REFUSED.dump_json(_read(_REFUSED, body)))
            case _ if status in _NOT_NOW:
                raise Unavailable(f"{operation.name}: HTTP {status}", retry_after_s=_pause_s(headers))
            case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise OutcomeUnknown(f"{operation.name}: HTTP {status}")
            case _:
                raise Unacceptable(f"{operation.name}: HTTP {status}")
        if not fits(answer):
            raise Unacceptable(f"{operation.name}: the answer is to another question")
        return answer

    def _exchange(self, name: str, request: httpx.Request) -> tuple[int, httpx.Headers, bytes]:
        with ExitStack() as places:
            if name in self._in_doubt:
                places.enter_context(self._places_in_doubt.one())
            places.enter_context(self._places.one())
            try:
                answer = self._exchanged(request)
            except httpx.TimeoutException:
                self._in_doubt.add(name)
                raise
            except Unacceptable:  # an answer, if no good one
                self._in_doubt.discard(name)
                raise
            self._in_doubt.discard(name)
            return answer

    def _exchanged(self, request: httpx.Request) -> tuple[int, httpx.Headers, bytes]:
        try:
            response = self._http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"not reached ({error!r})") from error
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            raise Unacceptable(f"cannot be sent ({error!r})") from error
        try:
            return response.status_code, response.headers, _body(response)
        finally:
            response.close()


class _Places:
    """So many may wait at once; who comes after them has sent nothing."""

    def __init__(self, most: int) -> None:
        self._free = Semaphore(most)
        self._in_vain = False
        """Whether somebody has waited for a place, and nobody has left one since."""

    @contextmanager
    def one(self) -> Iterator[None]:
        """One of the places."""
        if not self._free.acquire(timeout=0.0 if self._in_vain else PLACE_WITHIN_S):
            self._in_vain = True
            raise Unavailable("it is slow, and others wait for it already")
        try:
            yield
        finally:
            self._in_vain = False
            self._free.release()


def aware(*dates: datetime | None) -> bool:
    """Whether those of the dates that are there have a zone: others cannot be compared with any instant."""
    return all(x is None or x.tzinfo is not None for x in dates)


def _body(response: httpx.Response) -> bytes:
    """The body, as sent; not more of it, and not for longer, than an answer may take."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Unacceptable("the answer is compressed, which was not asked for")
    deadline = time.monotonic() + response.request.extensions["timeout"]["read"]
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise Unacceptable(f"the answer has more than {LARGEST_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer took too long", request=response.request)
    return bytes(body)


def _read(kind: TypeAdapter[Answer], body: bytes) -> Answer:
    """The body as a value; what is no JSON of that shape, or holds what no database takes, is not acceptable."""
    try:
        if b"\\u0000" in body or _endless(from_json(body)):
            raise Unacceptable("the answer holds NUL, or a number without end")
        return kind.validate_json(body, strict=True)
    except ValueError as error:  # a ValidationError is one
        raise Unacceptable("the answer makes no sense") from error


def _endless(found: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether JSON holds NaN, or a number such as 1e400, which reads as infinity."""
    match found:
        case float():
            return not math.isfinite(found)
        case dict():
            return any(_endless(x) for x in found.values())
        case list():
            return any(_endless(x) for x in found)
        case _:
            return False


def _pause_s(headers: httpx.Headers) -> float | None:
    """How long the neighbour wants not to be asked: seconds, or a date to compare with the date of its answer."""
    wanted = headers.get("Retry-After", "").strip()
    if wanted.isascii() and wanted.isdigit():
        return min(float(wanted), LONGEST_PAUSE_S)
    try:
        pause_s = (parsedate_to_datetime(wanted) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(pause_s, 0.0), LONGEST_PAUSE_S)
