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

    async def say(self, **expected: object) -> None:
        """Profile, bill, network, fees and numbers say that now, and all ledgers agree."""
        found = {x: getattr(self, x)() for x in ("has", "pays", "runs", "fees", "numbers")}
        assert found == expected
        await self.shop.is_sound()

    def has(self) -> dict[str, str]:
        """What the customer has, by product, but for what is over."""
        rows = self.shop.rows("SELECT product, status FROM orderloom.assets WHERE status <> 'inactive'")
        return {x["product"]: x["status"] for x in rows}

    def pays(self) -> dict[str, tuple[str, int]]:
        """What goes on being billed, or rests, and for how much a month."""
        rows = self.shop.rows("""
            SELECT p.product, p.status, COALESCE(p.price_minor, c.price_minor) AS price
              FROM billing.purchases AS p LEFT JOIN billing.products AS c ON c.code = p.product
             WHERE p.billing_type <> 'item' AND p.status IN ('active', 'suspended')
        """)
        return {x["product"]: (x["status"], x["price"]) for x in rows}

    def runs(self) -> dict[str, str]:
        """What the network has of what is billable: the same as billing."""
        return self.ran(f"{self.shop.now():%Y-%m-%d %H:%M}")

    def ran(self, day: str) -> dict[str, str]:
        """What network and billing say of a moment, by product: they agree."""
        products = {str(x["id"]): x["product"] for x in self.shop.rows("SELECT id, product FROM orderloom.assets")}
        network = [x for x in self.shop.provisioning.list_active(as_of=at(day)) if x.billable]
        found = {products[x.service]: str(x.state) for x in network}
        assert found == {products[x.service]: str(x.state) for x in self.shop.billing.list_active(as_of=at(day))}
        return found

    def fees(self) -> list[str]:
        """What was charged once, each to the balance group of a service."""
        rows = self.shop.rows("""
            SELECT p.product, c.amount_minor, i.id IS NOT NULL AS on_service
              FROM billing.charges AS c JOIN billing.purchases AS p ON p.id = c.purchase
              LEFT JOIN billing.service_instances AS i ON i.balance_group = c.balance_group
             ORDER BY p.product
        """)
        assert {(x["amount_minor"], x["on_service"]) for x in rows} <= {(900, True)}
        return [x["product"] for x in rows]

    def numbers(self) -> dict[str, str]:
        rows = self.shop.rows("SELECT value, state FROM inventory.numbers WHERE state <> 'available'")
        return {x["value"]: x["state"] for x in rows}

    def instances(self) -> dict[str, str]:
        return {x["id"]: x["status"] for x in self.shop.rows("SELECT id, status FROM billing.service_instances")}

    def instance_of(self, asset: Asset) -> str:
        found: str = self.shop.one(
            "SELECT billing_id FROM orderloom.cross_references"
            " WHERE asset = :a AND kind = 'service_instance' AND valid_to IS NULL",
            a=asset["id"],
        )
        return found

    def ended(self, asset: Asset) -> datetime:
        found: datetime = self.shop.one("SELECT service_end FROM orderloom.assets WHERE id = :a", a=asset["id"])
        return found


@pytest.mark.req("A19", "A20", "B50", "B51", "B53", "B69", "B58", "C23")
async def test_a_customer_of_three_years(shop: Shop) -> None:
    books = Books(shop)
    first_number, second_number = "+1-555-0100", "+1-555-0101"
    care_runs, care_costs = {"ROUTER-CARE": "active"}, {"ROUTER-CARE": ("active", 400)}

    shop.clock.set("2026-03-02 10:00")  # Acme orders a mobile line, and care for its router
    shop.publish(*OFFER)
    shop.numbers("MSISDN", first_number, second_number)
    shop.account("ACME", "ACME-BA")
    first = await shop.fulfil(order(line("MOBILE", line("BASIC")), line("ROUTER-CARE")))
    mobile, basic, care = shop.asset(first), shop.asset(first, "1.1"), shop.asset(first, "2")
    await books.say(
        has={"MOBILE": "active", "BASIC": "active", "ROUTER-CARE": "active"},
        pays={"BASIC": ("active", 2_000), **care_costs},
        runs={"MOBILE": "active", **care_runs},
        fees=[],
        numbers={first_number: "assigned"},
    )

    shop.clock.set("2026-09-01 09:00")  # more data: the plan gives way to a larger one, for a promotion's price
    plus = line("PLUS", price=dollars(30), promotion_ref="AUTUMN-26", **ACCOUNTS)
    upgrade = about(mobile, Action.NONE, about(basic, Action.DELETE), plus)
    await shop.changed(raw(upgrade, reason="promo_upgrade"))
    await books.say(
        has={"MOBILE": "active", "PLUS": "active", "ROUTER-CARE": "active"},
        pays={"PLUS": ("active", 3_000), **care_costs},
        runs={"MOBILE": "active", **care_runs},
        fees=["UPGRADE-FEE"],
        numbers={first_number: "assigned"},
    )
    assert shop.one("SELECT promotion_ref FROM billing.purchases WHERE product = 'PLUS'") == "AUTUMN-26"
    assert books.ended(basic) == at("2026-09-01 09:00")

    shop.clock.set("2027-01-10 08:00")  # a long voyage: the line rests
    await shop.changed(raw(about(mobile, Action.SUSPEND)))
    await books.say(
        has={"MOBILE": "suspended", "PLUS": "suspended", "ROUTER-CARE": "active"},
        pays={"PLUS": ("suspended", 3_000), **care_costs},
        runs={"MOBILE": "suspended", **care_runs},
        fees=["SUSPEND-FEE", "UPGRADE-FEE"],
        numbers={first_number: "assigned"},
    )

    shop.clock.set("2027-02-20 08:00")  # back again
    await shop.changed(raw(about(mobile, Action.RESUME)))
    await books.say(
        has={"MOBILE": "active", "PLUS": "active", "ROUTER-CARE": "active"},
        pays={"PLUS": ("active", 3_000), **care_costs},
        runs={"MOBILE": "active", **care_runs},
        fees=["SUSPEND-FEE", "UPGRADE-FEE"],
        numbers={first_number: "assigned"},
    )

    shop.clock.set("2027-06-01 12:00")  # Acme moves house, and its line with it; billing keeps its ids
    instance = books.instance_of(mobile)
    to = line("", action=Action.MOVE_ADD, changes=("service_point",), service_point="SP-HILLSIDE")
    third = await shop.changed(raw(to, about(mobile, Action.MOVE_DELETE)))
    moved = shop.asset(third)
    await books.say(
        has={"MOBILE": "active", "PLUS": "active", "ROUTER-CARE": "active"},
        pays={"PLUS": ("active", 3_000), **care_costs},
        runs={"MOBILE": "active", **care_runs},
        fees=["MOVE-FEE", "SUSPEND-FEE", "UPGRADE-FEE"],
        numbers={first_number: "assigned"},
    )
    assert (moved["service_point"], moved["service_id"]) == ("SP-HILLSIDE", first_number)
    assert books.instance_of(moved) == instance
    assert books.ended(mobile) == at("2027-06-01 12:00")

    shop.clock.set("2028-05-01 09:00")  # the new network: the old line is replaced, as a new service
    five = line("MOBILE-5G", line("FIVE", **ACCOUNTS), replaces=moved["id"], **ACCOUNTS)
    fourth = await shop.changed(raw(five, about(moved, Action.DELETE)))
    new = shop.asset(fourth)
    await books.say(
        has={"MOBILE-5G": "active", "FIVE": "active", "ROUTER-CARE": "active"},
        pays={"FIVE": ("active", 5_000), **care_costs},
        runs={"MOBILE-5G": "active", **care_runs},
        fees=["LEAVE-FEE", "MOVE-FEE", "SUSPEND-FEE", "UPGRADE-FEE"],
        numbers={first_number: "quarantined", second_number: "assigned"},
    )
    assert books.instance_of(new) != instance
    assert books.instances()[instance] == "closed"

    shop.clock.set("2029-03-01 18:00")  # Acme leaves
    await shop.changed(raw(about(new, Action.DELETE), about(care, Action.DELETE)))
    await books.say(
        has={},
        pays={},
        runs={},
        fees=["LEAVE-FEE", "LEAVE-FEE", "MOVE-FEE", "SUSPEND-FEE", "UPGRADE-FEE"],
        numbers={first_number: "quarantined", second_number: "quarantined"},
    )
    assert {*books.instances().values()} == {"closed"}
    assert [books.ran(x).get("MOBILE") for x in ("2026-12-31 00:00", "2027-01-31 00:00", "2027-02-28 00:00")] == [
        "active", "suspended", "active",
    ]  # fmt: skip
    assert books.ran("2028-12-31 00:00") == {"MOBILE-5G": "active", "ROUTER-CARE": "active"}
