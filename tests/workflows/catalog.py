"""What the houses of the workflow tests sell."""

from domain.catalog import ChargeTrigger, ServiceCharge
from tests.builders import (
    SMS,
    Line,
    bundle,
    discount,
    event,
    goods,
    item,
    line,
    simple_bundle,
    some,
    subscription,
    unbilled,
)
from tests.shop import Shop

PRODUCTS = (
    bundle("WIRELESS", "RATE", "FEE", "HALF-PRICE", "GIFT", "PHONE", "SMS", pool="MSISDN"),
    subscription("RATE"),
    item("FEE"),
    discount("HALF-PRICE"),
    unbilled("GIFT"),
    goods("PHONE"),
    bundle("SMS", "SMS-BASIC", billing_service_type=SMS),
    subscription("SMS-BASIC", billing_service_type=SMS),
    simple_bundle("INTERNET", "USAGE"),
    event("USAGE"),
    simple_bundle("TV", service_charges=(ServiceCharge(trigger=ChargeTrigger.SUSPEND, product="FEE"),)),
    unbilled("OFFICE", some("SMS", at_most=1_000)),
)

WIRELESS = line("WIRELESS", line("RATE"), line("FEE"), line("HALF-PRICE"), line("GIFT"), line("SMS", line("SMS-BASIC")))
INTERNET = line("INTERNET")


def office(services: int) -> Line:
    """One bundle with so many services in it."""
    return line("OFFICE", *[line("SMS", line("SMS-BASIC"))] * services)


def furnish(shop: Shop) -> None:
    """Wireless bundles and internet for ACME, twenty numbers and ten phones."""
    shop.publish(*PRODUCTS)
    shop.account("ACME", "ACME-BA")
    shop.numbers("MSISDN", *(f"+1-555-01{n:02}" for n in range(20)))
    shop.receive("PHONE", 10)
