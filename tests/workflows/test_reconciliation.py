"""What runs is held against what is billed: differences are found, told once, and taken back by themselves."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from adapters.switches import Mode, Switch
from domain.catalog import BillingPhase
from domain.money import Money
from domain.order import Action
from domain.reconciliation import LISTED, Reconciled
from models import reconciliations, views
from models.work_list import PostgresWorkList
from tests.builders import bundle, line, order, raw, simple_bundle, subscription, unbilled
from tests.conftest import Database
from tests.shop import Shop, open_shop
from workflows.reconciliation import start_reconciliation

PRODUCTS = (
    bundle("WIRELESS", "RATE", "EXTRA"),
    subscription("RATE", price=Money(2_500, "USD")),
    subscription("EXTRA", price=Money(500, "USD")),
    simple_bundle("INTERNET", price=Money(1_000, "USD"), billing_service_type="/service/ip"),
    bundle("HOSTING", "DISK", delivery_kind="none", billing_phase=BillingPhase.SINGLE),
    subscription("DISK", price=Money(200, "USD")),
    simple_bundle("SECRET", track_as_asset=False),
    unbilled("ROUTER", delivery_kind="logical"),
)
WIRELESS = line("WIRELESS", line("RATE"), line("EXTRA", quantity=2))


@pytest.fixture
async def shop(database: Database, temporal_client: Client) -> AsyncIterator[Shop]:
    """A house where nothing is under way for longer than it takes."""
    async with open_shop(database.app_url, temporal_client, grace=timedelta(0)) as shop:
        shop.publish(*PRODUCTS)
        shop.account("ACME", "ACME-BA")
        yield shop


def asset(shop: Shop, order_id: str, line_id: str = "1") -> str:
    sql = "SELECT CAST(asset AS text) FROM orderloom.order_lines WHERE order_id = :o AND id = :l"
    return str(shop.one(sql, o=order_id, l=line_id))


def change(shop: Shop, sql: str, **parameters: object) -> None:
    """Somebody changes a neighbour's ledger behind everybody's back."""
    with shop.engine.begin() as connection:
        assert connection.exec_driver_sql(sql, parameters).rowcount, sql


def later(shop: Shop, **duration: float) -> None:
    """Time passes, and then stands still."""
    shop.clock.set((shop.now() + timedelta(**duration)).replace(tzinfo=None).isoformat())


def standing(shop: Shop) -> list[tuple[str, str]]:
    rows = shop.rows("SELECT class, service FROM orderloom.differences WHERE gone_at IS NULL ORDER BY id")
    return [(x["class"], x["service"]) for x in rows]


def fallouts(shop: Shop, *, state: str = "open") -> list[dict[str, Any]]:
    sql = "SELECT * FROM orderloom.fallouts WHERE type = 'Reconciliation' AND state = :s ORDER BY opened_at, id"
    return shop.rows(sql, s=state)


STOP = "UPDATE provisioning.services SET until = since WHERE service = %(service)s AND until IS NULL"
START = "UPDATE provisioning.services SET until = NULL WHERE service = %(service)s"
CLOSE = (
    "UPDATE billing.service_instances SET status = 'closed', ended_at = active_from"
    " WHERE asset = %(service)s AND status = 'active'"
)


@pytest.mark.req("F05", "F06")
async def test_what_orders_have_brought_about_is_the_same_on_both_sides(shop: Shop) -> None:
    for lines in (
        [WIRELESS, line("INTERNET", quantity=5)],
        [line("HOSTING", line("DISK"))],
        [line("SECRET")],
        [line("ROUTER")],
    ):
        await shop.fulfil(order(*lines))
    outcome = await shop.reconcile()
    assert (outcome.active, outcome.billed, outcome.by_class) == (3, 3, {})
    totals = shop.rows("SELECT account, billing_service_type, active, billed FROM orderloom.reconciliation_totals")
    assert {(x["billing_service_type"], x["active"], x["billed"]) for x in totals} == {
        ("/service/telco/gsm/telephony", 2, 2),
        ("/service/ip", 1, 1),
    }
    assert not standing(shop)
    assert not fallouts(shop)


@pytest.mark.req("C23", "B57")
async def test_another_start_in_the_profile_changes_nothing_on_the_network_and_in_billing(shop: Shop) -> None:
    """It is billed from the day on which it was activated, and that is right."""
    service = asset(shop, await shop.fulfil(order(WIRELESS)))
    starts = {"service_start": date(2020, 1, 1), "changes": ("service_start",)}
    await shop.changed(raw(line("", asset=service, action=Action.UPDATE, **starts)))
    shown = shop.one("SELECT service_start FROM orderloom.assets WHERE id = :a", a=service)
    assert shown == datetime(2020, 1, 1, tzinfo=UTC)
    outcome = await shop.reconcile()
    assert (outcome.active, outcome.billed, outcome.by_class) == (1, 1, {})
    await shop.is_sound()


@pytest.mark.req("F07")
async def test_what_runs_unbilled_leaks_what_it_costs_by_now(shop: Shop) -> None:
    """Its rate costs more than when it was ordered, one part has been dropped, another added, and it has moved."""
    first = await shop.fulfil(order(WIRELESS))
    service, rate, extra = (asset(shop, first, x) for x in ("1", "1.1", "1.2"))
    dearer = {"price": Money(4_000, "USD"), "changes": ("price",)}
    await shop.changed(raw(line("", asset=rate, action=Action.UPDATE, **dearer)))
    await shop.changed(raw(line("", asset=extra, action=Action.DELETE)))
    await shop.changed(raw(line("", line("EXTRA"), asset=service, action=Action.NONE)))
    to = line("", action=Action.MOVE_ADD, service_point="SP-2", changes=("service_point",))
    moved = asset(shop, await shop.changed(raw(to, line("", asset=service, action=Action.MOVE_DELETE))))
    change(shop, CLOSE, service=moved)
    later(shop, days=73)
    await shop.reconcile()
    (found,) = fallouts(shop)
    assert "About 108.00 USD was not billed so far." in found["message"]  # a fifth of a year of 40.00 and 5.00


@pytest.mark.req("F07")
async def test_a_service_that_runs_unbilled_is_a_fallout_with_what_it_costs_until_it_is_billed(shop: Shop) -> None:
    service = asset(shop, await shop.fulfil(order(WIRELESS)))
    change(shop, CLOSE, service=service)
    later(shop, days=30)
    outcome = await shop.reconcile()
    assert (outcome.active, outcome.billed, outcome.by_class) == (1, 0, {"ACTIVE_NOT_BILLED": 1})
    (found,) = fallouts(shop)
    assert (found["code"], found["account"], found["priority"]) == ("ACTIVE_NOT_BILLED", "ACME", 1)
    assert f"WIRELESS {service}" in found["message"]
    assert "About 34.52 USD was not billed so far." in found["message"]  # 30 days of 25.00 and twice 5.00 a month

    later(shop, days=30)
    assert (await shop.reconcile()).opened == 0
    (by_now,) = fallouts(shop)
    assert by_now["id"] == found["id"]
    assert "About 69.04 USD was not billed so far." in by_now["message"]

    change(
        shop, "UPDATE billing.service_instances SET status = 'active', ended_at = NULL WHERE asset = %(s)s", s=service
    )
    later(shop, minutes=1)
    assert (await shop.reconcile()).closed == 1
    (closed,) = fallouts(shop, state="closed")
    assert (closed["id"], closed["actor"], closed["reason"]) == (found["id"], "system", "the difference is gone")
    assert not standing(shop)


@pytest.mark.req("F07")
async def test_when_billing_fails_after_activation_the_service_is_seen_as_active_and_not_billed(shop: Shop) -> None:
    shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, code="CLOSED", message="account closed"))
    handle = await shop.start(order(WIRELESS))
    order_id = handle.id.removeprefix("order-")
    await shop.fallout(order_id)
    outcome = await shop.reconcile()
    assert outcome.by_class == {"ACTIVE_NOT_BILLED": 1}
    (found,) = fallouts(shop)
    assert str(found["order_id"]) == order_id
    assert "billing has it initiated; order 1001 is open" in found["message"]

    shop.billing.switches.clear()
    fallout = shop.rows("SELECT * FROM orderloom.fallouts WHERE type = 'Billing'")[0]
    await shop.decide(fallout, "retry")
    await handle.result()
    assert (await shop.reconcile()).closed == 1


@pytest.mark.req("F07")
async def test_a_service_that_is_billed_and_does_not_run_is_a_fallout_once_until_it_runs(shop: Shop) -> None:
    service = asset(shop, await shop.fulfil(order(line("INTERNET"))))
    change(shop, STOP, service=service)
    first = await shop.reconcile()
    again = await shop.reconcile()
    assert (first.opened, again.opened, again.closed) == (1, 0, 0)
    assert standing(shop) == [("BILLED_NOT_ACTIVE", service)]
    change(shop, START, service=service)
    assert (await shop.reconcile()).closed == 1
    change(shop, STOP, service=service)
    assert (await shop.reconcile()).opened == 1
    assert len(fallouts(shop)) == 1


@pytest.mark.req("F07", "B53")
async def test_a_service_that_has_moved_and_does_not_run_there_is_a_fallout_too(shop: Shop) -> None:
    internet = await shop.fulfil(order(line("INTERNET")))
    there = line("", action=Action.MOVE_ADD, changes=("service_point",), service_point="SP-2")
    moved = await shop.changed(raw(there, line("", action=Action.MOVE_DELETE, asset=asset(shop, internet))))
    assert not any((await shop.reconcile()).by_class.values())
    change(shop, STOP, service=asset(shop, moved))
    later(shop, minutes=1)
    await shop.reconcile()
    assert standing(shop) == [("BILLED_NOT_ACTIVE", asset(shop, moved))]


@pytest.mark.req("F06", "F07")
async def test_as_many_run_as_are_billed_and_two_differ(shop: Shop) -> None:
    one, two, three = [asset(shop, await shop.fulfil(order(line("INTERNET")))) for _ in range(3)]
    change(shop, CLOSE, service=one)
    change(shop, STOP, service=two)
    outcome = await shop.reconcile()
    assert (outcome.active, outcome.billed) == (2, 2)
    assert set(standing(shop)) == {("ACTIVE_NOT_BILLED", one), ("BILLED_NOT_ACTIVE", two)}
    assert three not in {x for _, x in standing(shop)}


MISMATCHES = {
    "DATE_MISMATCH": "UPDATE billing.service_instances SET active_from = '2026-01-01' WHERE asset = %(s)s",
    "QTY_MISMATCH": "UPDATE billing.purchases SET quantity = 7 WHERE asset = %(s)s",
    "ACCOUNT_MISMATCH": "UPDATE billing.service_instances SET account = 'OTHER' WHERE asset = %(s)s",
    "ORPHAN_XREF": "UPDATE billing.service_instances SET id = 'SI-other' WHERE asset = %(s)s",
}


@pytest.mark.req("F06")
@pytest.mark.parametrize("of_class", MISMATCHES)
async def test_what_billing_has_otherwise_than_our_record_is_found_by_its_class(shop: Shop, of_class: str) -> None:
    service = asset(shop, await shop.fulfil(order(line("INTERNET", quantity=5))))
    change(shop, MISMATCHES[of_class], s=service)
    outcome = await shop.reconcile()
    assert (outcome.active, outcome.billed, outcome.by_class) == (1, 1, {of_class: 1})
    assert [x["code"] for x in fallouts(shop)] == [of_class]


async def test_billing_that_was_initiated_for_an_order_that_is_over_is_stale(shop: Shop) -> None:
    shop.provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, code="NO_PORT", message="no port"))
    handle = await shop.start(order(WIRELESS))
    order_id = handle.id.removeprefix("order-")
    fallout = await shop.fallout(order_id)
    assert (await shop.reconcile()).by_class == {}
    await shop.decide(fallout, "abort")
    await handle.result()
    assert (await shop.reconcile()).by_class == {}
    change(shop, "UPDATE billing.service_instances SET status = 'initiated', ended_at = NULL")
    assert (await shop.reconcile()).by_class == {"STALE_INITIATED": 1}


async def test_what_an_order_is_doing_is_no_difference_until_the_grace_is_over(
    database: Database, temporal_client: Client
) -> None:
    async with open_shop(database.app_url, temporal_client, grace=timedelta(minutes=5)) as shop:
        shop.publish(*PRODUCTS)
        shop.account("ACME", "ACME-BA")
        shop.billing.switches.set("fulfill", Switch(mode=Mode.REFUSE, code="CLOSED", message="account closed"))
        handle = await shop.start(order(WIRELESS))
        await shop.fallout(handle.id.removeprefix("order-"))
        young = await shop.reconcile()
        assert (young.active, young.billed, young.by_class) == (0, 0, {})
        later(shop, minutes=6)
        assert (await shop.reconcile()).by_class == {"ACTIVE_NOT_BILLED": 1}
        await handle.terminate()


async def test_services_of_nobodys_are_differences_too(shop: Shop) -> None:
    sql = """
        INSERT INTO provisioning.services (service, product, account, billable, features, numbers, attributes, since)
        VALUES (%(s)s, 'X', 'NOBODY', TRUE, '{}', '{}', '{}', now())
    """
    ghosts = [str(uuid4()), "by hand"]
    for ghost in ghosts:
        change(shop, sql, s=ghost)
    assert (await shop.reconcile()).by_class == {"ACTIVE_NOT_BILLED": 2}
    assert {x for _, x in standing(shop)} == set(ghosts)
    assert {x["account"] for x in fallouts(shop)} == {None}


async def test_a_difference_that_a_person_accepts_is_not_told_again_while_it_is_the_same(shop: Shop) -> None:
    service = asset(shop, await shop.fulfil(order(line("INTERNET", quantity=5))))
    change(shop, MISMATCHES["QTY_MISMATCH"], s=service)
    await shop.reconcile()
    (found,) = fallouts(shop)
    work_list = PostgresWorkList(shop.engine)
    assert reconciliations.accept(work_list, found["subject"], actor="ann", reason="two are free")
    assert not reconciliations.accept(work_list, found["subject"], actor="ann", reason="again")
    assert (await shop.reconcile()).opened == 0
    assert standing(shop) == [("QTY_MISMATCH", service)]
    assert not fallouts(shop)
    audited = shop.rows("SELECT actor, decision, reason FROM orderloom.audit WHERE object = :f", f=found["id"])
    assert audited == [{"actor": "ann", "decision": "skip", "reason": "two are free"}]

    change(shop, "UPDATE billing.purchases SET quantity = 8 WHERE asset = %(s)s", s=service)
    assert (await shop.reconcile()).opened == 1
    change(shop, "UPDATE billing.purchases SET quantity = 5 WHERE asset = %(s)s", s=service)
    await shop.reconcile()
    change(shop, MISMATCHES["QTY_MISMATCH"], s=service)
    assert (await shop.reconcile()).opened == 1


async def test_a_difference_is_accepted_and_off_the_list_at_once_whoever_compares_meanwhile(shop: Shop) -> None:
    service = asset(shop, await shop.fulfil(order(line("INTERNET"))))
    change(shop, STOP, service=service)
    await shop.reconcile()
    (fallout,) = fallouts(shop)
    accept = partial(reconciliations.accept, PostgresWorkList(shop.engine), fallout["subject"], actor="a", reason="r")
    with shop.engine.begin() as somebody:
        somebody.exec_driver_sql("SELECT FROM orderloom.fallouts FOR UPDATE")
        accepting = asyncio.create_task(asyncio.to_thread(accept))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await shop.until(lambda: shop.one(waits) == 1)
        assert shop.one("SELECT count(*) FROM orderloom.differences WHERE accepted_at IS NOT NULL") == 0
    assert await accepting
    (closed,) = fallouts(shop, state="closed")
    assert (closed["decision"], closed["actor"]) == ("skip", "a")


async def test_comparisons_at_the_same_time_tell_everything_once(shop: Shop) -> None:
    services = [asset(shop, await shop.fulfil(order(line("INTERNET")))) for _ in range(3)]
    change(shop, "UPDATE provisioning.services SET until = since")
    outcomes = await asyncio.gather(*(shop.reconcile() for _ in range(8)))
    assert sum(x.opened for x in outcomes) == 3
    assert {x for _, x in standing(shop)} == set(services)
    assert len(fallouts(shop)) == 3
    change(shop, "UPDATE provisioning.services SET until = NULL")
    outcomes = await asyncio.gather(*(shop.reconcile() for _ in range(8)))
    assert sum(x.closed for x in outcomes) == 3
    assert not fallouts(shop)


async def test_a_comparison_that_is_older_than_what_is_known_changes_nothing(shop: Shop) -> None:
    service = asset(shop, await shop.fulfil(order(line("INTERNET"))))
    await shop.reconcile()
    later(shop, minutes=-1)
    change(shop, STOP, service=service)
    outcome = await shop.reconcile()
    assert outcome.overtaken
    assert not standing(shop)


@pytest.mark.parametrize("system", ["provisioning", "billing"])
async def test_a_neighbour_that_is_away_is_waited_for(shop: Shop, system: str) -> None:
    await shop.fulfil(order(line("INTERNET")))
    neighbour = shop.provisioning if system == "provisioning" else shop.billing
    neighbour.switches.set("list_active", Switch(mode=Mode.FAIL_BEFORE, remaining=1))
    assert (await shop.reconcile()).active == 1


async def test_thousands_of_services_are_compared_page_by_page_and_one_word_stands_for_too_many(shop: Shop) -> None:
    change(
        shop,
        """INSERT INTO provisioning.services (service, product, account, billable, features, numbers, attributes, since)
           SELECT gen_random_uuid(), 'X', 'A', TRUE, '{}', '{}', '{}', '2026-01-01' FROM generate_series(1, 2500)""",
    )
    change(
        shop,
        """INSERT INTO billing.service_instances (id, billing_service_type, account, asset, line, status, balance_group,
                                                  made_at, active_from)
           SELECT 'SI-' || id, '/service/ip', 'A', service, '1', 'active', 'BG', since, since
             FROM provisioning.services WHERE mod(id, 2) = 0""",
    )
    outcome = await shop.reconcile()
    assert (outcome.active, outcome.billed) == (2_500, 1_250)
    assert outcome.by_class == {"ACTIVE_NOT_BILLED": 1_250, "ORPHAN_XREF": 1_250}
    assert len(standing(shop)) == LISTED
    (too_many,) = [x for x in fallouts(shop) if x["code"] == "TOO_MANY"]
    found = views.fallout(shop.engine, too_many["id"])
    assert found is not None
    assert found["decisions"] == ["retry"]

    change(shop, "UPDATE provisioning.services SET until = since")
    change(shop, "UPDATE billing.service_instances SET status = 'closed', ended_at = active_from")
    assert (await shop.reconcile()).closed == LISTED + 1
    assert not standing(shop)


async def test_the_same_request_is_one_run_and_an_operator_reads_what_came_of_it(shop: Shop) -> None:
    await shop.fulfil(order(line("INTERNET")))
    request = str(uuid4())
    first = await start_reconciliation(shop.client, request=request, task_queue=shop.task_queue)
    assert await start_reconciliation(shop.client, request=request, task_queue=shop.task_queue) == first
    handle = shop.client.get_workflow_handle(first[0], result_type=Reconciled)
    assert (await handle.result()).active == 1
    assert "1 services are active, 1 are billed" in await shop.details(handle)
    assert shop.one("SELECT id FROM orderloom.reconciliations") == first[0]


async def test_comparisons_are_kept_for_a_month(shop: Shop) -> None:
    shop.clock.set("2026-05-01 00:00")
    await shop.reconcile()
    shop.clock.set("2026-06-01 00:00")
    await shop.reconcile()
    assert shop.one("SELECT count(*) FROM orderloom.reconciliations") == 1
