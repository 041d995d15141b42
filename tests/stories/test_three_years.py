"""One customer for three years: what was asked, day by day, and what profile, bill and network said then."""

from datetime import datetime
from typing import Any

import pytest

from domain.catalog import ChargeTrigger, ServiceCharge
from domain.money import Money
from domain.order import Action
from tests.builders import ACCOUNTS, Line, bundle, item, line, order, raw, simple_bundle, subscription
from tests.shop import Shop, at


def dollars(amount: int) -> Money:
    return Money(amount * 100, "USD")


CHARGES = (
    ServiceCharge(trigger=ChargeTrigger.PROMO_UPGRADE, product="UPGRADE-FEE"),
    ServiceCharge(trigger=ChargeTrigger.MOVE, product="MOVE-FEE"),
    ServiceCharge(trigger=ChargeTrigger.SUSPEND, product="SUSPEND-FEE"),
    ServiceCharge(trigger=ChargeTrigger.DELETE, product="LEAVE-FEE"),
)
OFFER = (
    bundle("MOBILE", "BASIC", "PLUS", pool="MSISDN", service_charges=CHARGES),
    subscription("BASIC", price=dollars(20)),
    subscription("PLUS", price=dollars(35)),
    bundle("MOBILE-5G", "FIVE", pool="MSISDN", service_charges=CHARGES),
    subscription("FIVE", price=dollars(50)),
    simple_bundle("ROUTER-CARE", price=dollars(4)),
    *(item(x.product, price=dollars(9), track_as_asset=False) for x in CHARGES),
)
Asset = dict[str, Any]


def about(asset: Asset, action: Action, *below: Line, **fields: Any) -> Line:  # noqa: ANN401
    return line("", *below, asset=asset["id"], action=action, **fields)


class Books:
    """What the company's books say."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def profile(self) -> dict[str, str]:
        """What the customer has, by product, but for what is over."""
        rows = self.shop.rows("SELECT product, status FROM orderloom.assets WHERE status <> 'inactive'")
        return {x["product"]: x["status"] for x in rows}

    def bill(self) -> dict[str, str]:
        """What goes on being billed, or rests."""
        rows = self.shop.rows("SELECT product, status FROM billing.purchases WHERE status IN ('active', 'suspended')")
        return {x["product"]: x["status"] for x in rows if not x["product"].endswith("-FEE")}

    def fees(self) -> list[str]:
        rows = self.shop.rows(
            "SELECT p.product FROM billing.charges AS c JOIN billing.purchases AS p ON p.id = c.purchase"
            " WHERE p.product LIKE '%-FEE' ORDER BY p.product"
        )
        return [x["product"] for x in rows]

    def instances(self) -> dict[str, str]:
        return {x["id"]: x["status"] for x in self.shop.rows("SELECT id, status FROM billing.service_instances")}

    def instance_of(self, asset: Asset) -> str:
        found: str = self.shop.one(
            "SELECT billing_id FROM orderloom.cross_references"
            " WHERE asset = :a AND kind = 'service_instance' AND valid_to IS NULL",
            a=asset["id"],
        )
        return found

    def runs(self, day: str) -> set[str]:
        """What was billable and ran on a day, as network and billing have it: they agree."""
        network = {x.service: str(x.state) for x in self.shop.provisioning.list_active(as_of=at(day)) if x.billable}
        assert network == {x.service: str(x.state) for x in self.shop.billing.list_active(as_of=at(day))}
        return {service for service, state in network.items() if state == "active"}

    def ended(self, asset: Asset) -> datetime:
        found: datetime = self.shop.one("SELECT service_end FROM orderloom.assets WHERE id = :a", a=asset["id"])
        return found


@pytest.mark.req("A19", "A20", "B50", "B51", "B53", "B69", "B58", "C23")
async def test_a_customer_of_three_years(shop: Shop) -> None:  # noqa: PLR0915 - a diary
    books = Books(shop)
    shop.clock.set("2026-03-02 10:00")  # Acme orders a mobile line, and care for its router
    shop.publish(*OFFER)
    shop.numbers("MSISDN", "+1-555-0100", "+1-555-0101")
    shop.account("ACME", "ACME-BA")
    first = await shop.fulfil(order(line("MOBILE", line("BASIC")), line("ROUTER-CARE")))
    mobile, basic, care = shop.asset(first), shop.asset(first, "1.1"), shop.asset(first, "2")
    assert books.profile() == {"MOBILE": "active", "BASIC": "active", "ROUTER-CARE": "active"}
    assert books.bill() == {"BASIC": "active", "ROUTER-CARE": "active"}

    shop.clock.set("2026-09-01 09:00")  # more data: the plan gives way to a larger one, for a promotion's price
    plus = line("PLUS", price=dollars(30), promotion_ref="AUTUMN-26", **ACCOUNTS)
    upgrade = about(mobile, Action.NONE, about(basic, Action.DELETE), plus)
    await shop.changed(raw(upgrade, reason="promo_upgrade"))
    assert books.profile() == {"MOBILE": "active", "PLUS": "active", "ROUTER-CARE": "active"}
    assert books.bill() == {"PLUS": "active", "ROUTER-CARE": "active"}
    (plus_billed,) = shop.rows("SELECT price_minor, promotion_ref FROM billing.purchases WHERE product = 'PLUS'")
    assert plus_billed == {"price_minor": 3_000, "promotion_ref": "AUTUMN-26"}
    assert books.ended(basic) == at("2026-09-01 09:00")
    assert books.fees() == ["UPGRADE-FEE"]

    shop.clock.set("2027-01-10 08:00")  # a long voyage: the line rests
    await shop.changed(raw(about(mobile, Action.SUSPEND)))
    assert books.profile() == {"MOBILE": "suspended", "PLUS": "suspended", "ROUTER-CARE": "active"}
    assert books.bill() == {"PLUS": "suspended", "ROUTER-CARE": "active"}
    assert books.fees() == ["SUSPEND-FEE", "UPGRADE-FEE"]
    assert books.runs("2027-01-31 00:00") == {care["id"]}

    shop.clock.set("2027-02-20 08:00")  # back again
    await shop.changed(raw(about(mobile, Action.RESUME)))
    assert books.runs("2027-02-28 00:00") == {mobile["id"], care["id"]}

    shop.clock.set("2027-06-01 12:00")  # Acme moves house, and its line with it; billing keeps its ids
    instance = books.instance_of(mobile)
    to = line("", action=Action.MOVE_ADD, changes=("service_point",), service_point="SP-HILLSIDE")
    third = await shop.changed(raw(to, about(mobile, Action.MOVE_DELETE)))
    moved = shop.asset(third)
    assert (moved["service_point"], moved["status"]) == ("SP-HILLSIDE", "active")
    assert books.instance_of(moved) == instance
    assert books.ended(mobile) == at("2027-06-01 12:00")
    assert books.fees() == ["MOVE-FEE", "SUSPEND-FEE", "UPGRADE-FEE"]
    assert books.runs("2027-06-30 00:00") == {moved["id"], care["id"]}

    shop.clock.set("2028-05-01 09:00")  # the new network: the old line is replaced, as a new service
    five = line("MOBILE-5G", line("FIVE", **ACCOUNTS), replaces=moved["id"], **ACCOUNTS)
    fourth = await shop.changed(raw(five, about(moved, Action.DELETE)))
    new = shop.asset(fourth)
    assert books.profile() == {"MOBILE-5G": "active", "FIVE": "active", "ROUTER-CARE": "active"}
    assert books.bill() == {"FIVE": "active", "ROUTER-CARE": "active"}
    assert books.instance_of(new) != instance
    assert books.instances()[instance] == "closed"
    assert books.runs("2028-05-31 00:00") == {new["id"], care["id"]}

    shop.clock.set("2029-03-01 18:00")  # Acme leaves
    await shop.changed(raw(about(new, Action.DELETE), about(care, Action.DELETE)))
    assert books.profile() == {}
    assert books.bill() == {}
    assert books.runs("2029-03-31 00:00") == set()
    assert books.runs("2028-12-31 00:00") == {new["id"], care["id"]}
    assert {*books.instances().values()} == {"closed"}
    assert books.fees() == ["LEAVE-FEE", "LEAVE-FEE", "MOVE-FEE", "SUSPEND-FEE", "UPGRADE-FEE"]
    assert {x["state"] for x in shop.rows("SELECT state FROM inventory.numbers")} == {"quarantined"}
    await shop.is_sound()
