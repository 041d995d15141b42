"""Stories that read like a diary: what the company does, day by day, and what its books say afterwards."""

import pytest

from adapters.switches import Mode, Switch
from tests.builders import SMS, bundle, discount, goods, item, line, order, simple_bundle, subscription
from tests.shop import Shop, at

OFFER = (
    bundle("WIRELESS", "RATE", "FEE", "HALF-PRICE", "PHONE", "SMS", pool="MSISDN"),
    subscription("RATE"),
    item("FEE"),
    discount("HALF-PRICE", duration_months=3),
    goods("PHONE"),
    bundle("SMS", "SMS-BASIC", billing_service_type=SMS),
    subscription("SMS-BASIC", billing_service_type=SMS),
)
WIRELESS = line("WIRELESS", line("RATE"), line("FEE"), line("HALF-PRICE"), line("SMS", line("SMS-BASIC")))


@pytest.mark.req("A01", "A02", "B02", "B49", "F21")
async def test_the_first_customer_of_a_phone_company(shop: Shop) -> None:
    shop.clock.set("2026-03-01 09:00")  # the company opens
    shop.publish(*OFFER)
    shop.numbers("MSISDN", "+1-555-0100", "+1-555-0101")
    shop.account("ACME", "ACME-BA")

    shop.clock.set("2026-03-02 10:00")  # Acme orders a phone line, and the network has no port until tomorrow
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_PORT"))
    handle = await shop.start(order(WIRELESS))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    assert shop.one("SELECT count(*) FROM orderloom.assets") == 0
    assert {x["status"] for x in shop.rows("SELECT status FROM billing.service_instances")} == {"initiated"}
    assert shop.one("SELECT count(*) FROM billing.charges") == 0

    shop.clock.set("2026-03-03 08:30")  # ports arrived, Ann retries
    await shop.decide(fallout, "retry")
    await handle.result()
    starts = {x["purchase_start"] for x in shop.rows("SELECT purchase_start FROM billing.purchases")}
    assert starts == {at("2026-03-03 08:30")}
    assert {x["status"] for x in shop.rows("SELECT status FROM orderloom.assets")} == {"active"}
    assert shop.one("SELECT state FROM inventory.numbers WHERE value = '+1-555-0100'") == "assigned"

    shop.clock.set("2026-03-31 23:59")  # the month closes: what runs is what is billed
    running = {x.service for x in shop.provisioning.list_active(as_of=shop.now()) if x.billable}
    assert running == {x.service for x in shop.billing.list_active(as_of=shop.now())}
    assert len(running) == 2


@pytest.mark.req("F25", "B71")
async def test_a_phone_that_arrives_before_the_line_is_billed_before_the_line(shop: Shop) -> None:
    shop.clock.set("2026-05-01 12:00")  # phone and line are ordered; the phone is handed over at once
    shop.publish(*OFFER)
    shop.numbers("MSISDN", "+1-555-0100")
    shop.receive("PHONE", 3)
    shop.account("ACME", "ACME-BA")
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=1, code="NO_TECHNICIAN"))
    handle = await shop.start(order(line("WIRELESS", line("RATE"), line("PHONE"))))
    fallout = await shop.fallout(handle.id.removeprefix("order-"))
    await shop.until(lambda: shop.steps(fallout["order_id"])["purchase:1.2"] == "done")

    shop.clock.set("2026-05-10 09:00")  # nine days later the line works
    await shop.decide(fallout, "retry")
    await handle.result()
    starts = {
        x["product"]: x["purchase_start"] for x in shop.rows("SELECT product, purchase_start FROM billing.purchases")
    }
    assert starts == {"PHONE": at("2026-05-01 12:00"), "RATE": at("2026-05-10 09:00")}


@pytest.mark.req("F11", "F12")
async def test_the_last_number_goes_to_one_customer_and_the_other_waits_for_more(shop: Shop) -> None:
    shop.clock.set("2026-06-01 10:00")  # one number left, two customers
    shop.publish(*OFFER, simple_bundle("INTERNET"))
    shop.numbers("MSISDN", "+1-555-0100")
    shop.account("ACME", "ACME-BA")
    first = await shop.fulfil(order(line("WIRELESS", line("RATE"))))
    second = await shop.start(order(line("WIRELESS", line("RATE"))))
    fallout = await shop.fallout(second.id.removeprefix("order-"))
    assert (fallout["type"], fallout["code"]) == ("Inventory Allocation", "NO_STOCK")
    assert shop.state(first) == "completed"

    shop.clock.set("2026-06-02 10:00")  # a range arrives from the regulator
    shop.numbers("MSISDN", "+1-555-0200")
    await shop.decide(fallout, "retry")
    await second.result()
    assert shop.one("SELECT service_id FROM orderloom.assets ORDER BY service_start DESC LIMIT 1") == "+1-555-0200"
