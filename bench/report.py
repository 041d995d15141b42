"""The one table, for the terminal and for `bench/RESULTS.md`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from api.bulk_changes import AT_ONCE, BATCH
from settings import Settings

Row = tuple[str, str, str, str, str]
"""Figure, order, the bare reference, ratio, target."""

HEAD: Row = ("", "order", "bare", "ratio", "to reach")
UNDER_WAY = Settings.model_fields["bulk_change_orders"].default + AT_ONCE * BATCH
"""Of how many orders of one request it is known that they are under way, and how many are being made meanwhile."""

_WHAT = """\
One run, on one machine, everything on it: PostgreSQL with fsync, Temporal on a file, a worker, the API and the load.
The order is the wireless bundle of the examples, ten lines with text messaging in it, from `POST /v1/orders` to the end
of its run: validated, decomposed, reserved, billed in two phases, provisioned, installed. The reference is a workflow
of six sequential remote activities that do nothing, on the same server, in a worker with the same settings, from start
to result; for submitting it is an endpoint that commits one row. Order and reference take turns; a figure is the median
of the rounds, a ratio the median of the rounds' ratios. CPU is that of Temporal, worker, PostgreSQL and API; the load's
is not in it. Suspended are a simple service bundle, one asset, and the wireless bundle, whose two services each have a
suspension fee, from `POST /v1/assets/{id}/suspend` to the end of the run; many with `POST /v1/assets/changes`, where
the network refuses the first one, which waits for a person."""

_CIRCUMSTANCES = """\
Worker sandbox {sandbox}, {rounds} rounds with {seconds:g} s of full load each; other programs used at most
{foreign_load:.0%} of the machine meanwhile."""


def table(results: Mapping[str, Any]) -> Table:
    """The table for a terminal."""
    drawn = Table(title="The whole order beside six bare activities", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for title in HEAD:
        drawn.add_column(title, justify="left" if title in ("", "to reach") else "right", no_wrap=True)
    for row in _rows(results):
        drawn.add_row(*row)
    return drawn


def markdown(results: Mapping[str, Any]) -> str:
    """The table as a document, with what was measured and on what."""
    machine = [(name, str(value)) for name, value in results["machine"].items()]
    parts = [
        "# Results of `make bench`",
        _WHAT,
        "\n".join(map(_line, [HEAD, ("---", "---:", "---:", "---:", "---"), *_rows(results)])),
        _CIRCUMSTANCES.format(**results),
        "\n".join(map(_line, [("machine", ""), ("---", "---"), *machine])),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(results: Mapping[str, Any]) -> Iterator[Row]:
    order, bare, ratio = results["order"], results["bare_six"], results["ratio"]

    def beside(name: str, key: str, compared: str = "", target: str = "") -> Row:
        return name, _short(order[key]), _short(bare[key]), compared and f"{ratio[compared]:.2f}", target

    yield beside("orders a second, 50 in flight", "orders_per_s_50", "throughput", "≥ 1.0")
    yield beside("p95 ms, 50 in flight", "p95_ms_50")
    yield beside("p50 ms, one in flight", "p50_ms_1", "latency", "≤ 1.0")
    yield beside("CPU ms per order", "cpu_ms_per_order", "cpu", "≤ 1.0")
    for part, ms in order["cpu_ms_by_part"].items():
        reference = bare["cpu_ms_by_part"].get(part)
        yield f"… of it {part}", _short(ms), "" if reference is None else _short(reference), "", ""
    yield beside("history events", "history_events", target="≤ 30")
    yield beside("history bytes", "history_bytes")
    submit, bare_submit = results["submit_p95_ms_20"], results["bare_submit_p95_ms_20"]
    yield "submit p95 ms, 20 in flight", _short(submit), _short(bare_submit), f"{ratio['submit']:.2f}", "≤ 4"
    for lines, ms in results["preview_ms"].items():
        target = "≤ 11 times 200" if lines == "2000" else "≈ 0.15 a line"
        yield f"preview ms, {int(lines):,} lines", _short(ms), "", f"{ms / int(lines):.2f} a line", target
    yield from _suspensions(results)


def _suspensions(results: Mapping[str, Any]) -> Iterator[Row]:
    bare, ratio = results["bare_six"]["cpu_ms_per_order"], results["ratio"]
    for name, what, target in (("service", "one asset", "≤ 0.7"), ("bundle", "ten assets", "")):
        found = results["suspension"][name]
        cpu = _short(found["cpu_ms_per_order"])
        yield f"suspend {what}: CPU ms", cpu, _short(bare), f"{ratio[f'suspension_{name}']:.2f}", target
        yield "… history events", _short(found["history_events"]), "", "", "≤ 20"
    if not results["bulk"]:
        return
    large, *small = results["bulk"]
    completed, others = large["states"].get("completed", 0), large["orders"] - 1
    cpu = _short(large["cpu_ms_per_order"])
    yield f"{large['orders']:,} suspensions: s", _short(large["elapsed_s"]), "", "", ""
    yield "… orders a second", _short(large["orders_per_s"]), "", "", ""
    yield "… under way, at most", _short(large["at_once"]), "", "", f"≤ {UNDER_WAY}"
    yield "… done while one is held", _short(completed), "", "", f"{others:,}"
    yield "… progress seen, times", _short(large["looks"]), "", "", ""
    yield f"… CPU ms, beside {small[0]['orders']:,}", cpu, "", f"{ratio['bulk']:.2f}", "0.9 to 1.1"
    yield (
        "… the same of six bare activities",
        "",
        _short(results["bare_bulk_cpu_ms"][0]),
        f"{ratio['bare_bulk']:.2f}",
        "",
    )


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 or isinstance(figure, int) else f"{figure:.1f}"  # noqa: PLR2004


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
