"""What is ordered: the wireless bundle with a nested bundle for texts (B16), ten lines, and previews of many of it."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

Body = dict[str, Any]

ACCOUNT, BILLING_ACCOUNT, SERVICE_ACCOUNT, PROFILE = "BENCH", "BENCH-BA", "BENCH-SA", "BENCH-BP"
POOL = "telephone"
LINES = 10
"""The lines of one wireless bundle."""

_GSM, _SMS = "/service/telco/gsm/telephony", "/service/telco/gsm/sms"
_numbers = itertools.count(1)


def setting_up() -> Iterator[tuple[str, str, Body]]:
    """The requests after which orders are accepted: method, path and body."""
    yield "PUT", "/v1/catalog", {"products": list(_products())}
    for id_, class_, parent in (
        (ACCOUNT, "customer", None),
        (BILLING_ACCOUNT, "billing", ACCOUNT),
        (SERVICE_ACCOUNT, "service", ACCOUNT),
    ):
        yield "POST", "/v1/accounts", {"id": id_, "name": "Bench", "class": class_, "parent": parent}
    yield "POST", f"/v1/accounts/{BILLING_ACCOUNT}/billing-profiles", {"id": PROFILE}


def wireless() -> bytes:
    """A new order of one bundle, as sent."""
    return _sent(f"bench-{next(_numbers)}", 1)


def many_lines(lines: int) -> bytes:
    """An order of as many bundles as have ``lines`` lines together, as sent to be previewed."""
    return _sent(None, lines // LINES)


def _sent(external_id: str | None, bundles: int) -> bytes:
    accounts = {"service_account": SERVICE_ACCOUNT, "billing_account": BILLING_ACCOUNT, "billing_profile": PROFILE}
    header = {"external_id": external_id, "account": ACCOUNT, **accounts}
    return json.dumps({**header, "lines": [_bundle(str(n)) for n in range(1, bundles + 1)]}).encode()


def _bundle(id_: str) -> Body:
    plan = _line(f"{id_}.1", "RATE-PLAN", _line(f"{id_}.1.1", "MINUTES"), _line(f"{id_}.1.2", "ROAMING"))
    texts = _line(f"{id_}.6", "TEXTS", _line(f"{id_}.6.1", "TEXTS-BASIC"))
    extras = ("ACTIVATION-FEE", "USAGE-FEE", "VOICEMAIL", "LOYALTY")
    return _line(id_, "WIRELESS", plan, *(_line(f"{id_}.{n}", x) for n, x in enumerate(extras, 2)), texts)


def _line(id_: str, product: str, *below: Body) -> Body:
    return {"id": id_, "action": "add", "product": product, "lines": list(below)}


def _products() -> Iterator[Body]:
    bundle = {"billing_type": "service_bundle", "delivery_kind": "logical", "billing_phase": "two"}
    plan = {"billing_type": "subscription"}
    wireless = ("RATE-PLAN", "ACTIVATION-FEE", "USAGE-FEE", "VOICEMAIL", "LOYALTY", "TEXTS")
    yield _product("WIRELESS", _GSM, *wireless, **bundle, pool=POOL)
    yield _product("RATE-PLAN", _GSM, "MINUTES", "ROAMING", **plan, price=_usd(30))
    yield _product("MINUTES", _GSM, **plan, price=_usd(5))
    yield _product("ROAMING", _GSM, **plan, price=_usd(4))
    yield _product("ACTIVATION-FEE", _GSM, billing_type="item", price=_usd(20))
    yield _product("USAGE-FEE", _GSM, billing_type="item", price=_usd(1))
    yield _product("VOICEMAIL", _GSM, "MAILBOX", **plan, price=_usd(2))
    yield _product("MAILBOX", _GSM, **plan, price=_usd(1))
    yield _product("LOYALTY", _GSM, "MAILBOX", billing_type="discount", duration_months=12)
    yield _product("TEXTS", _SMS, "TEXTS-BASIC", "TEXTS-UNLIMITED", **bundle)
    yield _product("TEXTS-BASIC", _SMS, **plan, price=_usd(3))
    yield _product("TEXTS-UNLIMITED", _SMS, **plan, price=_usd(8))


def _product(code: str, service: str, *components: str, **fields: Any) -> Body:  # noqa: ANN401 - fields of a document
    within = [{"product": x, "min": 0, "max": 1} for x in components]
    return {"code": code, "name": code.title(), "billing_service_type": service, "components": within, **fields}


def _usd(amount: int) -> Body:
    return {"amount": f"{amount}.00", "currency": "USD"}
