"""The customers of a telephone company as orders: a catalog of its products, and one order for each row of the data.

The data is `telco-customer-churn-by-IBM.csv` (7,043 customers, MIT licence), which is not part of this project.
Extra lines exist only with a telephone, the six add-ons only with internet access, and access is DSL or fiber, never
both: the catalog says so.
"""

import csv
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Mapping[str, str]
Body = dict[str, Any]
"""An order, or one of its lines, as the API takes it."""

FILE = "telco-customer-churn-by-IBM.csv"
NUMBERS = "TELEPHONE-NUMBERS"
"""The pool that each telephone service takes a number from."""

ADD_ONS = {
    "OnlineSecurity": "ONLINE-SECURITY",
    "OnlineBackup": "ONLINE-BACKUP",
    "DeviceProtection": "DEVICE-PROTECTION",
    "TechSupport": "TECH-SUPPORT",
    "StreamingTV": "STREAMING-TV",
    "StreamingMovies": "STREAMING-MOVIES",
}
ACCESS = {"DSL": "DSL", "Fiber optic": "FIBER"}
MONTHS = {"Month-to-month": 1, "One year": 12, "Two year": 24}
STREAMING = ("STREAMING-TV", "STREAMING-MOVIES")


def data_file() -> Path:
    """Where the data is: in the folder that ORDERLOOM_DATA names, else in `../shared/data` beside this project."""
    folder = os.environ.get("ORDERLOOM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(folder) / FILE


def read_rows() -> list[Row]:
    """All rows; `FileNotFoundError` where the data is absent."""
    with data_file().open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def catalog_document() -> Body:
    """The products, as `PUT /v1/catalog` takes them; the customers' monthly charges are the sums of its prices."""
    return {"products": [*_packages(), *_telephone(), *_internet(), *_streaming()]}


def _packages() -> Iterator[Body]:
    """Customizable products that hold two services, each with its own accounts if need be."""
    for access in ACCESS.values():
        yield {
            "code": f"PHONE-AND-{access}",
            "name": f"Telephone and internet ({access})",
            "track_as_asset": True,
            "components": [_exactly_one("PHONE"), _exactly_one(access)],
        }


def _telephone() -> Iterator[Body]:
    of_service = {"billing_service_type": "/service/telephony"}
    yield {
        "code": "PHONE",
        "name": "Telephone",
        "billing_type": "service_bundle",
        "delivery_kind": "logical",
        "billing_phase": "two",
        "pool": NUMBERS,
        "components": [_exactly_one("PHONE-LINE"), _at_most_one("EXTRA-LINES"), _at_most_one("PARTY-LINE")],
        **of_service,
    }
    yield {"code": "PHONE-LINE", "name": "Line", "billing_type": "subscription", "price": _usd(20), **of_service}
    yield {
        "code": "EXTRA-LINES",
        "name": "Multiple lines",
        "billing_type": "subscription",
        "price": _usd(5),
        **of_service,
    }
    yield {
        "code": "PARTY-LINE",
        "name": "Shared line",
        "billing_type": "subscription",
        "price": _usd(9),
        "lifecycle": "retired",
        **of_service,
    }


def _internet() -> Iterator[Body]:
    of_service = {"billing_service_type": "/service/ip"}
    for access, price in (("DSL", 25), ("FIBER", 50)):
        yield {
            "code": access,
            "name": f"Internet ({access})",
            "billing_type": "service_bundle",
            "delivery_kind": "logical",
            "billing_phase": "two",
            "components": [_exactly_one(f"{access}-ACCESS"), *map(_at_most_one, ADD_ONS.values())],
            **of_service,
        }
        yield {
            "code": f"{access}-ACCESS",
            "name": f"Access ({access})",
            "billing_type": "subscription",
            "price": _usd(price),
            **of_service,
        }
    for code in ADD_ONS.values():
        if code not in STREAMING:
            yield {"code": code, "name": code.title(), "billing_type": "subscription", "price": _usd(5), **of_service}


def _streaming() -> Iterator[Body]:
    """One billing product each, so simple service bundles, with what is watched as their events."""
    for code in STREAMING:
        yield {
            "code": code,
            "name": code.title(),
            "billing_type": "subscription",
            "billing_service_type": "/service/ip/streaming",
            "origin": "billing_sync",
            "service_instance": True,
            "delivery_kind": "logical",
            "billing_phase": "single",
            "price": _usd(10),
            "components": [_at_most_one(f"{code}-WATCHED")],
        }
        yield {
            "code": f"{code}-WATCHED",
            "name": f"{code.title()} watched",
            "billing_type": "event",
            "billing_service_type": "/service/ip/streaming",
            "origin": "billing_sync",
            "track_as_asset": False,
        }


def _exactly_one(product: str) -> Body:
    return {"product": product, "min": 1, "max": 1, "default": 1}


def _at_most_one(product: str) -> Body:
    return {"product": product, "min": 0, "max": 1}


def _usd(amount: int) -> Body:
    return {"amount": f"{amount}.00", "currency": "USD"}


@dataclass(frozen=True, slots=True)
class Customer:
    """The ids of one customer: simple service bundles want one account for service and billing."""

    number: int

    @property
    def id(self) -> str:
        """The customer account."""
        return f"TELCO-{self.number}"

    @property
    def billing_account(self) -> str:
        """Its billing account, below it."""
        return f"{self.id}-BA"

    @property
    def billing_profile(self) -> str:
        """The profile of its billing account."""
        return f"{self.id}-BP"

    @property
    def second_account(self) -> str:
        """Another billing account of its own."""
        return f"{self.id}-BA2"

    @property
    def second_profile(self) -> str:
        """The profile of that one."""
        return f"{self.id}-BP2"


def bundle(row: Row) -> tuple[str, ...]:
    """What tells the bundles apart: services, add-ons and contract term; not how it is paid or whether on paper."""
    return tuple(row[x] for x in ("PhoneService", "MultipleLines", "InternetService", *ADD_ONS, "Contract"))


def order_body(row: Row, customer: Customer) -> Body:
    """The order for what a row's customer has."""
    return {
        "external_id": row["customerID"],
        "account": customer.id,
        "service_account": customer.billing_account,
        "billing_account": customer.billing_account,
        "billing_profile": customer.billing_profile,
        "lines": [_numbered(_root(row) | {"attributes": {"contract_months": MONTHS[row["Contract"]]}}, "1")],
    }


def _root(row: Row) -> Body:
    services = [*_phone(row), *_access(row)]
    if len(services) == 1:
        return services[0]
    return line(f"PHONE-AND-{ACCESS[row['InternetService']]}", *services)


def _phone(row: Row) -> Iterator[Body]:
    if row["PhoneService"] == "Yes":
        extra = [line("EXTRA-LINES")] if row["MultipleLines"] == "Yes" else []
        yield line("PHONE", line("PHONE-LINE"), *extra)


def _access(row: Row) -> Iterator[Body]:
    if access := ACCESS.get(row["InternetService"]):
        chosen = [line(code) for column, code in ADD_ONS.items() if row[column] == "Yes"]
        yield line(access, line(f"{access}-ACCESS"), *chosen)


def line(product: str, *below: Body) -> Body:
    """A line that adds a product; it has no id yet."""
    return {"action": "add", "product": product, "lines": list(below)}


def _numbered(body: Body, number: str) -> Body:
    below = [_numbered(x, f"{number}.{n}") for n, x in enumerate(body["lines"], 1)]
    return {"id": number, **body, "lines": below}


def distinct(rows: list[Row], count: int) -> list[Row]:
    """The first rows with bundles that differ, at most so many."""
    return list(itertools.islice({bundle(row): row for row in reversed(rows)}.values(), count))
