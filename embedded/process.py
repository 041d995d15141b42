"""A program that runs as a child: what to run, how it is stopped, and that it dies with its parent."""

import contextlib
import ctypes
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_KILL_WITHIN_S = 5.0
_PORTS = range(20_000, 32_000)  # below those that kernels hand out, so that nobody gets one between here and its use


class NotReady(RuntimeError):  # noqa: N818 - a sentence for a person, not a class of errors
    """A program ended, or did not answer in time, before it was ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to run in the foreground.

    `environment` is added to the parent's. `stop_signal` asks for a graceful end, also when the parent dies;
    `stop_within_s` seconds later `last_signal` follows, and at last SIGKILL. `user` is whom to run as (root only).
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    last_signal: signal.Signals = signal.SIGKILL
    stop_within_s: float = 10.0

    def spawn(self, *, output: Path | None = None, inherit: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        """Start the program, its output appended to the file `output` or discarded. Call it from the main thread.

        The kernel ties a child to the thread that made it: a child of a short-lived thread would die with that thread.
        """
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(output.open("ab")) if output else subprocess.DEVNULL
            return subprocess.Popen(
                self.argv,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                pass_fds=inherit,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the supervisor only, which keeps the order
                preexec_fn=_die_with(os.getpid(), self.stop_signal),  # noqa: PLW1509 - calls one function of libc
                user=self.user,
                group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
                extra_groups=None if self.user is None else [],
            )

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Stop the process gracefully, at the latest by force, and return its exit status."""
        if process.poll() is None:
            process.send_signal(self.stop_signal)
        for signal_after, within_s in ((self.last_signal, self.stop_within_s), (signal.SIGKILL, _KILL_WITHIN_S)):
            try:
                return process.wait(within_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal_after)
        return process.wait()


def _die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None] | None:
    """Return what the child does before it becomes the program: ask the kernel for a signal when its parent dies.

    Only Linux can. Elsewhere an orphan goes on until it is stopped by hand.
    """
    libc = _LIBC
    if libc is None:
        return None

    def ask() -> None:
        if libc.prctl(_PR_SET_PDEATHSIG, death_signal.value) != 0 or os.getppid() != parent:
            os._exit(1)

    return ask


@contextlib.contextmanager
def running(program: Program, *, output: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program for as long as the block lasts."""
    process = program.spawn(output=output)
    try:
        yield process
    finally:
        program.stop(process)


def wait_until(
    ready: Callable[[], bool], *, process: subprocess.Popen[bytes], name: str, within_s: float = 30.0
) -> None:
    """Return once `ready()`; raise `NotReady` when the process ends before that or time runs out."""
    deadline = time.monotonic() + within_s
    while not ready():
        if process.poll() is not None:
            message = f"{name} ended with status {process.returncode} before it was ready"
            raise NotReady(message)
        if time.monotonic() > deadline:
            message = f"{name} was not ready within {within_s:.0f} s"
            raise NotReady(message)
        time.sleep(0.02)


def free_port(*, preferred: int | None = None) -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses now: the preferred one if it is free."""
    port = preferred or _any_port()
    while not _is_free(port):
        port = _any_port()
    return port


def _any_port() -> int:
    return secrets.choice(_PORTS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left counts as free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(port: int) -> bool:
    """Tell whether anybody accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
