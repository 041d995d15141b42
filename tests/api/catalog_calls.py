"""What tests of the catalog say over HTTP."""

import json
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.api.conftest import Served

EXAMPLES = Path(__file__).parents[2] / "examples"
YAML = (EXAMPLES / "catalog.yaml").read_bytes()
IP, SMS = "/service/ip", "/service/telco/gsm/sms"


async def publish_example(api: Served) -> Served:
    """The house, with the example catalog."""
    published = await put(api, YAML, "application/yaml")
    assert published.status_code == 200, published.text
    return api


async def put(api: Served, content: bytes, media_type: str = "application/json", **headers: str) -> httpx.Response:
    return await api.http.put("/v1/catalog", content=content, headers={"content-type": media_type, **headers})


async def put_products(api: Served, *products: dict[str, Any]) -> httpx.Response:
    return await put(api, json.dumps({"products": products}).encode())


async def patch(api: Served, product: str, /, **change: object) -> httpx.Response:
    return await api.http.patch(f"/v1/catalog/products/{product}", json=change)


def rules(answer: httpx.Response) -> list[tuple[str, str, str]]:
    return [(x["code"], x["rule"], x["product"]) for x in answer.json()["violations"]]


def example() -> dict[str, dict[str, Any]]:
    """The example's products by code."""
    return {x["code"]: x for x in yaml.safe_load(YAML)["products"]}


async def order(api: Served, name: str) -> dict[str, Any]:
    """One of the example orders, accepted."""
    return await api.submit(json.loads((EXAMPLES / "orders" / f"{name}.json").read_text()))
