"""What an embedded neighbour remembers of every call, so that twice is once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Generic

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from adapters.switches import Mode, Switch, Switches, from_json
from adapters.wire import Answer, Asked, Operation
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable
from sql.connections import autocommit
from sql.prepared import Prepared

Effect = Callable[[Connection, datetime], Answer]
"""Does the deed on a connection, as of an instant. When it returns :class:`Refused`, all that it did is undone."""


class NotReady(Exception):  # noqa: N818 - it is no error
    """The call was accepted and its work is not finished; again_in_s seconds are left."""

    def __init__(self, again_in_s: float) -> None:
        super().__init__(f"ready in {again_in_s:.3f} s")
        self.again_in_s = again_in_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a call was made; the outcome is ``applied``, ``refused``, ``replayed`` or ``failed``."""

    key: str
    operation: str
    outcome: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Call(Generic[Asked, Answer]):
    operation: Operation[Asked, Answer]
    key: str
    asked: str
    effect: Effect[Answer]
    undoes: str | None

    @property
    def digest(self) -> str:
        return sha256(f"{self.operation.name} {self.asked}".encode()).hexdigest()


class Ledger:
    """The calls of one neighbour, in its schema: the effect and the remembered answer are one transaction.

    An everyday call costs one look (known? switched?), the effect, and one insert, each a single round trip. Two calls
    with the same key meet at that insert: the second one waits, undoes what it did, and answers what the first one was
    answered.
    """

    def __init__(self, engine: Engine, *, schema: str, clock: Callable[[], datetime], switches: Switches) -> None:
        """``schema`` holds the tables of the ledger; ``clock`` gives aware instants."""
        self._engine = engine
        self._clock = clock
        self._switches = switches
        self._look = Prepared(_LOOK.replace("ledger.", f"{schema}."), key="text", operation="text")
        self._remember = Prepared(_REMEMBER.replace("ledger.", f"{schema}."), **_REMEMBERED)
        self._forestall = text(_FORESTALL.replace("ledger.", f"{schema}."))
        self._attempt = text(_ATTEMPT.replace("ledger.", f"{schema}."))
        self._journal = text(_JOURNAL.replace("ledger.", f"{schema}."))

    def call(
        self,
        operation: Operation[Asked, Answer],
        *,
        key: str,
        asked: Asked,
        effect: Effect[Answer],
        undoes: str | None = None,
    ) -> Answer:
        """The answer to a call: its effect's, or the remembered one. Raises as the switches, or the database, will.

        ``undoes`` is the key of an earlier call that this one takes back: should that one arrive only afterwards, it is
        refused.
        """
        call = _Call(operation, key, operation.question(key, asked).decode(), effect, undoes)
        with _surprises():
            while True:
                try:
                    return self._once(call)
                except _Overtaken:
                    continue

    def query(self, operation: Operation[Any, Answer], *, key: str) -> Answer | None:
        """The answer remembered for a key, whatever operation it was for; raises :class:`NotReady` until it is due."""
        with self.reading(operation.name) as connection:
            row = self._look.on(connection, key=key, operation=operation.name).one()
        return None if row.request is None else self._remembered(row, operation)

    def journal(self) -> tuple[Attempt, ...]:
        """Every attempt of a call, by time."""
        with _surprises(), self._engine.connect() as connection:
            return tuple(Attempt(**row._mapping) for row in connection.execute(self._journal))  # noqa: SLF001

    @contextmanager
    def reading(self, operation: str) -> Iterator[Connection]:
        """A connection for an operation that changes nothing; a switch can only delay it, or make it unavailable."""
        with _surprises(), autocommit(self._engine) as connection:
            row = self._look.on(connection, key=None, operation=operation).one()
            if row.switch is not None and (switch := self._taken(connection, operation, row.switch)):
                if switch.mode is Mode.DELAY:
                    time.sleep(switch.pause_s)
                elif switch.mode in (Mode.FAIL_BEFORE, Mode.FAIL_AFTER, Mode.LOSE_ANSWER):
                    raise Unavailable(f"{operation}: switched to {switch.mode}")
            yield connection

    def _once(self, call: _Call[Any, Answer]) -> Answer:
        with autocommit(self._engine) as connection:
            row = self._look.first_on(connection, key=call.key, operation=call.operation.name).one()
            if row.request is None and row.switch is None:
                return self._do(connection, call)
            connection.exec_driver_sql("ROLLBACK")
            switch = None
            if row.switch is not None:
                switch = self._taken(connection, call.operation.name, row.switch, call.key, call.asked)
            return self._unusual(connection, call, row, switch)

    def _unusual(
        self, connection: Connection, call: _Call[Any, Answer], row: Row[Any], switch: Switch | None
    ) -> Answer:
        """A call that is known already, or that a switch applies to."""
        mode, pause_s = (switch.mode, switch.pause_s) if switch else (None, 0.0)
        if mode is Mode.DELAY:
            time.sleep(pause_s)
        if mode is Mode.FAIL_BEFORE:
            self._note(connection, call, "failed")
            raise Unavailable(f"{call.operation.name}: switched to {mode}", retry_after_s=pause_s or None)
        if row.request is not None:
            answer = self._again(connection, call, row)
        elif mode is Mode.REFUSE and switch is not None:
            connection.exec_driver_sql("BEGIN")
            answer = self._do(connection, replace(call, effect=_refusal(switch)))
        else:
            connection.exec_driver_sql("BEGIN")
            answer = self._do(connection, call, slow_s=pause_s if mode is Mode.SLOW else 0.0)
        if mode is Mode.FAIL_AFTER:
            raise Unavailable(f"{call.operation.name}: switched to {mode}")
        if mode is Mode.LOSE_ANSWER:
            raise OutcomeUnknown(f"{call.operation.name}: switched to {mode}")
        return answer

    def _do(self, connection: Connection, call: _Call[Any, Answer], *, slow_s: float = 0.0) -> Answer:
        """The effect and its answer, in the transaction that has begun; a refusal leaves nothing but itself."""
        at = self._clock()
        done_at = at + timedelta(seconds=slow_s)
        if call.undoes is not None:  # before the effect: it then sees whatever that call has done until now
            connection.execute(self._forestall, {"key": call.undoes, "operation": call.operation.name, "at": at})
        answer = call.effect(connection, done_at)
        if isinstance(answer, Refused):
            connection.exec_driver_sql("ROLLBACK; BEGIN")
        try:
            self._remember.last_on(
                connection,
                key=call.key,
                operation=call.operation.name,
                request=call.digest,
                outcome="refused" if isinstance(answer, Refused) else "applied",
                answer=call.operation.answer.dump_json(answer).decode(),
                at=at,
                ready_at=done_at if slow_s else None,
            )
        except IntegrityError as error:
            if getattr(getattr(error.orig, "diag", None), "constraint_name", None) != _ONE_ANSWER:
                raise
            raise _Overtaken from None
        if slow_s:
            raise NotReady(slow_s)
        return answer

    def _again(self, connection: Connection, call: _Call[Any, Answer], row: Row[Any]) -> Answer:
        if row.request not in (call.digest, _FORESTALLED):
            self._note(connection, call, "failed")
            raise Unacceptable(f"{call.operation.name}: key {call.key} was used for another request")
        self._note(connection, call, "replayed")
        return self._remembered(row, call.operation)

    def _remembered(self, row: Row[Any], operation: Operation[Any, Answer]) -> Answer:
        if row.ready_at is not None and (left := row.ready_at - self._clock()) > timedelta():
            raise NotReady(left.total_seconds())
        return operation.answer.validate_json(row.answer, strict=True)

    def _note(self, connection: Connection, call: _Call[Any, Any], outcome: str) -> None:
        row = {"key": call.key, "operation": call.operation.name, "outcome": outcome, "at": self._clock()}
        connection.execute(self._attempt, row)

    def _taken(
        self, connection: Connection, operation: str, found: str, key: str = "", asked: str = ""
    ) -> Switch | None:
        """The switch that was found, if it applies to the call and no other one used it up meanwhile."""
        switch = from_json(found)
        return switch if switch.concerns(key, asked) and self._switches.take(connection, operation) else None


class _Overtaken(Exception):  # noqa: N818
    """Another call with the same key was faster."""


def _refusal(switch: Switch) -> Effect[Any]:
    return lambda _, __: Refused(code=switch.code, message=switch.message)


@contextmanager
def _surprises() -> Iterator[None]:
    """What the database's errors mean to the one who called the neighbour."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise Unacceptable(f"not acceptable: {error.orig}") from error
    except PoolExhausted as error:
        raise Unavailable("too many calls at once") from error
    except DBAPIError as error:  # it may have been the commit that failed
        raise OutcomeUnknown(f"no answer: {error.orig}") from error


_LOOK = """
SELECT c.request, CAST(c.answer AS text), c.ready_at, CAST(row_to_json(s) AS text) AS switch
FROM (VALUES (1)) AS one (call)
LEFT JOIN ledger.calls c ON c.key = :key
LEFT JOIN ledger.switches s ON s.operation = :operation AND (s.remaining IS NULL OR s.remaining > 0)
"""

_REMEMBER = """
INSERT INTO ledger.calls (key, operation, request, outcome, answer, at, ready_at)
VALUES (:key, :operation, :request, :outcome, :answer, :at, :ready_at)
"""

_ONE_ANSWER = "calls_pk"
"""The constraint by which a key has one answer."""

_FORESTALLED = "none"
"""What was asked under a key that was taken back before it arrived."""

_FORESTALL = """
INSERT INTO ledger.calls (key, operation, request, outcome, answer, at)
VALUES (:key, :operation, 'none', 'refused', '{"code": "TAKEN_BACK", "message": "it was taken back before"}', :at)
ON CONFLICT (key) DO NOTHING
"""

_REMEMBERED = {
    "key": "text",
    "operation": "text",
    "request": "text",
    "outcome": "text",
    "answer": "jsonb",
    "at": "timestamptz",
    "ready_at": "timestamptz",
}

_ATTEMPT = "INSERT INTO ledger.attempts (key, operation, outcome, at) VALUES (:key, :operation, :outcome, :at)"

_JOURNAL = "SELECT key, operation, outcome, at FROM ledger.journal ORDER BY at"
