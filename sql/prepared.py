"""Statements that PostgreSQL parses and plans once for each connection, not once for each call."""

import re
from hashlib import sha256
from typing import Any

import psycopg2
from sqlalchemy import Connection, Result
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


class Prepared:
    """A statement with ``:parameters``, prepared by each connection at its first use.

    Everyday statements change several tables at once: planning one takes longer than carrying it out. They find their
    rows by keys they are given, for the plan is made while tables are small, and kept when they have grown.
    """

    def __init__(self, statement: str, **types: str) -> None:
        """``types`` are the parameters' SQL types; without them each is what it is compared with, stored in or cast to.

        Every value is passed by name; names that do not occur are passed over.
        """
        names = list(types) or list(dict.fromkeys(_PARAMETER.findall(statement)))
        places = {name: f"${place}" for place, name in enumerate(names, start=1)}
        body = _PARAMETER.sub(lambda found: places[found[1]], statement)
        self._name = f"orderloom_{sha256(statement.encode()).hexdigest()[:16]}"
        typed = f"({', '.join(types.values())})" if types else ""
        self._prepare = f"PREPARE {self._name} {typed} AS {body}"
        self._columns: SimpleResultMetaData | None = None
        self._execute = f"EXECUTE {self._name} ({', '.join(f'%({name})s' for name in names)})"

    def on(self, connection: Connection, /, **values: Any) -> Result[Any]:  # noqa: ANN401 - what a driver takes
        """The result of the statement with these values."""
        return self._send(connection, self._execute, values)

    def first_on(self, connection: Connection, /, **values: Any) -> Result[Any]:  # noqa: ANN401
        """The result, as the first statement of a transaction, which begins in the same round trip."""
        return self._send(connection, f"BEGIN; {self._execute}", values)

    def last_on(self, connection: Connection, /, **values: Any) -> None:  # noqa: ANN401
        """No result, but a commit in the same round trip, as the last statement of a transaction."""
        self._send(connection, f"{self._execute}; COMMIT", values)

    def _send(self, connection: Connection, statement: str, values: dict[str, Any]) -> Result[Any]:
        """Ask the driver itself: what SQLAlchemy does around a statement takes longer than sending it.

        What goes wrong is SQLAlchemy's all the same: it knows which connections are lost, and what its errors are.
        """
        prepared: set[str] = connection.info.setdefault("prepared", set())
        if self._name not in prepared:
            connection.exec_driver_sql(self._prepare)
            prepared.add(self._name)
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor:
            try:
                cursor.execute(statement, values)
                columns = cursor.description
                rows = cursor.fetchall() if columns is not None else ()
            except psycopg2.Error as error:
                connection._handle_dbapi_exception(error, statement, values, cursor, None)  # noqa: SLF001
        if self._columns is None and columns is not None:
            self._columns = SimpleResultMetaData([x.name for x in columns])
        return IteratorResult(self._columns or _NOTHING, iter(rows))


_NOTHING = SimpleResultMetaData([])
