"""Statements that PostgreSQL parses and plans once for each connection, not once for each call."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, CursorResult

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


class Prepared:
    """A statement with ``:parameters``, prepared by each connection at its first use.

    An order's changes touch several tables in one statement: planning one takes longer than carrying it out. The type
    of a parameter is what it is compared with, stored in or cast to. For statements that find their rows by keys
    they are given: the plan is made while tables are small, and kept when they have grown.
    """

    def __init__(self, sql: str) -> None:
        """Every value is passed by name; names that do not occur are passed over."""
        places = {name: place for place, name in enumerate(dict.fromkeys(_PARAMETER.findall(sql)), start=1)}
        body = _PARAMETER.sub(lambda found: f"${places[found[1]]}", sql)
        self._name = f"orderloom_{sha256(sql.encode()).hexdigest()[:16]}"
        self._prepare = f"PREPARE {self._name} AS {body}"
        self._execute = f"EXECUTE {self._name} ({', '.join(f'%({name})s' for name in places)})"

    def on(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """The result of the statement with these values."""
        prepared: set[str] = connection.info.setdefault("prepared by models", set())
        if self._name not in prepared:
            connection.exec_driver_sql(self._prepare)
            prepared.add(self._name)
        return connection.exec_driver_sql(self._execute, dict(values))
