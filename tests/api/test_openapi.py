"""The OpenAPI document: complete, and true."""

from typing import Any

import jsonschema_rs
import pytest

from tests.api.conftest import Served


@pytest.fixture
async def document(api: Served) -> dict[str, Any]:
    found: dict[str, Any] = (await api.http.get("/openapi.json")).json()
    return found


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_every_operation_has_a_summary_its_errors_and_an_example(document: dict[str, Any]):
    for name, operation in _operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        problems = {x for x in operation["responses"] if x >= "400"}
        assert {"500", "503"} <= problems, name
        assert all(operation["responses"][x]["content"].keys() == {"application/problem+json"} for x in problems), name
        answered = [x for status, x in operation["responses"].items() if status in {"200", "201", "202"}]
        assert all("example" in content for x in answered for content in x["content"].values()), name
        if "requestBody" in operation and name.startswith("POST"):
            assert {"400", "413", "415", "422"} <= problems, name


async def test_every_example_fits_the_shape_it_stands_for(document: dict[str, Any]):
    for name, operation in _operations(document):
        for answered in operation["responses"].values():
            described = answered.get("content", {}).get("application/json")
            if described:
                schema = {**described["schema"], "components": document["components"]}
                assert not [x.message for x in jsonschema_rs.iter_errors(schema, described["example"])], name


async def test_the_documentation_page_lists_every_operation_and_asks_no_other_host(
    api: Served, document: dict[str, Any]
):
    page = (await api.http.get("/docs")).text

    for name, operation in _operations(document):
        assert name in page
        assert operation["summary"] in page
    assert "//" not in page
