"""`make faults`: the whole programme, or the parts that are named; writes faults/results.json when it is whole."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.faults.programme import KILLS_AT_LEAST, Programme

RESULTS = Path(__file__).parents[2] / "faults" / "results.json"


def main() -> int:
    """The exit status: 1 when anything was wrong, or not tried."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", help="crashes, wire, changes, races, walks, poison, time, versions, planted, outages"
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
    if given.parts:
        return int(bool(results["violations"]) or results["planted"] != results["planted_caught"])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    console.print(f"Written: {RESULTS.relative_to(RESULTS.parents[1])}")
    return int(not _is_whole(results))


def _is_whole(results: dict[str, object]) -> bool:
    """Nothing is wrong, everything was tried, and what was planted was found."""
    kills = results["kills"]
    return (
        not results["violations"]
        and results["points_covered"] == results["points_recorded"]
        and results["planted_caught"] == results["planted"]
        and isinstance(kills, int)
        and kills >= KILLS_AT_LEAST
    )


if __name__ == "__main__":
    sys.exit(main())
