"""Where the system that runs on a data folder is found: a note in the folder, for as long as it runs."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from cli import screen

if TYPE_CHECKING:
    from embedded.system import System
    from settings import Settings

DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The system's data folder. Default: your own, ~/.local/share/orderloom."
    ),
]

_NOTE = "running.json"


def default_data_folder() -> Path:
    """Return the folder of this user that holds the system's data."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "orderloom"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "orderloom"


@contextlib.contextmanager
def noted(data: Path, found: "System") -> Iterator[None]:
    """Leave the note for as long as the block lasts: for this user only, since it holds a password."""
    note = data / _NOTE
    note.unlink(missing_ok=True)
    note.touch(mode=0o600)
    note.write_text(json.dumps({name: value for name, value in asdict(found).items() if name != "pids"}))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def running_api(data: Path | None = None) -> str | None:
    """Return the API of the system on the folder (default: this user's); `None` when none runs.

    A killed system leaves its note behind, so what counts is that somebody listens there.
    """
    found = running_system(data)
    return found["api"] if found else None


def running_system(data: Path | None = None) -> dict[str, str] | None:
    """Return all that the note says: `api`, `temporal_ui`, `temporal` and `database`; `None` when none runs."""
    from embedded.process import listens

    try:
        found: dict[str, str] = json.loads(((data or default_data_folder()) / _NOTE).read_text())
        return found if listens(urlsplit(found["api"]).port or 80) else None
    except (OSError, ValueError, KeyError):
        return None


def settings(data: Path | None) -> "Settings":
    """Say how to reach the system on the folder that is named, else what the environment names, else on the usual one.

    Complains, and exits with status 2, when there is none.
    """
    from pydantic import ValidationError

    from settings import Provided, Settings

    try:
        given = None if data else Provided().database_url
        found = None if given else running_system(data)
        if found:
            return Settings(database_url=found["database"], temporal_address=found["temporal"])
        if data is None:
            return Settings()
        screen.complain(f"No system runs on {data}. Start one with: orderloom up --data {data}")
    except ValidationError:
        screen.complain("No system runs on your data folder; name another with --data, or with ORDERLOOM_DATABASE_URL.")
    raise typer.Exit(2)
