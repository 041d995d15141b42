"""Submitting, previewing and reading orders over HTTP."""

from typing import Any

import pytest

from tests.api.conftest import Served

BUNDLE: dict[str, Any] = {
    "id": "1",
    "action": "add",
    "product": "WIRELESS",
    "service_account": "ACME-SA",
    "billing_account": "ACME-BA",
    "billing_profile": "ACME-BP",
    "lines": [
        {"id": "1.1", "product": "PLAN", "lines": [{"id": "1.1.1", "product": "MINUTES"}]},
        {"id": "1.2", "product": "TEXTING", "lines": [{"id": "1.2.1", "product": "TEXT-BASIC"}]},
        {"id": "1.3", "product": "CASE"},
        {"id": "1.4", "product": "PHONE"},
    ],
}


def an_order(**fields: object) -> dict[str, Any]:
    return {"account": "ACME", "lines": [BUNDLE], **fields}


@pytest.mark.req("W7", "W4", "B23")
async def test_an_order_is_acknowledged_with_its_lines_flat_and_their_accounts_filled(api: Served):
    answer = await api.http.post("/v1/orders", json=an_order(external_id="crm-1"))

    assert answer.status_code == 202, answer.text
    order = answer.json()
    assert answer.headers["location"] == f"/v1/orders/{order['id']}"
    assert (order["state"], order["rollup"], order["revision"]) == ("acknowledged", "inProgress", 0)
    assert [x["id"] for x in order["lines"]] == ["1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.4"]
    assert {x["billing_account"] for x in order["lines"]} == {"ACME-BA"}
    assert {(x["state"], x["step"]) for x in order["lines"]} == {("acknowledged", "validate")}

    read = await api.http.get(answer.headers["location"])
    assert read.json() | {"run": None} == order | {"run": None}
