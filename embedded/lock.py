"""One system per data folder."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

_ORPHANS_STOP_WITHIN_S = 15.0


class InUse(RuntimeError):  # noqa: N818 - a sentence for a person, not a class of errors
    """Another system runs on this data folder."""


@contextlib.asynccontextmanager
async def held(directory: Path) -> AsyncIterator[int]:
    """Hold the folder for as long as the block lasts, and give the lock's file descriptor; raise `InUse` if taken.

    Children that inherit the descriptor hold the folder too. So when the launcher was killed, its children still stop;
    the lock is theirs until the last of them has ended, and this waits for that.
    """
    descriptor = _opened(directory)
    with contextlib.closing(os.fdopen(descriptor, "r+")) as file:
        await _take(descriptor, directory)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield descriptor


def _opened(directory: Path) -> int:
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)  # PostgreSQL may be another user's, in a folder within
    return os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)


async def _take(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + _ORPHANS_STOP_WITHIN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode()
            if _lives(holder):
                message = f"Orderloom already runs on {directory} (process {holder})"
                raise InUse(message) from None
            if time.monotonic() > deadline:
                message = f"processes of a killed Orderloom still run on {directory}; stop them and try again"
                raise InUse(message) from None
            await asyncio.sleep(0.05)
        else:
            return


def _lives(pid: str) -> bool:
    """Tell whether the process runs. A zombie holds no file, so it cannot be the one that holds the lock."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
