"""Rounds: the order and its reference in turn, because a machine's speed drifts; every figure is a median of rounds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median

from bench import bulk, orders
from bench.bulk import Bulk
from bench.load import SETTLE_S, Window, counted, sustained
from bench.subjects import House

Say = Callable[[str], None]

IN_FLIGHT = 50
SUBMITTING = 20
PREVIEWS = {20: 15, 200: 6, 2_000: 2}
"""How often an order of so many lines is previewed in a round."""
SUSPENDED = {"service": orders.SERVICE, "bundle": orders.BUNDLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    rounds: int = 3
    seconds: float = 8.0
    alone: int = 20
    """Pieces of work one at a time, in a round."""
    submits: int = 200
    suspensions: int = 100
    """Of each kind, in a round."""
    many: int = 1_000
    """Suspensions from one request; before it and after it the tenth of them."""


@dataclass(slots=True)
class Measured:
    """The windows of all rounds, by subject; ``previews`` by number of lines, ``histories`` events and bytes."""

    full: dict[str, list[Window]] = field(default_factory=lambda: {"order": [], "bare_six": []})
    alone: dict[str, list[Window]] = field(default_factory=lambda: {"order": [], "bare_six": []})
    submits: dict[str, list[Window]] = field(default_factory=lambda: {"order": [], "bare": []})
    previews: dict[int, list[Window]] = field(default_factory=lambda: {lines: [] for lines in PREVIEWS})
    suspensions: dict[str, list[Window]] = field(default_factory=lambda: {name: [] for name in SUSPENDED})
    histories: dict[str, tuple[int, int]] = field(default_factory=dict)
    bulks: list[Bulk] = field(default_factory=list)
    """The large one first."""
    beside_bulks: list[Window] = field(default_factory=list)
    """As many runs of six bare activities as each has orders, right before it: what many cost the server as such."""

    def windows(self) -> Iterator[Window]:
        """Every window."""
        for kind in (self.full, self.alone, self.submits, self.previews, self.suspensions):
            for windows in kind.values():
                yield from windows


async def measure(house: House, effort: Effort, *, say: Say) -> Measured:
    """Warm up, then the rounds; ``say`` hears what is being done."""
    say("warming up")
    slight = Effort(rounds=1, seconds=3.0, alone=5, submits=40, suspensions=40)
    await _round(house, slight, Measured(), turn=0, say=say)
    measured = Measured()
    for turn in range(effort.rounds):
        await _round(house, effort, measured, turn=turn, say=say)
    measured.histories = {"order": await house.order_history(), "bare_six": await house.bare_history()}
    for name, product in SUSPENDED.items():
        await house.stock_up(product, 1)
        measured.histories[name] = await house.suspension_history(product)
    if effort.many:
        await _bulk(house, effort.many, measured, say=say)
    return measured


async def _bulk(house: House, many: int, measured: Measured, *, say: Say) -> None:
    few = many // 10
    say("installing what is suspended with one request")
    await house.stock_up(orders.SERVICE, few + many + few)
    for number in (few, many, few):
        say(f"bare_six, {number} times")
        measured.beside_bulks.append(
            await counted(house.bare_six, in_flight=IN_FLIGHT, times=number, parts=house.bare_parts, settle_s=SETTLE_S)
        )
        say(f"{number} suspensions from one request")
        measured.bulks.append(await bulk.suspend(house, number))
    measured.bulks.sort(key=lambda x: -x.orders)
    measured.beside_bulks.sort(key=lambda x: -x.done)


async def _round(house: House, effort: Effort, measured: Measured, *, turn: int, say: Say) -> None:
    """One round; whoever came first comes second in the next."""
    subjects = {"order": (house.order, house.parts), "bare_six": (house.bare_six, house.bare_parts)}
    names = ["order", "bare_six"] if turn % 2 == 0 else ["bare_six", "order"]
    for name in names:
        say(f"{name}, {IN_FLIGHT} in flight")
        work, parts = subjects[name]
        measured.full[name].append(await sustained(work, in_flight=IN_FLIGHT, seconds=effort.seconds, parts=parts))
    await _suspend(house, effort.suspensions, measured, say=say)
    for name in names:
        say(f"{name}, one at a time")
        work, parts = subjects[name]
        measured.alone[name].append(await counted(work, in_flight=1, times=effort.alone, parts=parts))
    await _submit(house, effort, measured, say=say)
    await _preview(house, measured, say=say)


async def _suspend(house: House, times: int, measured: Measured, *, say: Say) -> None:
    for name, product in SUSPENDED.items():
        say(f"suspending, {IN_FLIGHT} in flight: {product}")
        await house.stock_up(product, times)
        work = partial(house.suspend, product)
        measured.suspensions[name].append(
            await counted(work, in_flight=IN_FLIGHT, times=times, parts=house.parts, settle_s=SETTLE_S)
        )


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
        "suspension": {name: _suspension(measured, name) for name in SUSPENDED},
        "bulk": [_bulk_figures(x) for x in measured.bulks],
        "bare_bulk_cpu_ms": [round(_cpu_ms(x), 2) for x in measured.beside_bulks],
        "submit_p95_ms_20": _median(submits["order"], lambda x: x.p95_ms),
        "bare_submit_p95_ms_20": _median(submits["bare"], lambda x: x.p95_ms),
        "preview_ms": {str(n): _median(windows, lambda x: x.p50_ms) for n, windows in measured.previews.items()},
        "preview_cpu_ms": {
            str(n): _median(windows, lambda x: x.cpu_ms["api"]) for n, windows in measured.previews.items()
        },
        "ratio": {
            "cpu": _ratio(full, _cpu_ms),
            "throughput": _ratio(full, lambda x: x.per_s),
            "latency": _ratio(alone, lambda x: x.p50_ms),
            "submit": _ratio(submits, lambda x: x.p95_ms),
            **{f"suspension_{name}": _to_bare(measured, windows) for name, windows in measured.suspensions.items()},
            **(_linear(measured) if measured.bulks else {}),
        },
        "foreign_load": round(max(x.foreign for x in measured.windows()), 3),
    }


def _of(full: list[Window], alone: list[Window], history: tuple[int, int]) -> dict[str, object]:
    return {
        "orders_per_s_50": _median(full, lambda x: x.per_s),
        "p50_ms_1": _median(alone, lambda x: x.p50_ms),
        "p95_ms_50": _median(full, lambda x: x.p95_ms),
        "cpu_ms_per_order": _median(full, _cpu_ms),
        "cpu_ms_by_part": {part: round(median(x.cpu_ms[part] for x in full), 2) for part in full[0].cpu_ms},
        "history_events": history[0],
        "history_bytes": history[1],
    }


def _suspension(measured: Measured, name: str) -> dict[str, object]:
    windows, (events, size) = measured.suspensions[name], measured.histories[name]
    return {
        "orders_per_s_50": _median(windows, lambda x: x.per_s),
        "cpu_ms_per_order": _median(windows, _cpu_ms),
        "cpu_ms_by_part": {part: round(median(x.cpu_ms[part] for x in windows), 2) for part in windows[0].cpu_ms},
        "history_events": events,
        "history_bytes": size,
    }


def _bulk_figures(found: Bulk) -> dict[str, object]:
    return {
        **asdict(found),
        "elapsed_s": round(found.elapsed_s, 2),
        "orders_per_s": round(found.orders / found.elapsed_s, 2),
        "look_ms": round(found.look_ms, 2),
        "cpu_ms": {part: round(ms, 2) for part, ms in found.cpu_ms.items()},
        "cpu_ms_per_order": round(sum(found.cpu_ms.values()), 2),
    }


def _to_bare(measured: Measured, windows: Sequence[Window]) -> float:
    return _ratio({"ours": [*windows], "reference": measured.full["bare_six"]}, _cpu_ms)


def _linear(measured: Measured) -> dict[str, float]:
    """What an order of the large request costs, beside one of those before and after it; and the same of bare runs."""

    def compared(large: float, *small: float) -> float:
        return round(large * len(small) / sum(small), 3)

    return {
        "bulk": compared(*(sum(x.cpu_ms.values()) for x in measured.bulks)),
        "bare_bulk": compared(*map(_cpu_ms, measured.beside_bulks)),
    }


def _cpu_ms(window: Window) -> float:
    return sum(window.cpu_ms.values())


def _median(windows: list[Window], figure: Callable[[Window], float]) -> float:
    return round(median(map(figure, windows)), 2)


def _ratio(windows: Mapping[str, list[Window]], figure: Callable[[Window], float]) -> float:
    """The median of the rounds' ratios: within a round the machine was more or less the same."""
    ours, reference = windows.values()
    return round(median(figure(x) / figure(y) for x, y in zip(ours, reference, strict=True)), 3)
