"""The documents say what is there: links lead somewhere, files exist, every dependency has its reason."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs import runbook

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OURS = re.compile(
    r"`((?:domain|workflows|activities|adapters|models|api|embedded|cli|tests|docs|examples|bench)/[\w./-]*)`"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda x: str(x.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path):
    for link in runbook.links(document):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in runbook.anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda x: str(x.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(document: Path):
    named = OURS.findall(document.read_text())
    assert [x for x in named if "*" not in x and not (ROOT / x).exists()] == []


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["embedded"],
        *project["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[=;<>\[ ]", x)[0] for x in asked}
    decision = (ROOT / "docs" / "decisions" / "0006-dependencies.md").read_text()
    cells = re.findall(r"^\| ([^|]+) \|", decision, flags=re.MULTILINE)
    explained = {name.strip() for cell in cells for name in cell.split(",")}
    assert names <= explained
    assert explained - names <= {"in production", "extra `embedded`", "development", "---"}
