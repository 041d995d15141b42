"""Closed loops: so many pieces of work in flight, each followed by the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from bench.machine import CORES, Usage, usage

Work = Callable[[], Awaitable[object]]

RAMP_S = 2.0
SETTLE_S = 0.7
"""How long afterwards the system still tidies up; that belongs to what caused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a closed loop came to: ``done`` pieces of work in all.

    ``cpu_ms`` is per piece of work and part, ``foreign`` the share of the machine that other programs used.
    """

    per_s: float
    latencies_ms: Sequence[float]
    cpu_ms: Mapping[str, float]
    foreign: float
    done: int

    @property
    def p50_ms(self) -> float:
        """The latency that half of the work stays below."""
        return median(self.latencies_ms)

    @property
    def p95_ms(self) -> float:
        """The latency that 95 of 100 stay below."""
        return quantiles(self.latencies_ms, n=20)[-1]


async def sustained(work: Work, *, in_flight: int, seconds: float, parts: Mapping[str, int]) -> Window:
    """Keep that many in flight for a while: rate and latencies without the ramp, processor time with everything."""
    now = asyncio.get_running_loop().time
    before, began = usage(parts), now()
    ended: list[tuple[float, float]] = []

    async def client(number: int) -> None:
        await asyncio.sleep(RAMP_S / 2 * number / in_flight)
        while (start := now()) < began + RAMP_S + seconds:
            await work()
            ended.append((now(), 1_000 * (now() - start)))

    await asyncio.gather(*map(client, range(in_flight)))
    await asyncio.sleep(SETTLE_S)
    used, elapsed_s = usage(parts).since(before), now() - began
    within = [ms for at, ms in ended if began + RAMP_S < at < began + RAMP_S + seconds]
    return Window(
        per_s=len(within) / seconds,
        latencies_ms=within,
        cpu_ms={part: 1_000 * used_s / len(ended) for part, used_s in used.parts.items()},
        foreign=_share(used, elapsed_s),
        done=len(ended),
    )


async def counted(work: Work, *, in_flight: int, times: int, parts: Mapping[str, int], settle_s: float = 0.0) -> Window:
    """Do a number of pieces of work, that many in flight; ``settle_s`` is how long their processor time goes on."""
    now = asyncio.get_running_loop().time
    before, began = usage(parts), now()
    left = iter(range(times))
    latencies_ms: list[float] = []

    async def client() -> None:
        for _ in left:
            start = now()
            await work()
            latencies_ms.append(1_000 * (now() - start))

    await asyncio.gather(*(client() for _ in range(in_flight)))
    worked_s = now() - began
    await asyncio.sleep(settle_s)
    used, elapsed_s = usage(parts).since(before), now() - began
    return Window(
        per_s=times / worked_s,
        latencies_ms=latencies_ms,
        cpu_ms={part: 1_000 * used_s / times for part, used_s in used.parts.items()},
        foreign=_share(used, elapsed_s),
        done=times,
    )


def _share(used: Usage, elapsed_s: float) -> float:
    return used.foreign_s / CORES / elapsed_s
