"""Around every request: an id for the logs, a bound for the body, headers for browsers, an answer to any fault."""

import time
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.body import MAX_BYTES
from api.errors import Problem, problem_answer

log = structlog.get_logger()


class Envelope:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, receive, send)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request.id)
        await request.handle(self._app)


class _Request:
    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.id = str(uuid4())
        self._scope, self._receive, self._send = scope, receive, send
        self._bytes = 0
        self._status: int | None = None
        self._began = time.perf_counter()
        scope.setdefault("state", {})["id"] = self.id

    async def handle(self, app: ASGIApp) -> None:
        length = Headers(scope=self._scope).get("content-length", "")
        if length.isdigit() and (len(length) > len(str(MAX_BYTES)) or int(length) > MAX_BYTES):
            await self._answer(_too_large())
        else:
            try:
                await app(self._scope, self.receive, self.send)
            except Exception:
                log.exception("a request failed")
                if self._status is None:
                    await self._answer(Problem(500, "Internal error", "The fault is ours; it has been logged."))
        self._log()

    async def receive(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > MAX_BYTES:
            raise _too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.setdefault("Cache-Control", "no-store")
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Request-ID"] = self.id
        await self._send(message)

    async def _answer(self, problem: Problem) -> None:
        await problem_answer(self.id, problem)(self._scope, self._receive, self.send)

    def _log(self) -> None:
        route: Any = self._scope.get("route")
        said = log.debug if (self._status or 500) < HTTPStatus.BAD_REQUEST else log.info
        said(
            "request",
            method=self._scope["method"],
            route=getattr(route, "path", None),
            status=self._status,
            ms=round((time.perf_counter() - self._began) * 1_000, 1),
        )


def _too_large() -> Problem:
    return Problem(413, "Content too large", f"A body has at most {MAX_BYTES} bytes.", headers={"Connection": "close"})
