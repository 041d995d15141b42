"""The direction of calls, and the holes through which it could be lost without a word."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES = frozenset(LINTER["root_packages"])
ROOTS = frozenset({"worker", "server"})
BESIDE_THE_PROGRAM = frozenset({"tests", "bench", "examples", "migrations"})
RUN_BY_PATH = ("examples", "migrations")

MAY_IMPORT = {
    "settings": frozenset[str](),
    "observability": frozenset[str](),
    "migrations": frozenset({"models", "settings"}),
    "worker": frozenset(
        {"activities", "adapters", "domain", "models", "observability", "settings", "sql", "workflows"}
    ),
    "server": frozenset({"adapters", "api", "domain", "models", "observability", "settings", "sql", "workflows"}),
}
OURS = PACKAGES | ROOTS | BESIDE_THE_PROGRAM | MAY_IMPORT.keys()


def tracked(*patterns: str) -> list[Path]:
    """Return what is, or is about to be, in the repository."""
    listed = subprocess.run(  # noqa: S603 - our own words
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def sources(name: str) -> list[Path]:
    """Return the Python files of a top-level package or file."""
    return [*tracked(f"{name}.py"), *(x for x in tracked(name) if x.suffix == ".py")]


def imported(file: Path) -> Iterator[str]:
    """Return the top-level names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]
            case _:
                pass


def test_no_folder_escapes_the_contracts_for_want_of_an_init():
    folders = {file.parent for file in tracked("*.py")} - {ROOT}
    outside = {folder for folder in folders if folder.relative_to(ROOT).parts[0] not in RUN_BY_PATH}
    assert [str(folder) for folder in outside if not (folder / "__init__.py").exists()] == []


def test_no_new_package_or_file_at_the_top_escapes_the_contracts():
    at_the_top = {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in tracked("*.py")}
    assert at_the_top - OURS == set()


def test_every_package_has_its_layer():
    layers = next(contract["layers"] for contract in LINTER["contracts"] if contract["type"] == "layers")
    assert {name.strip() for layer in layers for name in layer.split("|")} == PACKAGES


def test_the_domain_imports_the_standard_library_and_itself():
    strangers = {(file.name, name) for file in sources("domain") for name in imported(file)}
    assert {x for x in strangers if x[1] not in sys.stdlib_module_names | {"domain"}} == set()


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_what_is_no_package_of_the_contracts_imports_only_what_it_may(name: str):
    files = sources(name)
    assert files
    found = {x for file in files for x in imported(file) if x in OURS}
    assert found - MAY_IMPORT[name] - {name} == set()


def test_nobody_but_the_command_line_imports_a_root():
    files = [file for name in OURS - {"cli", "tests", "bench"} for file in sources(name)]
    assert {str(file) for file in files if {*imported(file)} & (ROOTS | {"cli"}) and file.parent.name != "cli"} == set()


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=folder, check=False, capture_output=True, text=True)  # noqa: S603


def test_the_contracts_are_kept():
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout


BREACHES = [
    ("domain/order.py", "import models.tables", "Calls go down the page"),
    ("adapters/ledger.py", "import models.tables", "Calls go down the page"),
    ("workflows/details.py", "import sqlalchemy", "What a workflow can reach"),
    ("activities/messages.py", "import httpx", "What a workflow can reach"),
    ("api/house.py", "import models.records", "The API stores what is submitted"),
    ("models/facts.py", "import settings", "Only roots read the settings"),
    ("embedded/lock.py", "import domain.order", "The embedded servers know nothing"),
    ("domain/money.py", "import domain.order", "No cycles inside a package"),
]


@pytest.mark.parametrize(("file", "line", "contract"), BREACHES)
def test_a_breach_breaks_its_contract(tmp_path: Path, file: str, line: str, contract: str):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as source:
        source.write(f"\n{line}\n")
    checked = lint(tmp_path)
    assert checked.returncode == 1
    assert any(said.startswith(contract) and "BROKEN" in said for said in checked.stdout.splitlines()), checked.stdout
