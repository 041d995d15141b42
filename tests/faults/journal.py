"""What the processes under test wrote down while they lived."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.boundary import Boundary, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A boundary that was passed; ``struck`` is the deed done there, ``key`` that of a neighbour's operation."""

    at: float
    pid: int
    order: str
    boundary: Boundary
    struck: str | None
    key: str
    local: bool | None


class Journal:
    """The file that all processes of a world write to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(mode=0o600)

    def mark(self) -> int:
        """Where it ends now."""
        return self.path.stat().st_size

    def since(self, mark: int) -> Sequence[Passed]:
        """What was passed since, in order; each place numbered by how often it was."""
        with self.path.open("rb") as file:
            file.seek(mark)
            return tuple(_numbered(json.loads(x) for x in file.read().splitlines()))


def _numbered(lines: Iterator[dict[str, Any]]) -> Iterator[Passed]:
    times: Counter[Boundary] = Counter()
    for x in lines:
        place = {name: x[name] for name in ("part", "within", "about", "what")}
        first = Boundary(**place, when=When(x["when"]))
        times[first] += 1
        yield Passed(
            at=x["at"],
            pid=x["pid"],
            order=x["order"],
            boundary=Boundary(**place, when=first.when, nth=times[first]),
            struck=x["struck"],
            key=x.get("key") or "",
            local=x.get("local"),
        )
