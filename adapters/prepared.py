"""Statements that PostgreSQL parses and plans once for each connection, not once for each call."""

import re
from typing import Any

from sqlalchemy import Connection, CursorResult


class Prepared:
    """A statement with ``:parameters``, prepared by each connection at its first use.

    The everyday statements change several tables at once; planning them anew would take PostgreSQL longer than doing
    what they say.
    """

    def __init__(self, name: str, statement: str, **types: str) -> None:
        """``name`` is unique among all of a connection; ``types`` are the parameters' SQL types."""
        numbers = {parameter: f"${place}" for place, parameter in enumerate(types, start=1)}
        body = re.sub(r"(?<!:):([a-z_]+)", lambda found: numbers[found[1]], statement)
        self._name = name
        self._prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {body}"
        self._execute = f"EXECUTE {name} ({', '.join(f'%({parameter})s' for parameter in types)})"

    def on(self, connection: Connection, **values: Any) -> CursorResult[Any]:  # noqa: ANN401 - what a driver takes
        """The result of the statement with these values, in the connection's transaction."""
        prepared: set[str] = connection.info.setdefault("prepared", set())
        if self._name not in prepared:
            connection.exec_driver_sql(self._prepare)
            prepared.add(self._name)
        return connection.exec_driver_sql(self._execute, values)
