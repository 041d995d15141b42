"""`make faults`: the whole programme, or the parts that are named; writes faults/results.json when it is whole."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.faults.programme import KILLS_AT_LEAST, NOT_AGAIN_AT_MOST, WITHIN_S, Programme

RESULTS = Path(__file__).parents[2] / "faults" / "results.json"


def main() -> int:
    """The exit status: 1 when anything was wrong, or not tried."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", help="crashes, again, wire, changes, races, walks, poison, time, versions, planted, outages"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000), help="to do it in the same order again")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        programme = Programme(seed=given.seed, console=console, folder=Path(folder))
        asyncio.run(programme.run(given.parts))
    results = {**programme.results, "seconds": round(time.monotonic() - began)}
    console.print(programme.table())
    console.print(json.dumps(results))
    if not given.parts:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        console.print(f"Written: {RESULTS.relative_to(RESULTS.parents[1])}")
    short = [*_wrong(results), *([] if given.parts else _short(results))]
    for what in short:
        console.print(f"[red]Not good: {what}.[/]")
    return int(bool(short))


def _wrong(results: Mapping[str, Any]) -> Iterator[str]:
    """What keeps any run from being good: something is broken, was not tried, or not found."""
    if results["violations"]:
        yield f"{results['violations']} violations"
    struck, recorded, not_again = (results[f"points_{x}"] for x in ("covered", "recorded", "not_passed_again"))
    if struck + not_again != recorded:
        yield f"{struck} of {recorded} points were struck, {not_again} more were not passed again"
    if not_again > NOT_AGAIN_AT_MOST * recorded:
        yield f"{not_again} of {recorded} points were not passed again"
    if results["planted_caught"] != results["planted"]:
        yield f"{results['planted_caught']} of {results['planted']} planted bugs were caught"


def _short(results: Mapping[str, Any]) -> Iterator[str]:
    """What keeps the whole run from being good besides."""
    if results["kills"] < KILLS_AT_LEAST:
        yield f"{results['kills']} kills, {KILLS_AT_LEAST} are asked for"
    if results["seconds"] > WITHIN_S:
        yield f"it took {results['seconds']} s, {WITHIN_S} are allowed"


if __name__ == "__main__":
    sys.exit(main())
