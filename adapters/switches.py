"""How an embedded neighbour is told to misbehave: a persistent switch for each operation."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, text


class Mode(StrEnum):
    """What happens to a call that a switch applies to."""

    REFUSE = "refuse"
    """A new call is refused with the switch's code and message, and the refusal remembered."""
    DELAY = "delay"
    """The call does its work after ``ms`` milliseconds."""
    FAIL_BEFORE = "fail_before"
    """Nothing is done: unavailable, with a wish to be asked again after ``ms`` milliseconds when that is not zero."""
    FAIL_AFTER = "fail_after"
    """The effect is done and remembered, and then the call fails as unavailable."""
    LOSE_ANSWER = "lose_answer"
    """The effect is done and remembered, and no answer arrives."""
    SLOW = "slow"
    """The request is accepted, and its work done ``ms`` milliseconds later; until then the network is at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A fault of one operation.

    ``match``: only calls whose key or JSON contains that text. ``remaining``: how many calls it still applies to.
    """

    mode: Mode
    match: str | None = None
    remaining: int | None = None
    code: str = "REFUSED"
    message: str = "refused by a switch"
    ms: int = 0

    @property
    def pause_s(self) -> float:
        """The milliseconds in seconds."""
        return self.ms / 1000

    def concerns(self, key: str, asked: str) -> bool:
        """Whether a call is one that the switch is meant for."""
        return self.match is None or self.match in key or self.match in asked


class Switches:
    """The switches of one neighbour, by operation; they outlive the process."""

    def __init__(self, engine: Engine, *, schema: str, operations: frozenset[str], slow: frozenset[str]) -> None:
        """``operations`` can be switched; ``slow`` are those of them that can answer "still working"."""
        self._engine = engine
        self._operations = operations
        self._slow = slow
        self._set, self._take, self._clear, self._all = (
            text(statement.replace("ledger.", f"{schema}.")) for statement in (_SET, _TAKE, _CLEAR, _ALL)
        )

    def set(self, operation: str, switch: Switch) -> None:
        """Turn a switch on, in the place of the operation's former one; ``ValueError`` where it makes no sense."""
        allowed = self._slow if switch.mode is Mode.SLOW else self._operations
        if operation not in allowed:
            raise ValueError(f"{operation} cannot be switched to {switch.mode}")
        with self._engine.begin() as connection:
            connection.execute(self._set, {"operation": operation} | SWITCH.dump_python(switch))

    def clear(self, operation: str | None = None) -> None:
        """Turn an operation's switch off, or all of them."""
        with self._engine.begin() as connection:
            connection.execute(self._clear, {"operation": operation})

    def all(self) -> dict[str, Switch]:
        """Every switch that is on, by operation."""
        with self._engine.connect() as connection:
            return {row.operation: from_json(row.switch) for row in connection.execute(self._all)}

    def take(self, connection: Connection, operation: str) -> bool:
        """Use a counted switch once; whether there was a use left."""
        return connection.execute(self._take, {"operation": operation}).first() is not None


SWITCH = TypeAdapter(Switch)


def from_json(found: str) -> Switch:
    """The switch that a row holds, read as JSON."""
    return SWITCH.validate_json(found)


_SET = """
INSERT INTO ledger.switches (operation, mode, match, remaining, code, message, ms)
VALUES (:operation, :mode, :match, :remaining, :code, :message, :ms)
ON CONFLICT (operation) DO UPDATE SET (mode, match, remaining, code, message, ms)
    = (EXCLUDED.mode, EXCLUDED.match, EXCLUDED.remaining, EXCLUDED.code, EXCLUDED.message, EXCLUDED.ms)
"""

_TAKE = """
UPDATE ledger.switches SET remaining = remaining - 1
WHERE operation = :operation AND (remaining > 0 OR remaining IS NULL)
RETURNING operation
"""

_CLEAR = "DELETE FROM ledger.switches WHERE operation = COALESCE(:operation, operation)"

_ALL = """
SELECT operation, CAST(row_to_json(s) AS text) AS switch FROM ledger.switches s WHERE remaining IS NULL OR remaining > 0
ORDER BY operation
"""
