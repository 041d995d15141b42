"""Folders in memory: a thousand databases are made and dropped, which takes three times as long on a disk."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there is a folder of our own
ENOUGH = 2 << 30
"""How many bytes have to be free there."""
_OURS = "orderloom-tests-"


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder for as long as the block lasts: in memory where there is room, else where temporary files are."""
    memory = MEMORY if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH else None
    for left in MEMORY.glob(f"{_OURS}*") if memory else ():  # of tests that were killed
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=memory, prefix=f"{_OURS}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
