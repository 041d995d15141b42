"""Inside a process under test: it knows where it is, writes down what it passes, and strikes itself when told to."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.faults.boundary import Boundary, Deed, Strike, When
from tests.faults.mischief import Mischief

IN_THE_CODE_S = 0.5
"""A run that stands still for longer, in the middle of its own code, is taken for stuck, and its worker with it."""


@dataclass(frozen=True, slots=True)
class _Place:
    within: str
    about: str
    order: str


_place: ContextVar[_Place | None] = ContextVar("place", default=None)


class Armed:
    """One for each process. ``control`` brings strikes, each answered once it is in place."""

    def __init__(self, part: str, *, journal: Path, control: Connection) -> None:
        self._part = part
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._control = control
        self._lock = threading.Lock()
        self._passed: Counter[Boundary] = Counter()
        self._strike: Strike | None = None
        self._go = threading.Event()
        self.mischief: list[Mischief] = []
        """What is wrong with the wires."""

    def listen(self) -> None:
        """Take strikes from now on."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                message = self._control.recv()
            except (EOFError, OSError):
                os._exit(0)  # nobody is there any more
            match message:
                case Strike() | None:
                    with self._lock:
                        self._strike = message
                        self._passed.clear()
                case "go":
                    self._go.set()
                    continue
                case list():
                    self.mischief = message
                case _:
                    raise TypeError(message)
            self._control.send("ready")

    @contextmanager
    def within(self, name: str, *, about: str = "", order: str = "") -> Iterator[None]:
        """What is passed in this block, and in what it calls, is passed within an activity, a request, an operation."""
        token = _place.set(_Place(name, about, order))
        try:
            yield
        finally:
            _place.reset(token)

    def passes(self, what: str, when: When, **facts: Any) -> bool:  # noqa: ANN401 - whatever is worth noting
        """Say that the process passes a boundary; whether the connection at hand is to be cut there."""
        place = _place.get()
        if place is None:
            return False
        boundary = Boundary(part=self._part, within=place.within, about=place.about, what=what, when=when)
        with self._lock:
            self._passed[boundary] += 1
            nth = self._passed[boundary]
            struck = self._strike is not None and self._strike.at == replace(boundary, nth=nth)
            deed = self._strike.deed if struck and self._strike else None
            if struck:
                self._strike = None
        self._note(struck=deed, order=place.order, **asdict(boundary), **facts)
        match deed:
            case Deed.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Deed.FREEZE:
                os.kill(os.getpid(), signal.SIGSTOP)
            case Deed.MEET:
                self._go.clear()
                self._control.send("here")
                self._go.wait(IN_THE_CODE_S if boundary.within == "workflow" else None)
            case _:
                pass
        return deed is Deed.CUT

    def _note(self, **facts: Any) -> None:  # noqa: ANN401
        line = json.dumps({"at": time.time(), "pid": os.getpid(), **facts}) + "\n"
        os.write(self._journal, line.encode())
