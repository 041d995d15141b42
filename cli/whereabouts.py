"""Where the system that runs on a data folder is found: a note in the folder, for as long as it runs."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from embedded.system import System

_NOTE = "running.json"


def default_data_folder() -> Path:
    """Return the folder of this user that holds the system's data."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "orderloom"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "orderloom"


@contextlib.contextmanager
def noted(data: Path, found: "System") -> Iterator[None]:
    """Leave the note for as long as the block lasts."""
    note = data / _NOTE
    note.write_text(json.dumps({"api": found.api, "temporal_ui": found.temporal_ui}))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def running_api(data: Path | None = None) -> str | None:
    """Return the API of the system on the folder (default: this user's); `None` when none runs.

    A killed system leaves its note behind, so what counts is that somebody listens there.
    """
    from embedded.process import listens

    try:
        api: str = json.loads(((data or default_data_folder()) / _NOTE).read_text())["api"]
        return api if listens(urlsplit(api).port or 80) else None
    except (OSError, ValueError, KeyError):
        return None
