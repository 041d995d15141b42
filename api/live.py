"""Whoever watches an order is woken when something happens to it: one question for all of them, while there are any.

The database is not made to tell: of transactions that notify it commits one at a time, watched or not.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from models import views

LOOK_EVERY_S = 0.2
AGAIN_AFTER_S = 1.0

log = structlog.get_logger()


class Live:
    """The watchers of orders, by order; made inside the event loop that :meth:`run` runs in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._seen: dict[str, int] = {}
        """How far each watched order's events went when they were looked at last."""
        self._is_watched = asyncio.Event()
        self.is_closing = False

    @contextmanager
    def watching(self, order: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something may have happened to the order."""
        woken = asyncio.Event()
        self._watchers[order].add(woken)
        self._is_watched.set()
        try:
            yield woken
        finally:
            self._watchers[order].discard(woken)
            if not self._watchers[order]:
                del self._watchers[order]

    async def run(self) -> None:
        """Look until cancelled, as long as somebody watches; a database that is away is asked again."""
        while True:
            if not self._watchers:
                self._is_watched.clear()
                await self._is_watched.wait()
            try:
                await self._look()
            except SQLAlchemyError as error:
                log.warning("the database does not tell of events", error=repr(error))
                await asyncio.sleep(AGAIN_AFTER_S)
            await asyncio.sleep(LOOK_EVERY_S)

    def close(self) -> None:
        """Send everybody home: the process is about to end."""
        self.is_closing = True
        for order in self._watchers:
            self._wake(order)

    async def _look(self) -> None:
        """Wake those for whose order there is more than the last time."""
        before, self._seen = self._seen, await asyncio.to_thread(views.log_ends, self._engine, [*self._watchers])
        for order, end in self._seen.items():
            if before.get(order) != end:
                self._wake(order)

    def _wake(self, order: str) -> None:
        for woken in self._watchers.get(order, ()):
            woken.set()
