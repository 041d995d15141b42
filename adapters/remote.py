"""A neighbour over HTTP: one request, one answer, and an honest word when there is none.

``POST /{operation}`` with the key in ``Idempotency-Key`` does something, ``GET /{operation}`` asks. 200 and 202 carry an
answer, 409 and 422 a refusal. Nothing is tried twice here: that is for those who know what it would mean.
"""

from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from adapters.wire import Answer, Asked, Operation
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable

CONNECT_S, ANSWER_S = 2.0, 10.0
MAX_ANSWER_BYTES = 1_000_000
ANSWERED = frozenset({200, 202})
REFUSED = frozenset({409, 422})
NOT_DONE = frozenset({408, 425, 429, 503})
IN_DOUBT = frozenset({500, 502, 504})

_REFUSAL = TypeAdapter(Refused)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Remote:
    """One neighbour at a base URL; ``transport`` is for those who put something in between."""

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def call(self, operation: Operation[Asked, Answer], *, key: str, asked: Asked) -> Answer:
        """The answer to something to be done; :class:`OutcomeUnknown` when it was sent and no answer understood."""
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        try:
            with self._client.stream(
                "POST", f"/{operation.name}", content=operation.asked.dump_json(asked), headers=headers
            ) as response:
                return _answer(operation, response, _body(response))
        except _NOT_SENT as error:
            raise Unavailable(f"{operation.name}: {error}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OutcomeUnknown(f"{operation.name}: no answer: {error!r}") from error

    def read(self, operation: Operation[Any, Answer], **parameters: str | list[str]) -> Answer:
        """The answer to a question, which changes nothing: whatever goes wrong, it can be asked again."""
        try:
            with self._client.stream("GET", f"/{operation.name}", params=_flat(parameters)) as response:
                return _answer(operation, response, _body(response))
        except httpx.HTTPError as error:
            raise Unavailable(f"{operation.name}: {error!r}") from error
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from error


def _flat(parameters: Mapping[str, str | list[str]]) -> list[tuple[str, str | int | float | bool | None]]:
    return [(name, x) for name, value in parameters.items() for x in ([value] if isinstance(value, str) else value)]


def _body(response: httpx.Response) -> bytes:
    """The body, up to a bound; more than that is no answer that was asked for."""
    body = b""
    for part in response.iter_bytes():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise OutcomeUnknown(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return body


def _answer(operation: Operation[Any, Answer], response: httpx.Response, body: bytes) -> Answer:
    status = response.status_code
    if status in NOT_DONE:
        raise Unavailable(f"{operation.name}: status {status}", retry_after_s=_retry_after_s(response))
    if status in IN_DOUBT:
        raise OutcomeUnknown(f"{operation.name}: status {status}")
    try:
        if status in ANSWERED:
            return operation.answer.validate_json(body, strict=True)
        if status in REFUSED:
            _REFUSAL.validate_json(body, strict=True)
            return operation.answer.validate_json(body, strict=True)
    except ValidationError as error:
        if status in ANSWERED:
            raise OutcomeUnknown(f"{operation.name}: an answer of status {status} that is none") from error
    raise Unacceptable(f"{operation.name}: status {status}")


def _retry_after_s(response: httpx.Response) -> float | None:
    """The pause asked for, when it is given in seconds."""
    asked = response.headers.get("retry-after", "")
    return float(asked) if asked.replace(".", "", 1).isdigit() else None
