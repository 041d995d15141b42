"""What changes is changed in billing and inventory too, as of when it happened, and every ledger agrees afterwards."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from adapters.switches import Mode, Switch
from domain.catalog import ChargeTrigger, ServiceCharge
from domain.money import Money
from domain.order import Action
from models.database import downgrade, upgrade
from tests.builders import (
    SMS,
    Line,
    bundle,
    discount,
    event,
    goods,
    item,
    line,
    order,
    raw,
    simple_bundle,
    subscription,
    unbilled,
)
from tests.conftest import Database
from tests.shop import Shop

CHARGES = tuple(ServiceCharge(trigger=x, product="FEE") for x in ChargeTrigger)
PRODUCTS = (
    bundle("WIRELESS", "RATE", "HALF-PRICE", "SIM", "PHONE", "SMS", pool="MSISDN", service_charges=CHARGES),
    subscription("RATE", price=Money(2_500, "USD")),
    discount("HALF-PRICE", duration_months=3),
    item("SIM", price=Money(500, "USD")),
    item("FEE", price=Money(900, "USD")),
    goods("PHONE", price=Money(49_900, "USD")),
    bundle("SMS", "SMS-BASIC", billing_service_type=SMS),
    subscription("SMS-BASIC", billing_service_type=SMS, price=Money(300, "USD")),
    simple_bundle("INTERNET", "USAGE", price=Money(1_000, "USD"), service_charges=CHARGES),
    event("USAGE"),
    subscription("CLUB", billing_service_type="/account", price=Money(700, "USD")),
    unbilled("GIFT"),
)
WIRELESS = line(
    "WIRELESS", line("RATE"), line("HALF-PRICE"), line("SIM"), line("PHONE"), line("SMS", line("SMS-BASIC"))
)
PARTS = {"1": "WIRELESS", "1.1": "RATE", "1.2": "HALF-PRICE", "1.3": "SIM", "1.4": "PHONE", "1.5": "SMS"}
Asset = dict[str, Any]


@pytest.fixture(autouse=True)
def catalog(shop: Shop) -> None:
    shop.publish(*PRODUCTS)


def about(asset: Asset, action: Action, *below: Line, **fields: Any) -> Line:  # noqa: ANN401
    """A line about an asset; what is given beside is what an update changes."""
    changes = tuple(fields) if action is Action.UPDATE else None
    return line("", *below, asset=asset["id"], action=action, changes=changes, **fields)


async def installed(shop: Shop, asked: Line = WIRELESS) -> Asset:
    return shop.asset(await shop.fulfil(order(asked)))


def billed(shop: Shop) -> dict[str, str]:
    """The state of what billing has, by product; of instances by the type of the service."""
    rows = shop.rows(
        "SELECT billing_service_type AS what, status FROM billing.service_instances"
        " UNION ALL SELECT product, status FROM billing.purchases"
    )
    return {x["what"].rpartition("/")[2]: x["status"] for x in rows}


def charged(shop: Shop) -> list[Any]:
    """Whether each service charge is on the balance group of the service it stands for."""
    rows = shop.rows(
        "SELECT c.balance_group = i.balance_group AS own, c.amount_minor FROM billing.charges AS c"
        " JOIN billing.purchases AS p ON p.id = c.purchase AND p.product = 'FEE'"
        " LEFT JOIN billing.service_instances AS i ON i.id = p.service_instance"
    )
    return [(x["own"], x["amount_minor"]) for x in rows]


def numbers(shop: Shop) -> dict[str, int]:
    rows = shop.rows("SELECT state, count(*) AS n FROM inventory.numbers WHERE state <> 'available' GROUP BY state")
    return {x["state"]: x["n"] for x in rows}


def dates(shop: Shop, order_id: str, *functions: str) -> set[Any]:
    """As of when some steps of an order were carried out."""
    rows = shop.rows(
        "SELECT actual_at FROM orderloom.plan_items WHERE order_id = :o AND function = ANY(:f)",
        o=order_id,
        f=[*functions],
    )
    return {x["actual_at"] for x in rows}


@pytest.mark.req("B42", "B50", "B51", "B26", "F28")
async def test_a_service_with_all_that_is_in_it_rests_goes_on_and_ends(shop: Shop):
    wireless = await installed(shop)
    goes_on = {"telephony": "active", "sms": "active", "RATE": "active", "HALF-PRICE": "active", "SMS-BASIC": "active"}
    over = {"SIM": "active", "PHONE": "active", "FEE": "active"}
    for action, instances, purchases in (
        (Action.SUSPEND, "suspended", "suspended"),
        (Action.RESUME, "active", "active"),
        (Action.DELETE, "closed", "cancelled"),
    ):
        id_ = await shop.changed(raw(about(wireless, action)))
        assert shop.state(id_) == "completed"
        expected = {x: instances if x in ("telephony", "sms") else purchases for x in goes_on}
        assert billed(shop) == expected | over
        await shop.is_sound()
        assert not any((await shop.reconcile()).by_class.values())
    assert charged(shop) == [(True, 900)] * 3
    assert numbers(shop) == {"quarantined": 1}


@pytest.mark.req("B54", "B56", "F13")
async def test_an_update_reaches_the_service_the_products_and_the_pool(shop: Shop):
    wireless = await installed(shop)
    rate = shop.asset(wireless["created_by_order"], "1.1")
    given = about(
        wireless,
        Action.UPDATE,
        about(rate, Action.UPDATE, price=Money(1_900, "USD"), promotion_ref="GOLD"),
        service_id="+1-555-0111",
    )
    id_ = await shop.changed(raw(given))
    assert shop.state(id_) == "completed"
    (instance,) = shop.rows("SELECT service_id FROM billing.service_instances WHERE asset = :a", a=wireless["id"])
    assert instance["service_id"] == "+1-555-0111"
    (product,) = shop.rows("SELECT price_minor, promotion_ref FROM billing.purchases WHERE product = 'RATE'")
    assert (product["price_minor"], product["promotion_ref"]) == (1_900, "GOLD")
    assert numbers(shop) == {"assigned": 1, "quarantined": 1}
    await shop.is_sound()
    await shop.changed(raw(about(wireless, Action.DELETE)))
    assert numbers(shop) == {"quarantined": 2}
    await shop.is_sound()


@pytest.mark.req("F13")
async def test_whoever_wants_any_other_number_gets_one(shop: Shop):
    wireless = await installed(shop)
    await shop.changed(raw(about(wireless, Action.UPDATE, service_id="+1-555-0111")))
    await shop.changed(raw(about(wireless, Action.UPDATE, service_id=None)))
    known = "SELECT service_id FROM orderloom.assets WHERE id = :a"
    (number,) = shop.rows("SELECT value FROM inventory.numbers WHERE state = 'assigned'")
    assert shop.one(known, a=wireless["id"]) == number["value"] != "+1-555-0111"
    runs = shop.rows("SELECT service_id FROM provisioning.services WHERE service = :a", a=wireless["id"])
    assert runs == [{"service_id": number["value"]}]
    await shop.is_sound()


@pytest.mark.req("B54", "B56")
async def test_quantity_and_price_of_a_simple_service_bundle_change_in_one_call(shop: Shop):
    internet = await installed(shop, line("INTERNET", quantity=5))
    await shop.changed(raw(about(internet, Action.UPDATE, quantity=7, price=Money(800, "USD"))))
    (product,) = shop.rows("SELECT quantity, price_minor FROM billing.purchases WHERE product = 'INTERNET'")
    assert (product["quantity"], product["price_minor"]) == (7, 800)
    await shop.is_sound()


@pytest.mark.req("B54", "B22", "F34")
async def test_another_account_is_made_known_and_pays_for_the_whole_service_from_then_on(shop: Shop):
    wireless = await installed(shop)
    shop.account("ACME-CA")
    other = {"billing_account": "ACME-CA", "service_account": "ACME-CA", "billing_profile": "ACME-CP"}
    id_ = await shop.changed(raw(about(wireless, Action.UPDATE, **other)))
    assert shop.steps(id_)["sync_customer:ACME-CA"] == "done"
    payers = shop.rows(
        "SELECT account, profile FROM billing.service_instances UNION"
        " SELECT account, 'ACME-CP' FROM billing.purchases WHERE billing_type <> 'item'"
    )
    assert payers == [{"account": "ACME-CA", "profile": "ACME-CP"}]
    await shop.is_sound()
    assert not any((await shop.reconcile()).by_class.values())


@pytest.mark.req("B25", "B26", "B56", "B58")
@pytest.mark.parametrize("reason", ["promo_upgrade", "promo_downgrade"])
async def test_another_promotion_reaches_the_product_and_costs_its_service_something(shop: Shop, reason: str):
    internet = await installed(shop, line("INTERNET"))
    await shop.changed(raw(about(internet, Action.UPDATE, promotion_ref="GOLD"), reason=reason))
    assert shop.one("SELECT promotion_ref FROM billing.purchases WHERE product = 'INTERNET'") == "GOLD"
    assert charged(shop) == [(True, 900)]
    await shop.is_sound()


@pytest.mark.req("B19")
async def test_what_stands_on_an_account_rests_goes_on_and_ends_by_itself(shop: Shop):
    club = await installed(shop, line("CLUB"))
    for action, state in ((Action.SUSPEND, "suspended"), (Action.RESUME, "active"), (Action.DELETE, "cancelled")):
        await shop.changed(raw(about(club, action)))
        assert billed(shop) == {"CLUB": state}
        await shop.is_sound()


@pytest.mark.req("B53", "B58")
async def test_a_move_changes_no_billing_id_and_is_charged_to_the_service_that_moved(shop: Shop):
    wireless = await installed(shop)
    ids = "SELECT id FROM billing.{} WHERE {} ORDER BY id"
    queries = [ids.format("service_instances", "TRUE"), ids.format("purchases", "product <> 'FEE'")]
    before = [shop.rows(x) for x in queries]
    id_ = await shop.changed(
        raw(
            line("", action=Action.MOVE_ADD, changes=("service_point",), service_point="SP-2"),
            about(wireless, Action.MOVE_DELETE),
        )
    )
    assert shop.state(id_) == "completed"
    assert [shop.rows(x) for x in queries] == before
    assert set(billed(shop).values()) == {"active"}
    assert charged(shop) == [(True, 900)]
    assert numbers(shop) == {"assigned": 1}
    await shop.is_sound()
    assert not any((await shop.reconcile()).by_class.values())
    await shop.changed(raw(about(shop.asset(id_), Action.DELETE)))
    assert numbers(shop) == {"quarantined": 1}
    await shop.is_sound()


@pytest.mark.req("B69", "B68", "B43")
async def test_what_takes_the_place_of_a_service_is_another_instance(shop: Shop):
    internet = await installed(shop, line("INTERNET"))
    accounts = {"billing_account": "ACME-BA", "service_account": "ACME-BA", "billing_profile": "ACME-BP"}
    new = line("WIRELESS", line("RATE"), replaces=internet["id"], **accounts)
    await shop.changed(raw(new, about(internet, Action.DELETE)))
    assert billed(shop)["INTERNET"] == "cancelled"
    assert billed(shop)["RATE"] == "active"
    await shop.is_sound()


@pytest.mark.req("B52")
async def test_a_component_ends_and_its_service_goes_on(shop: Shop):
    wireless = await installed(shop)
    rate = shop.asset(wireless["created_by_order"], "1.2")
    await shop.changed(raw(about(rate, Action.DELETE)))
    assert billed(shop)["HALF-PRICE"] == "cancelled"
    assert billed(shop)["telephony"] == "active"
    await shop.is_sound()


@pytest.mark.req("A17")
async def test_what_joined_a_part_before_it_joined_its_tree_is_disconnected_with_all_of_it(
    shop: Shop, database: Database
):
    wireless = await installed(shop)
    basic = shop.asset(wireless["created_by_order"], "1.5.1")
    downgrade(database.owner_url, "0017")
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE orderloom.assets SET root = parent WHERE id = :a"), {"a": basic["id"]})
    assert [*await shop.broken()] == ["I18-tree"]
    upgrade(database.owner_url)
    assert str(shop.asset(wireless["created_by_order"], "1.5.1")["root"]) == wireless["id"]
    await shop.changed(raw(about(wireless, Action.DELETE)))
    assert billed(shop)["SMS-BASIC"] == "cancelled"
    await shop.is_sound()


async def test_what_was_installed_before_assets_knew_their_numbers_gives_them_back_too(shop: Shop, database: Database):
    wireless = await installed(shop)
    downgrade(database.owner_url, "0015")
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE orderloom.assets SET numbers = '[]'"))
    upgrade(database.owner_url)
    assert shop.asset(wireless["created_by_order"])["numbers"] == wireless["numbers"] != []
    await shop.changed(raw(about(wireless, Action.DELETE)))
    assert numbers(shop) == {"quarantined": 1}


BILLING: Sequence[tuple[Action, str, str]] = (
    (Action.SUSPEND, "suspend", "suspend_billing"),
    (Action.DELETE, "terminate", "close_billing"),
)


@pytest.mark.req("B50", "B51", "F28")
@pytest.mark.parametrize(("action", "operation", "step"), BILLING)
async def test_billing_that_is_down_is_told_later_as_of_when_it_happened(
    shop: Shop, action: Action, operation: str, step: str
):
    internet = await installed(shop, line("INTERNET"))
    shop.billing.switches.set(operation, Switch(mode=Mode.FAIL_BEFORE))
    stored = shop.change(raw(about(internet, action)))
    handle = await shop.run(stored)
    fallout = await shop.fallout(stored.id)
    assert (fallout["type"], fallout["step"]) == ("Billing", f"{step}:1")
    shop.billing.switches.clear()
    await shop.decide(fallout, "retry")
    await handle.result()
    assert len(dates(shop, stored.id, action if action is Action.SUSPEND else "disconnect", step)) == 1
    await shop.is_sound()


@pytest.mark.req("B26", "B58")
@pytest.mark.parametrize("mode", [Mode.LOSE_ANSWER, Mode.FAIL_AFTER])
async def test_a_charge_whose_answer_is_lost_is_charged_once(shop: Shop, mode: Mode):
    internet = await installed(shop, line("INTERNET"))
    shop.billing.switches.set("charge", Switch(mode=mode, remaining=1))
    await shop.changed(raw(about(internet, Action.SUSPEND)))
    assert charged(shop) == [(True, 900)]
    await shop.is_sound()


@pytest.mark.req("B50")
async def test_a_service_that_rests_is_not_billed_until_the_last_one_does(shop: Shop):
    """The network lets one rest today, and the one around it days later; each is billed no more from its own day."""
    wireless = await installed(shop)
    shop.provisioning.switches.set("suspend", Switch(mode=Mode.REFUSE, remaining=1, match=f'"{wireless["id"]}"'))
    stored = shop.change(raw(about(wireless, Action.SUSPEND)))
    handle = await shop.run(stored)
    fallout = await shop.fallout(stored.id)
    shop.clock.set(f"{shop.now() + timedelta(days=2):%Y-%m-%d %H:%M}")
    await shop.decide(fallout, "retry")
    await handle.result()
    rested = shop.rows(
        "SELECT b.actual_at = n.actual_at AS is_own, n.actual_at FROM orderloom.plan_items AS b"
        " JOIN orderloom.plan_items AS n USING (order_id, subject)"
        " WHERE order_id = :o AND b.function = 'suspend_billing' AND n.function = 'suspend'",
        o=stored.id,
    )
    assert [x["is_own"] for x in rested] == [True, True]
    assert len({x["actual_at"] for x in rested}) == 2
    await shop.is_sound()
