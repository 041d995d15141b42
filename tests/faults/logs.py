"""What the processes said while they were struck: nothing that a fault put in on purpose does not explain (I27)."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

WRONG = frozenset({"error", "critical"})
MOST_TOLD = 5
"""Of what is alike."""

SWITCHED = r"switched to (fail_before|fail_after|lose_answer|refuse)"
"""An embedded neighbour that was told to fail."""
IN_THE_WAY = r"fallouts_one_open|duplicate key value .*fallouts"
"""A row that a story puts in the way of our own records."""
JUST_ENDED = r"Cannot find activity to cancel"
"""Temporal gives up an attempt that has just ended."""
EVERYWHERE = (SWITCHED, IN_THE_WAY, JUST_ENDED)
ON_THE_WIRE = (r"(Unavailable|OutcomeUnknown|Unacceptable): ", r"not today", r"CancelledError: Cancelled")
"""No answer, no sense, a refusal, and an attempt whose time was up."""
CUT = (
    r"OperationalError",
    r"InterfaceError",
    r"connection .*(closed|lost|terminated)",
    r"server closed the connection",
)
FROZEN = (*CUT, r"CancelledError: Cancelled")
TOO_LONG = r"payload_limits"
A_BUG = (r"a bug", r"Nondetermini")
AWAY = (*CUT, r"RPCError", r"tonic|transport error|Connection refused|connect error|UNAVAILABLE", *ON_THE_WIRE)


@dataclass
class Logs:
    """The logs of all worlds in the houses of a folder; what was read once is not read again."""

    folder: Path
    _read: set[Path] = field(default_factory=set)

    def unexpected(self, *expected: str) -> Sequence[str]:
        """What was said since, went wrong, and is not among what is expected: each once, with how often."""
        explained = re.compile("|".join((*EVERYWHERE, *expected)))
        files = sorted({*self.folder.glob("*/world_*/*.log")} - self._read)
        self._read.update(files)
        wrong = (y for x in files for y in _wrong(x.read_text()) if not explained.search(y))
        found = Counter(_NUMBERS.sub("…", _last_words(x)) for x in wrong)
        return [f"I27: {times} times a log says: {what}" for what, times in found.most_common(MOST_TOLD)]


_NUMBERS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
_COLOURS = re.compile(r"\x1b\[\d*m")


def _wrong(told: str) -> Iterator[str]:
    """Errors, exceptions, and what is no line of ours at all, unless it is a warning of Temporal's."""
    for is_ours, lines in groupby(filter(str.strip, told.splitlines()), key=lambda x: x.startswith("{")):
        if is_ours:
            yield from filter(None, map(_said, lines))
        elif words := "\n".join(x for x in (_COLOURS.sub("", y) for y in lines) if not _WARNING.match(x)):
            yield words


def _said(line: str) -> str:
    """What one of our lines says, if something went wrong; who died in the middle of a line says nothing."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return ""
    is_wrong = said.get("level") in WRONG or "exception" in said
    return "\n".join(str(said.get(x, "")) for x in ("event", "error", "exception")) if is_wrong else ""


_WARNING = re.compile(r"\S+ +(WARN|INFO) ")


def _last_words(said: str) -> str:
    """What happened, and how it ended."""
    lines = [
        x for x in said.splitlines() if x.strip() and not x.startswith(("[SQL: ", "[parameters: ", "(Background on"))
    ]
    return " … ".join(dict.fromkeys((lines[0][:200], *(x[:300] for x in lines[-3:]))))
