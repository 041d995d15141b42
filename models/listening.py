"""Hearing what other processes write: PostgreSQL's notifications, on a connection of its own."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

CHANNEL = "orderloom_events"
"""Whoever appends to an order's event log notifies this channel with the order's id."""


class Listening:
    """One connection that listens; not for use by two threads at once. ``psycopg2.Error`` when it is lost."""

    def __init__(self, engine: Engine) -> None:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()  # it is ours from now on: the pool makes another
        self._connection = driver
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def fileno(self) -> int:
        """The socket to wait on until there is something to read."""
        return int(self._connection.fileno())

    def heard(self) -> Sequence[str]:
        """The orders something happened to since it was asked last."""
        self._connection.poll()
        orders = [notice.payload for notice in self._connection.notifies]
        self._connection.notifies.clear()
        return orders

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()
