"""Starts programs in order, starts again what dies, and stops everything in reverse order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Self

from embedded.process import NotReady, Program, wait_until

_LOOK_EVERY_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_LIVED_WELL_S = 10.0
_LOG_TAIL_BYTES = 2_000
_LONG_LOG_BYTES = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program that shall run, and the question that tells when it is ready."""

    program: Program
    ready: Callable[[], bool] = lambda: True
    ready_within_s: float = 60.0


class Supervisor:
    """Runs services for as long as its `async with` block lasts.

    `say` hears one sentence for each unexpected event. Each program appends its output to `logs/<name>.log`. All of
    them inherit the file descriptors `inherit`.
    """

    def __init__(self, *, say: Callable[[str], None], logs: Path, inherit: tuple[int, ...] = ()) -> None:
        self._say = say
        self._logs = logs
        self._inherit = inherit
        self._running: dict[str, tuple[Service, Popen[bytes]]] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for log in self._logs.glob("*.log"):
            if log.stat().st_size > _LONG_LOG_BYTES:
                log.replace(log.with_suffix(".old"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers.values():
            keeper.cancel()
        for service, process in reversed(self._running.values()):
            await asyncio.to_thread(service.program.stop, process)

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each service, in the order they were started."""
        return {name: process.pid for name, (_, process) in self._running.items()}

    async def run(self, program: Program) -> None:
        """Run a program to its end; raise `NotReady` with the last of its output unless it succeeds."""
        process = self._spawn(program)
        try:
            status = await _end(process)
        except asyncio.CancelledError:
            await asyncio.to_thread(program.stop, process)
            raise
        if status != 0:
            raise self._explained(f"{program.name} failed with status {status}", program)

    async def start(self, service: Service) -> None:
        """Start the service and return once it is ready; raise `NotReady` with the last of its output otherwise.

        From then on it is started again whenever it ends, until the block ends.
        """
        name = service.program.name
        self._running[name] = service, self._spawn(service.program)
        try:
            await self._ready(service)
        except NotReady as problem:
            raise self._explained(str(problem), service.program) from problem
        self._keepers[name] = asyncio.create_task(self._keep(service), name=f"keep {name}")

    async def _ready(self, service: Service) -> None:
        name = service.program.name
        _, process = self._running[name]
        await asyncio.to_thread(wait_until, service.ready, process=process, name=name, within_s=service.ready_within_s)

    async def _keep(self, service: Service) -> None:
        name = service.program.name
        clock = asyncio.get_running_loop().time
        pause_s = _FIRST_PAUSE_S
        while True:
            started_s = clock()
            status = await _end(self._running[name][1])
            if clock() - started_s > _LIVED_WELL_S:
                pause_s = _FIRST_PAUSE_S
            log = self._log(service.program)
            self._say(f"{name} ended ({_told(status)}); starting it again in {pause_s:.1f} s, see {log}")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            self._running[name] = service, self._spawn(service.program)
            try:
                await self._ready(service)
            except NotReady as problem:
                self._say(str(problem))
            else:
                self._say(f"{name} runs again (process {self.pids[name]})")

    def _spawn(self, program: Program) -> Popen[bytes]:
        return program.spawn(output=self._log(program), inherit=self._inherit)

    def _log(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"

    def _explained(self, problem: str, program: Program) -> NotReady:
        log = self._log(program)
        tail = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return NotReady(f"{problem}; the end of {log}:\n{tail}")


async def _end(process: Popen[bytes]) -> int:
    """Return the exit status once the process has ended."""
    while (status := process.poll()) is None:  # noqa: ASYNC110 - no event tells of it on every platform
        await asyncio.sleep(_LOOK_EVERY_S)
    return status


def _told(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"status {status}"
