"""One kept-alive HTTP/1.1 connection that costs next to nothing, so that what is measured is the server."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes

    def json(self, *, expected: int) -> Any:  # noqa: ANN401 - any JSON value
        """The body; raises when the status is another than ``expected``."""
        if self.status != expected:
            raise RuntimeError(f"status {self.status}: {self.body[:2_000]!r}")
        return json.loads(self.body)


class Connection:
    """Send one request at a time; answers must carry a Content-Length."""

    STALE_AFTER_S = 3.0
    """Servers end connections on which nothing happens."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer
        self._used_at_s = time.monotonic()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the host and port of a URL."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        return cls(parts.netloc, reader, writer)

    async def ask(self, method: str, path: str, body: bytes) -> Answer:
        """The answer to one request with a JSON body."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(x.partition(b":")[2]) for x in fields if x.startswith(b"content-length:"))
        body = await self._reader.readexactly(length)
        self._used_at_s = time.monotonic()
        return Answer(int(status.split()[1]), body)

    @property
    def is_stale(self) -> bool:
        """Whether the server may have ended it meanwhile."""
        return time.monotonic() - self._used_at_s > self.STALE_AFTER_S

    def close(self) -> None:
        """End the connection."""
        self._writer.close()
