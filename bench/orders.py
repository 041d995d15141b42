"""What is ordered: the examples' wireless bundle with text messaging (B16), internet services, previews of many."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

Body = dict[str, Any]

EXAMPLES = Path(__file__).parent.parent / "examples"
POOLS = ("MSISDN", "IPV4")
"""Where every bundle takes a telephone number from, and every service an address."""
BUNDLE, LINES = "WIRELESS-BUNDLE", 10
"""A bundle, and how many lines it has here."""
SERVICE = "INTERNET-SERVICE"
"""A simple service bundle: one line, one asset."""

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
    return _sent(f"bench-{next(_numbers)}", [_bundle("1")])


def services(number: int) -> bytes:
    """A new order of that many services, as sent."""
    lines = [{"service_account": "ACME-BA", **_line(str(n), SERVICE)} for n in range(1, number + 1)]
    return _sent(f"bench-{next(_numbers)}", lines)


def many_lines(lines: int) -> bytes:
    """An order of as many bundles as have ``lines`` lines together, as sent to be previewed."""
    return _sent("bench", [_bundle(str(n)) for n in range(1, lines // LINES + 1)])


def _sent(external_id: str, lines: Sequence[Body]) -> bytes:
    accounts = {"service_account": "ACME-SA", "billing_account": "ACME-BA", "billing_profile": "ACME-BP"}
    return json.dumps({"external_id": external_id, "account": "ACME", **accounts, "lines": [*lines]}).encode()


def _bundle(id_: str) -> Body:
    return _line(
        id_,
        BUNDLE,
        _line(f"{id_}.1", "MAIN-LINE-1", _line(f"{id_}.1.1", "MINUTES-500")),
        _line(f"{id_}.2", "ACTIVATION-FEE"),
        _line(f"{id_}.3", "DATA-FEE"),
        _line(f"{id_}.4", "CALL-FORWARDING", _line(f"{id_}.4.1", "FORWARD-WHEN-BUSY")),
        _line(f"{id_}.5", "HALF-PRICE-3-MONTHS"),
        _line(f"{id_}.6", "SMS", _line(f"{id_}.6.1", "SMS-BASIC")),
    )


def _line(id_: str, product: str, *below: Body) -> Body:
    return {"id": id_, "product": product, "lines": list(below)}
