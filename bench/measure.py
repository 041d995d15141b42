"""Rounds: the order and its reference in turn, because a machine's speed drifts; every figure is a median of rounds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from bench import orders
from bench.load import Window, counted, sustained
from bench.subjects import House

Say = Callable[[str], None]

IN_FLIGHT = 50
SUBMITTING = 20
PREVIEWS = {20: 15, 200: 6, 2_000: 2}
"""How often an order of so many lines is previewed in a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    rounds: int = 4
    seconds: float = 8.0
    alone: int = 20
    """Pieces of work one at a time, in a round."""
    submits: int = 200


@dataclass(slots=True)
class Measured:
    """The windows of all rounds, by subject; ``previews`` by number of lines, ``histories`` events and bytes."""

    full: dict[str, list[Window]] = field(default_factory=lambda: {"order": [], "bare_six": []})
    alone: dict[str, list[Window]] = field(default_factory=lambda: {"order": [], "bare_six": []})
    submits: dict[str, list[Window]] = field(default_factory=lambda: {"order": [], "bare": []})
    previews: dict[int, list[Window]] = field(default_factory=lambda: {lines: [] for lines in PREVIEWS})
    histories: dict[str, tuple[int, int]] = field(default_factory=dict)

    def windows(self) -> Iterator[Window]:
        """Every window."""
        for kind in (self.full, self.alone, self.submits, self.previews):
            for windows in kind.values():
                yield from windows


async def measure(house: House, effort: Effort, *, say: Say) -> Measured:
    """Warm up, then the rounds; ``say`` hears what is being done."""
    say("warming up")
    await _round(house, Effort(rounds=1, seconds=3.0, alone=5, submits=40), Measured(), turn=0, say=say)
    measured = Measured()
    for turn in range(effort.rounds):
        await _round(house, effort, measured, turn=turn, say=say)
    measured.histories = {"order": await house.order_history(), "bare_six": await house.bare_history()}
    return measured


async def _round(house: House, effort: Effort, measured: Measured, *, turn: int, say: Say) -> None:
    """One round; whoever came first comes second in the next."""
    subjects = {"order": (house.order, house.parts), "bare_six": (house.bare_six, house.bare_parts)}
    names = ["order", "bare_six"] if turn % 2 == 0 else ["bare_six", "order"]
    for name in names:
        say(f"{name}, {IN_FLIGHT} in flight")
        work, parts = subjects[name]
        measured.full[name].append(await sustained(work, in_flight=IN_FLIGHT, seconds=effort.seconds, parts=parts))
    for name in names:
        say(f"{name}, one at a time")
        work, parts = subjects[name]
        measured.alone[name].append(await counted(work, in_flight=1, times=effort.alone, parts=parts))
    await _submit(house, effort, measured, say=say)
    await _preview(house, measured, say=say)


async def _submit(house: House, effort: Effort, measured: Measured, *, say: Say) -> None:
    api = {"api": house.parts["api"]}
    say("submitting to the bare endpoint")
    measured.submits["bare"].append(
        await counted(house.bare_submit, in_flight=SUBMITTING, times=effort.submits, parts={})
    )
    say("submitting orders")
    measured.submits["order"].append(await counted(house.submit, in_flight=SUBMITTING, times=effort.submits, parts=api))
    await house.finish()


async def _preview(house: House, measured: Measured, *, say: Say) -> None:
    api = {"api": house.parts["api"]}
    for lines, times in PREVIEWS.items():
        say(f"previewing {lines} lines")
        body = orders.many_lines(lines)
        measured.previews[lines].append(
            await counted(lambda: house.preview(body), in_flight=1, times=times, parts=api)  # noqa: B023 - awaited here
        )


def figures(measured: Measured) -> dict[str, object]:
    """The results by their published names."""
    full, alone, submits = measured.full, measured.alone, measured.submits
    return {
        **{name: _of(full[name], alone[name], measured.histories[name]) for name in full},
        "submit_p95_ms_20": _median(submits["order"], lambda x: x.p95_ms),
        "bare_submit_p95_ms_20": _median(submits["bare"], lambda x: x.p95_ms),
        "preview_ms": {str(n): _median(windows, lambda x: x.p50_ms) for n, windows in measured.previews.items()},
        "preview_cpu_ms": {
            str(n): _median(windows, lambda x: x.cpu_ms["api"]) for n, windows in measured.previews.items()
        },
        "ratio": {
            "cpu": _ratio(full, lambda x: sum(x.cpu_ms.values())),
            "throughput": _ratio(full, lambda x: x.per_s),
            "latency": _ratio(alone, lambda x: x.p50_ms),
            "submit": _ratio(submits, lambda x: x.p95_ms),
        },
        "foreign_load": round(max(x.foreign for x in measured.windows()), 3),
    }


def _of(full: list[Window], alone: list[Window], history: tuple[int, int]) -> dict[str, object]:
    return {
        "orders_per_s_50": _median(full, lambda x: x.per_s),
        "p50_ms_1": _median(alone, lambda x: x.p50_ms),
        "p95_ms_50": _median(full, lambda x: x.p95_ms),
        "cpu_ms_per_order": _median(full, lambda x: sum(x.cpu_ms.values())),
        "cpu_ms_by_part": {part: round(median(x.cpu_ms[part] for x in full), 2) for part in full[0].cpu_ms},
        "history_events": history[0],
        "history_bytes": history[1],
    }


def _median(windows: list[Window], figure: Callable[[Window], float]) -> float:
    return round(median(map(figure, windows)), 2)


def _ratio(windows: Mapping[str, list[Window]], figure: Callable[[Window], float]) -> float:
    """The median of the rounds' ratios: within a round the machine was more or less the same."""
    ours, reference = windows.values()
    return round(median(figure(x) / figure(y) for x, y in zip(ours, reference, strict=True)), 3)
