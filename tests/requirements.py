"""Which requirement row is proved by which test: `python -m tests.requirements [SPEC]`.

Reads the rows that the tests name with `@pytest.mark.req(…)`, and exits 1 when a row of the finished areas has no test.
With SPEC, a page whose tables begin with the row, it also lists the rows that no test names and the names that are no
row, and exits 1 if there are any of the latter.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

FINISHED = """
    A01 A02 A03 A04 A05 A06 A07 A08 A11 A12 A14 A15 A16 A17 A18 A19 A20
    B01 B02 B03 B04 B05 B06 B07 B08 B09 B10 B11 B12 B13 B14 B15 B16 B17 B18 B19 B20 B21 B22 B23 B24 B25 B26 B27 B28 B29
    B30 B31 B32 B33 B34 B35 B36 B37 B38 B39 B40 B41 B42 B43 B44 B45 B46 B47 B48 B49 B50 B51 B52 B53 B54 B55 B56 B57 B58
    B59 B60 B61 B62 B63 B64 B65 B66 B67 B68 B69 B70 B71 B72
    C15 C22 C35
    F02 F05 F06 F07 F12 F13 F16 F20 F21 F23 F24 F26 F28 F30 F31 F41 F42 F45
    W1 W2 W3 W4 W5 W7
"""
"""The rows that must hold, of what is finished: profile and what is asked of it, catalog, orders, fallout, reports."""

_ROW = re.compile(r"^\| ([A-PR-Z]+\d+) \|", re.MULTILINE)  # Q rows are questions


class _Rows:
    """A plugin that gathers, at collection, the tests of each row."""

    def __init__(self) -> None:
        self.tests: dict[str, list[str]] = defaultdict(list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            for mark in item.iter_markers("req"):
                for row in mark.args:
                    self.tests[row].append(item.nodeid)


def main(arguments: list[str]) -> int:
    """Print the table and return the exit status."""
    rows = _Rows()
    quietly = ["--collect-only", "--override-ini=addopts=", "--import-mode=importlib", "-p", "no:terminal"]
    status = pytest.main([*quietly, "tests"], plugins=[rows])
    for row in sorted(rows.tests, key=_natural):
        print(f"{row:<6} {len(rows.tests[row]):>3}  {rows.tests[row][0]}")
    tests = set().union(*rows.tests.values())
    print(f"\n{len(rows.tests)} rows are named by {len(tests)} tests")
    unknown = _compare(set(rows.tests), Path(arguments[0])) if arguments else set()
    unproved = [row for row in FINISHED.split() if row not in rows.tests]
    if unproved:
        print(f"finished, and proved by no test: {' '.join(unproved)}")
    return int(status) or bool(unknown or unproved)


def _compare(named: set[str], spec: Path) -> set[str]:
    asked = set(_ROW.findall(spec.read_text()))
    untested = sorted(asked - named, key=_natural)
    print(f"{len(asked & named)} of {len(asked)} rows of {spec.name} are named; not yet: {' '.join(untested)}")
    unknown = named - asked
    if unknown:
        print(f"no such row: {' '.join(sorted(unknown, key=_natural))}")
    return unknown


def _natural(row: str) -> tuple[str, int]:
    letters = row.rstrip("0123456789")
    return letters, int(row[len(letters) :] or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
