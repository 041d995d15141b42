"""One request that suspends many services: how long it takes, what it costs, and whether one holds the others up."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.provisioning.embedded import EmbeddedProvisioning
from adapters.switches import Mode, Switch
from bench.load import SETTLE_S
from bench.machine import usage
from bench.orders import SERVICE
from bench.subjects import House
from domain.order import FINAL, State

LOOK_EVERY_S = 0.25
GIVE_UP_S = 300.0
_OPEN = (State.ACKNOWLEDGED, State.IN_PROGRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What one request came to, until every order that it made had ended or waited for a person.

    ``cpu_ms`` is per order and part. ``looks`` is how often its progress was read, and each time it had moved,
    ``look_ms`` the longest that reading took; ``at_once`` the most orders that were under way at a look.
    """

    orders: int
    elapsed_s: float
    cpu_ms: Mapping[str, float]
    at_once: int
    looks: int
    look_ms: float
    states: Mapping[str, int]


async def suspend(house: House, number: int) -> Bulk:
    """Suspend so many of what is installed with one request; the network refuses the first one that it is asked for."""
    assets = [house.installed[SERVICE].pop() for _ in range(number)]
    now = asyncio.get_running_loop().time
    provisioning = EmbeddedProvisioning(house.database, clock=lambda: datetime.now(UTC))
    provisioning.switches.set("suspend", Switch(mode=Mode.REFUSE, remaining=1))
    before, began = usage(house.parts), now()
    body = json.dumps({"change": "suspend", "assets": assets}).encode()
    answer = await house.api.ask("POST", "/v1/assets/changes", body)
    location = f"/v1/assets/changes/{answer.json(expected=202)['id']}"
    at_once, look_ms, seen = 0, 0.0, [0]
    while True:
        asked = now()
        bulk = (await house.api.ask("GET", location, b"")).json(expected=200)
        look_ms = max(look_ms, 1_000 * (now() - asked))
        states: dict[str, int] = bulk["orders"]
        at_once = max(at_once, sum(states.get(x, 0) for x in _OPEN))
        ended = sum(states.get(x, 0) for x in FINAL)
        if ended != seen[-1]:
            seen.append(ended)
        if ended + states.get(State.HELD, 0) == number:
            break
        if now() - began > GIVE_UP_S:
            raise RuntimeError(f"{number} suspensions do not end: {bulk}")
        await asyncio.sleep(LOOK_EVERY_S)
    elapsed_s = now() - began
    await asyncio.sleep(SETTLE_S)
    used = usage(house.parts).since(before)
    return Bulk(
        orders=number,
        elapsed_s=elapsed_s,
        cpu_ms={part: 1_000 * used_s / number for part, used_s in used.parts.items()},
        at_once=at_once,
        looks=len(seen) - 1,
        look_ms=look_ms,
        states=states,
    )
