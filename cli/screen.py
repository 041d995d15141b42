"""What a person sees: sentences and tables, in colour on a terminal, as plain unbroken lines anywhere else."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_UNBROKEN = 100_000
_STYLE = {
    "acknowledged": "cyan",
    "pending": "dim",
    "inProgress": "yellow",
    "completed": "green",
    "done": "green",
    "active": "green",
    "held": "bold red",
    "open": "bold red",
    "failed": "red",
    "rejected": "red",
    "cancelled": "dim",
    "skipped": "dim",
    "undone": "dim",
    "partial": "magenta",
}


def console(*, stderr: bool = False) -> "Console":
    """Return a console; where nobody watches, its lines are as long as they are."""
    from rich.console import Console

    watched = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if watched else _UNBROKEN, highlight=False, markup=False, emoji=False)


def say(sentence: str, *, style: str = "") -> None:
    """Print one line."""
    console().print(words(sentence, style=style), soft_wrap=True)


def complain(sentence: str) -> None:
    """Print one line on standard error."""
    console(stderr=True).print(words(sentence, style="red"), soft_wrap=True)


def say_json(body: object) -> None:
    """Print one line of JSON, at once."""
    print(json.dumps(body, ensure_ascii=False), flush=True)  # noqa: T201 - the answer itself


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, stderr: bool = False) -> None:
    """Print rows under their columns; values that are states have their colour."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")  # broken rather than cut: people copy from it
    for row in rows:
        drawn.add_row(*(words(value, style=state_style(value)) for value in row))
    console(stderr=stderr).print(drawn)


def violations(found: Sequence[Mapping[str, Any]], *, stderr: bool = True) -> None:
    """Print broken rules, one a row."""
    # A catalog's violation names a product where an order's names a line.
    place = "product" if any("product" in x for x in found) else "line"
    rows = [[x["code"], x["rule"], x.get(place), x.get("field"), x["message"]] for x in found]
    table(("code", "rule", place, "field", "message"), rows, stderr=stderr)


def words(value: object, *, style: str = "") -> "Text":
    """Return a value as text that cannot play tricks on a terminal."""
    from rich.text import Text

    shown = "" if value is None else str(value)
    return Text("".join(c if c.isprintable() else "�" for c in shown), style=style)


def state_style(value: object) -> str:
    """Return the colour of a state; of anything else none."""
    return _STYLE.get(value, "") if isinstance(value, str) else ""


def instant(text: str | None) -> str | None:
    """Return an instant as people read it: UTC, whole seconds."""
    return text and f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%SZ}"
