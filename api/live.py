"""Whoever watches an order is woken when something happens to it: one listening connection for the whole process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from models.listening import Listening

AGAIN_AFTER_S = 1.0

log = structlog.get_logger()


class Live:
    """The watchers of orders, by order; made inside the event loop that :meth:`run` runs in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.is_closing = False

    @contextmanager
    def watching(self, order: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something may have happened to the order."""
        woken = asyncio.Event()
        self._watchers[order].add(woken)
        try:
            yield woken
        finally:
            self._watchers[order].discard(woken)
            if not self._watchers[order]:
                del self._watchers[order]

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is replaced, and everybody woken to look for themselves."""
        while True:
            try:
                listening = await asyncio.to_thread(Listening, self._engine)
                self._wake_all()
                await self._listen(listening)
            except (psycopg2.Error, SQLAlchemyError) as error:
                log.warning("the database does not tell of events", error=repr(error))
                await asyncio.sleep(AGAIN_AFTER_S)

    def close(self) -> None:
        """Send everybody home: the process is about to end."""
        self.is_closing = True
        self._wake_all()

    async def _listen(self, listening: Listening) -> None:
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()

        def read() -> None:
            try:
                for order in listening.heard():
                    self._wake(order)
            except psycopg2.Error as error:
                loop.remove_reader(descriptor)
                lost.set_exception(error)

        descriptor = listening.fileno()
        loop.add_reader(descriptor, read)
        try:
            await lost
        finally:
            loop.remove_reader(descriptor)
            listening.close()

    def _wake(self, order: str) -> None:
        for woken in self._watchers.get(order, ()):
            woken.set()

    def _wake_all(self) -> None:
        for order in self._watchers:
            self._wake(order)
