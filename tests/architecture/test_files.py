"""What no file of the repository holds, and what one holds alone."""

import re

import pytest

from tests.architecture.test_contracts import ROOT, tracked

# A letter in brackets, so that this file does not hold them itself.
UNWANTED = {
    "work left undone": re.compile(r"\b(?:[T]ODO|[F]IXME|[X]XX)\b"),
    "a path of one machine": re.compile(r"(?<![\w.])/(?:[w]ork|[h]ome|[U]sers|[r]oot)/\w"),
    "the host of a registry": re.compile(r"[p]ypi\.org|[p]ythonhosted\.org|[n]pmjs\.|[d]ocker\.io", re.IGNORECASE),
}


@pytest.mark.parametrize("what", UNWANTED)
def test_no_file_holds(what: str):
    texts = {file: file.read_text() for file in tracked() if b"\0" not in file.read_bytes()}  # no pictures
    found = {str(file.relative_to(ROOT)): x[0] for file, text in texts.items() if (x := UNWANTED[what].search(text))}
    assert found == {}


@pytest.mark.req("A15")
def test_assets_are_written_in_one_place():
    writes = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) orderloom\.assets\b")
    code = (x for x in tracked() if x.suffix == ".py" and x.relative_to(ROOT).parts[0] not in ("tests", "migrations"))
    assert {str(x.relative_to(ROOT)) for x in code if writes.search(x.read_text())} == {
        "models/statements/installing.py"
    }
