"""What is ordered: the examples' wireless bundle with text messaging in it (B16), and previews of many of it."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Body = dict[str, Any]

EXAMPLES = Path(__file__).parent.parent / "examples"
POOL = "MSISDN"
"""Where every bundle takes a telephone number from."""
LINES = 10
"""The lines of one bundle."""

_numbers = itertools.count(1)


def setting_up() -> Iterator[tuple[str, str, Body]]:
    """The requests after which orders are accepted: method, path and body."""
    yield "PUT", "/v1/catalog", yaml.safe_load((EXAMPLES / "catalog.yaml").read_text())
    customer = json.loads((EXAMPLES / "accounts.json").read_text())
    for account in customer["accounts"]:
        yield "POST", "/v1/accounts", account
    for profile in customer["billing_profiles"]:
        yield "POST", f"/v1/accounts/{profile['account']}/billing-profiles", {"id": profile["id"]}


def wireless() -> bytes:
    """A new order of one bundle, as sent."""
    return _sent(f"bench-{next(_numbers)}", bundles=1)


def many_lines(lines: int) -> bytes:
    """An order of as many bundles as have ``lines`` lines together, as sent to be previewed."""
    return _sent("bench", bundles=lines // LINES)


def _sent(external_id: str, *, bundles: int) -> bytes:
    accounts = {"service_account": "ACME-SA", "billing_account": "ACME-BA", "billing_profile": "ACME-BP"}
    lines = [_bundle(str(n)) for n in range(1, bundles + 1)]
    return json.dumps({"external_id": external_id, "account": "ACME", **accounts, "lines": lines}).encode()


def _bundle(id_: str) -> Body:
    return _line(
        id_,
        "WIRELESS-BUNDLE",
        _line(f"{id_}.1", "MAIN-LINE-1", _line(f"{id_}.1.1", "MINUTES-500")),
        _line(f"{id_}.2", "ACTIVATION-FEE"),
        _line(f"{id_}.3", "DATA-FEE"),
        _line(f"{id_}.4", "CALL-FORWARDING", _line(f"{id_}.4.1", "FORWARD-WHEN-BUSY")),
        _line(f"{id_}.5", "HALF-PRICE-3-MONTHS"),
        _line(f"{id_}.6", "SMS", _line(f"{id_}.6.1", "SMS-BASIC")),
    )


def _line(id_: str, product: str, *below: Body) -> Body:
    return {"id": id_, "product": product, "lines": list(below)}
