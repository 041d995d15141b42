"""`orderloom up` with stand-ins for the parts: `launcher.py DATA` prints the line of JSON."""

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

from cli import house
from embedded.system import System


async def _announce(found: System) -> None:
    sys.stdout.write(json.dumps(dataclasses.asdict(found)) + "\n")
    sys.stdout.flush()
    await house.forever()


if __name__ == "__main__":
    stand_in = (sys.executable, str(Path(__file__).with_name("stand_in.py")))
    plan = dataclasses.replace(house.plan(Path(sys.argv[1]), 0), part=stand_in)
    asyncio.run(house.run(plan, work=_announce))
