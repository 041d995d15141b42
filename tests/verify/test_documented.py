"""The page of invariants is true: every row is there, every check is in it, every constraint it names exists."""

import re
from pathlib import Path

from sqlalchemy import text

from tests.verify.conftest import Copy

PAGE = Path(__file__).parents[2] / "docs" / "invariants.md"
ROWS = [
    *(f"I{n}" for n in range(1, 31)),
    *(f"N{n}" for n in range(1, 4)),
    *(f"billing I{n}" for n in range(1, 12)),
]
CONSTRAINTS = """
    SELECT conname FROM pg_constraint UNION SELECT indexname FROM pg_indexes UNION SELECT tgname FROM pg_trigger
"""


def _rows() -> dict[str, tuple[str, str]]:
    """Of each row of the page: what makes a violation impossible, and what looks at it."""
    cells = [[x.strip() for x in line.strip("|").split("|")] for line in PAGE.read_text().splitlines() if "|" in line]
    return {
        row: (constraint, checks) for row, _, constraint, checks in cells if re.fullmatch(r"(billing )?[IN]\d+", row)
    }


def test_every_row_is_on_the_page_in_its_order() -> None:
    assert [*_rows()] == ROWS


def test_a_row_that_nothing_looks_at_and_nothing_forbids_says_why() -> None:
    unexplained = {row for row, (constraint, checks) in _rows().items() if not constraint and not checks}
    assert unexplained == set()
    said = [constraint for constraint, checks in _rows().values() if not checks and not constraint.startswith("`")]
    assert all(x.startswith(("not yet: ", "a test: ", "see ")) for x in said)


async def test_every_check_of_the_command_is_on_the_page_and_no_other(copy: Copy) -> None:
    named = [x.strip() for _, checks in _rows().values() for x in checks.split(",") if x.strip()]
    assert sorted(named) == sorted(x.id for x in await copy.findings())


def test_every_constraint_that_the_page_names_exists(copy: Copy) -> None:
    named = {x for constraint, _ in _rows().values() for x in re.findall(r"`(\w+)`", constraint)}
    with copy.engine.connect() as connection:
        there = set(connection.execute(text(CONSTRAINTS)).scalars())
    assert named - there == set()
    assert len(named) > 20
