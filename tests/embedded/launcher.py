"""`orderloom up` with stand-ins for the parts: `launcher.py DATA` prints the line of JSON."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from cli import house
from embedded.system import Plan, System


def _announce(found: System) -> None:
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    stand_in = (sys.executable, str(Path(__file__).with_name("stand_in.py")))
    asyncio.run(house.run(Plan(data=Path(sys.argv[1]), api_port=0, part=stand_in), announce=_announce))
