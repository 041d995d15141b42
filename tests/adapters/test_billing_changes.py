"""What is billed rests, goes on, ends, is otherwise, costs something, and moves; every date is kept."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from itertools import product as every

import pytest

from domain.billing import (
    INSTANCE_NEXT,
    PURCHASE_OF,
    Account,
    Billed,
    BilledService,
    InstanceState,
    Move,
    Purchased,
    PurchaseState,
    Repointed,
    Update,
)
from domain.catalog import BillingType
from domain.money import Money
from domain.neighbour import Refused, Unacceptable
from tests.adapters.conftest import ACCOUNT, Neighbours, at_once
from tests.adapters.orders import alone, answered, charges_of, code_of, order_of, purchase_of

DAY = timedelta(days=1)
Change = Callable[..., Billed | Refused]


def _installed(neighbours: Neighbours, name: str, *, since: datetime | None = None) -> Billed:
    """A service bundle with a rate, a discount and something that was charged once."""
    order = order_of(
        name,
        purchase_of(f"{name}.1", "VOICE"),
        purchase_of(f"{name}.2", "TEN-OFF", BillingType.DISCOUNT),
        purchase_of(f"{name}.3", "SIM", BillingType.ITEM),
    )
    return answered(
        neighbours.billing.purchase(key=f"{name}-p", order=order, actual=since or neighbours.clock() - 9 * DAY)
    )


def _simple(neighbours: Neighbours, name: str) -> Billed:
    """A simple service bundle: instance and product are of one asset."""
    order = order_of(name, replace(purchase_of(name, "INTERNET", quantity=5), promotion_ref="P7"))
    return answered(neighbours.billing.purchase(key=f"{name}-p", order=order, actual=neighbours.clock() - 9 * DAY))


def _states(neighbours: Neighbours, name: str) -> dict[str, str]:
    """The states of all that is known by the assets of a test, by product; of a service bundle's instance by none."""
    rows = neighbours.rows(
        "SELECT '' AS product, status FROM billing.service_instances WHERE asset LIKE :assets"
        " UNION ALL SELECT product, status FROM billing.purchases WHERE asset LIKE :assets",
        assets=f"{name}%",
    )
    return {x.product: x.status for x in rows}


def _listed(neighbours: Neighbours, name: str, at: datetime) -> list[BilledService]:
    page = neighbours.billing.list_active(as_of=at, after=name[:-1])
    return [x for x in page if x.service.startswith(name)]


@pytest.mark.req("B50")
def test_a_service_is_suspended_and_resumed_with_all_that_is_purchased_for_it(neighbours: Neighbours, name: str):
    installed = _installed(neighbours, name)
    suspended, resumed = neighbours.clock() - 3 * DAY, neighbours.clock() - DAY

    first = answered(neighbours.billing.suspend(key=f"{name}-1", asset=name, actual=suspended))

    goes_on = [x for x in installed.purchases if x.product != "SIM"]
    assert first == Billed(
        key=f"{name}-1",
        state=InstanceState.SUSPENDED,
        service_instance=installed.service_instance,
        balance_group=installed.balance_group,
        purchases=first.purchases,
        since=suspended,
    )
    asleep = {x.id: replace(x, state=PurchaseState.SUSPENDED) for x in goes_on}
    assert {x.id: x for x in first.purchases} == asleep
    assert _states(neighbours, name) == {
        "": "suspended",
        "VOICE": "suspended",
        "TEN-OFF": "suspended",
        "SIM": "active",
    }, "what was charged once is over"
    second = answered(neighbours.billing.resume(key=f"{name}-2", asset=name, actual=resumed))
    assert (second.state, second.since) == (InstanceState.ACTIVE, resumed)
    assert {x.id: x for x in second.purchases} == {x.id: x for x in goes_on}
    assert set(_states(neighbours, name).values()) == {"active"}


@pytest.mark.req("B50", "B51", "B42", "B52")
@pytest.mark.parametrize("was", ["active", "suspended"])
def test_instance_and_product_of_a_simple_service_bundle_are_suspended_and_end_together(
    neighbours: Neighbours, name: str, was: str
):
    installed, ended = _simple(neighbours, name), neighbours.clock() - DAY
    if was == "suspended":
        neighbours.billing.suspend(key=f"{name}-1", asset=name, actual=ended)
        assert _states(neighbours, name) == {"": "suspended", "INTERNET": "suspended"}
    gone = answered(neighbours.billing.terminate(key=f"{name}-2", asset=name, actual=ended))
    assert (gone.state, gone.since, gone.service_instance) == (
        InstanceState.CLOSED,
        ended,
        installed.service_instance,
    )
    assert [(x.id, x.state) for x in gone.purchases] == [(installed.purchases[0].id, PurchaseState.CANCELLED)]
    assert _states(neighbours, name) == {"": "closed", "INTERNET": "cancelled"}
    rows = neighbours.rows(
        "SELECT s.ended_at AS service, p.ended_at AS product FROM billing.service_instances s"
        " JOIN billing.purchases p ON p.service_instance = s.id WHERE s.asset = :name",
        name=name,
    )
    assert [tuple(x) for x in rows] == [(ended, ended)]


@pytest.mark.req("B52")
def test_a_component_ends_by_itself_and_its_service_goes_on(neighbours: Neighbours, name: str):
    installed = _installed(neighbours, name)
    gone = answered(neighbours.billing.terminate(key=name, asset=f"{name}.2", actual=neighbours.clock()))
    assert (gone.service_instance, gone.balance_group) == (None, None)
    assert [(x.product, x.state, x.service_instance) for x in gone.purchases] == [
        ("TEN-OFF", PurchaseState.CANCELLED, installed.service_instance)
    ]
    assert _states(neighbours, name) == {"": "active", "VOICE": "active", "TEN-OFF": "cancelled", "SIM": "active"}


@pytest.mark.req("B19", "B50")
def test_what_stands_on_an_account_is_suspended_resumed_and_ended_by_itself(neighbours: Neighbours, name: str):
    began = neighbours.clock() - 9 * DAY
    neighbours.billing.purchase(key=f"{name}-p", order=alone(name, purchase_of(name, "CLUB")), actual=began)
    for place, change in enumerate(
        (neighbours.billing.suspend, neighbours.billing.resume, neighbours.billing.terminate), start=1
    ):
        answered(change(key=f"{name}-{place}", asset=name, actual=began + 2 * place * DAY))
    found = [_listed(neighbours, name, began + day * DAY) for day in range(8)]
    assert [x[0].state.value if x else "" for x in found] == [
        *["active"] * 2,
        *["suspended"] * 2,
        *["active"] * 2,
        *[""] * 2,
    ]
    changed = [x[0].state_since for x in found if x]
    assert changed == [None, None, *[began + 2 * DAY] * 2, *[began + 4 * DAY] * 2]


@pytest.mark.req("F06", "B50")
def test_what_was_suspended_at_an_instant_can_be_asked_later(neighbours: Neighbours, name: str):
    billing, began = neighbours.billing, neighbours.clock() - 20 * DAY
    _installed(neighbours, name, since=began)
    for place, change in enumerate((billing.suspend, billing.resume, billing.suspend, billing.terminate), start=1):
        answered(change(key=f"{name}-{place}", asset=name, actual=began + 2 * place * DAY))
    found = [_listed(neighbours, name, began + day * DAY) for day in range(-1, 10)]
    assert [x[0].state.value if x else "" for x in found] == [
        "",
        *["active"] * 2,
        *["suspended"] * 2,
        *["active"] * 2,
        *["suspended"] * 2,
        *[""] * 2,
    ]
    assert {x[0].since for x in found if x} == {began}
    changed = [x[0].state_since for x in found if x]
    assert changed == [None, None, *(began + day * DAY for day in (2, 2, 4, 4, 6, 6))]


@pytest.mark.req("B50", "B51")
def test_what_is_not_billed_is_neither_suspended_nor_resumed_nor_ended(neighbours: Neighbours, name: str):
    billing, before = neighbours.billing, neighbours.snapshot("billing")
    no = Refused(code="NOT_BILLED", message=f"nothing is billed for asset {name}")
    for change in (billing.suspend, billing.resume, billing.terminate):
        assert change(key=f"{name}-{change.__name__}", asset=name, actual=neighbours.clock()) == no
    assert neighbours.snapshot("billing") == before


@pytest.mark.req("B50")
def test_a_product_is_not_billed_again_while_its_service_is_suspended(neighbours: Neighbours, name: str):
    _installed(neighbours, name)
    neighbours.billing.suspend(key=f"{name}-1", asset=name, actual=neighbours.clock())
    answer = neighbours.billing.resume(key=f"{name}-2", asset=f"{name}.1", actual=neighbours.clock())
    assert answer == Refused(code="WRONG_STATE", message="its service is suspended")


def test_what_was_charged_once_neither_rests_nor_ends(neighbours: Neighbours, name: str):
    _installed(neighbours, name)
    before = neighbours.snapshot("billing")
    for change in (neighbours.billing.suspend, neighbours.billing.terminate):
        answer = change(key=f"{name}-{change.__name__}", asset=f"{name}.3", actual=neighbours.clock())
        assert answer == Refused(code="WRONG_STATE", message="SIM was charged once, and does not go on")
    update = Update(asset=f"{name}.3", line="7", changes=("quantity",), quantity=2)
    answer = neighbours.billing.update(key=name, updates=[update], actual=neighbours.clock())
    assert answer == Refused(code="WRONG_STATE", message="SIM was charged once, and stays so", lines=("7",))
    assert neighbours.snapshot("billing") == before


def test_a_date_before_what_it_follows_is_refused_and_never_changed(neighbours: Neighbours, name: str):
    began = neighbours.clock() - 9 * DAY
    _installed(neighbours, name, since=began)
    billing, second = neighbours.billing, timedelta(seconds=1)
    steps = (billing.suspend, billing.resume, billing.terminate)
    for place, change in enumerate(steps):
        last = began + place * DAY
        before = neighbours.snapshot("billing")
        answer = change(key=f"{name}-{place}-early", asset=name, actual=last - second)
        assert code_of(answer) == "WRONG_DATE"
        assert neighbours.snapshot("billing") == before
        answered(change(key=f"{name}-{place}", asset=name, actual=last + DAY))
    other = f"{name}-b"
    _installed(neighbours, other, since=began)
    update = Update(asset=f"{other}.1", line="1", changes=("quantity",), quantity=2)
    move = Move(old=other, new=f"{other}-new", line="1")
    assert code_of(billing.update(key=f"{other}-u", updates=[update], actual=began - second)) == "WRONG_DATE"
    fee = purchase_of(f"{other}.fee", "FEE", BillingType.ITEM)
    assert code_of(billing.charge(key=f"{other}-c", service=other, charge=fee, actual=began - second)) == "WRONG_DATE"
    assert code_of(billing.repoint(key=f"{other}-r", moves=[move], actual=began - second)) == "WRONG_DATE"


@pytest.mark.req("B54")
def test_new_service_attributes_reach_the_instance_and_no_product(neighbours: Neighbours, name: str):
    _simple(neighbours, name)
    before = neighbours.rows("SELECT * FROM billing.purchases WHERE asset = :name", name=name)
    asked = Update(asset=name, line="1", changes=("service_id",), service_id="+1-555-0199", billing_profile="other")

    answered(neighbours.billing.update(key=name, updates=[asked], actual=neighbours.clock()))

    rows = neighbours.rows(
        "SELECT service_id, account, profile FROM billing.service_instances WHERE asset = :name", name=name
    )
    assert [tuple(x) for x in rows] == [("+1-555-0199", ACCOUNT, "ACME-BP")], "only what is asked for"
    assert neighbours.rows("SELECT * FROM billing.purchases WHERE asset = :name", name=name) == before


@pytest.mark.req("B54", "B22")
def test_another_billing_account_reaches_all_that_goes_on_in_the_service(neighbours: Neighbours, name: str):
    installed = _installed(neighbours, name)
    neighbours.billing.sync_customer(key=f"{name}-a", account=Account(id=name, name="Bolts"))
    asked = Update(
        asset=name,
        line="1",
        changes=("billing_account", "billing_profile"),
        billing_account=name,
        billing_profile="BOLTS-BP",
    )

    answer = answered(neighbours.billing.update(key=f"{name}-u", updates=[asked], actual=neighbours.clock()))

    assert answer.balance_group == installed.balance_group
    assert {x.product for x in answer.purchases} == {"VOICE", "TEN-OFF"}
    rows = neighbours.rows("SELECT product, account FROM billing.purchases WHERE asset LIKE :a", a=f"{name}%")
    assert {x.product: x.account for x in rows} == {"VOICE": name, "TEN-OFF": name, "SIM": ACCOUNT}
    assert [x.account for x in _listed(neighbours, name, neighbours.clock())] == [name]


@pytest.mark.req("B19", "B54")
def test_what_stands_on_an_account_is_billed_to_the_new_one(neighbours: Neighbours, name: str):
    neighbours.billing.sync_customer(key=f"{name}-a", account=Account(id=name, name="Bolts"))
    order = alone(name, purchase_of(name, "CLUB"))
    neighbours.billing.purchase(key=f"{name}-p", order=order, actual=neighbours.clock())
    asked = Update(asset=name, line="1", changes=("billing_account",), billing_account=name)
    answered(neighbours.billing.update(key=f"{name}-u", updates=[asked], actual=neighbours.clock()))
    rows = neighbours.rows("SELECT account, balance_group FROM billing.purchases WHERE asset = :name", name=name)
    assert [tuple(x) for x in rows] == [(name, f"BG-{name}")]


@pytest.mark.req("B56")
def test_price_promotion_and_quantity_reach_the_product_and_not_the_instance(neighbours: Neighbours, name: str):
    installed = _simple(neighbours, name)
    before = neighbours.rows("SELECT * FROM billing.service_instances WHERE asset = :name", name=name)
    asked = Update(
        asset=name,
        line="1",
        changes=("price", "promotion_ref", "quantity"),
        price=Money(1_200, "USD"),
        promotion_ref=None,
        quantity=7,
    )

    answer = answered(neighbours.billing.update(key=name, updates=[asked], actual=neighbours.clock()))

    assert answer.purchases == (replace(installed.purchases[0], quantity=7),)
    rows = neighbours.rows(
        "SELECT price_minor, currency, promotion_ref, quantity FROM billing.purchases WHERE asset = :name", name=name
    )
    assert [tuple(x) for x in rows] == [(1_200, "USD", None, 7)]
    assert neighbours.rows("SELECT * FROM billing.service_instances WHERE asset = :name", name=name) == before
    assert _listed(neighbours, name, neighbours.clock())[0].price == Money(8_400, "USD")


@pytest.mark.req("B54", "B56")
def test_a_mixed_update_is_done_in_whole_or_not_at_all_and_what_was_stays_on_record(neighbours: Neighbours, name: str):
    _simple(neighbours, name)
    service = Update(asset=name, line="1", changes=("service_id", "quantity"), service_id="+2", quantity=9)
    unknown = Update(asset=f"{name}.9", line="1.9", changes=("quantity",), quantity=2)
    nobody = replace(service, changes=("quantity", "billing_account"), billing_account="nobody's")
    before, at = neighbours.snapshot("billing"), neighbours.clock() - DAY

    def ask(key: str, *updates: Update) -> Billed | Refused:
        return neighbours.billing.update(key=f"{name}-{key}", updates=updates, actual=at)

    missing = f"billing has no quantity of asset {name}.9"
    assert ask("1", service, unknown) == Refused(code="NOT_BILLED", message=missing, lines=("1.9",))
    assert ask("2", service, nobody) == Refused(code="ACCOUNT_UNKNOWN", message="no open account nobody's")
    assert neighbours.snapshot("billing") == before
    answered(ask("3", service))
    rows = neighbours.rows(
        "SELECT u.at, u.was FROM billing.updates u LEFT JOIN billing.service_instances s ON s.id = u.id"
        " LEFT JOIN billing.purchases p ON p.id = u.id WHERE s.asset = :name OR p.asset = :name ORDER BY s.id",
        name=name,
    )
    assert [tuple(x) for x in rows] == [(at, {"service_id": "+1-555-0100"}), (at, {"quantity": 5})]


@pytest.mark.req("B54", "B56")
@pytest.mark.parametrize(
    "wrong",
    [
        Update(asset="a", line="1", changes=()),
        Update(asset="a", line="1", changes=("service_point",)),
        Update(asset="a", line="1", changes=("quantity",), quantity=0),
    ],
    ids=lambda x: "-".join(x.changes) or "nothing",
)
def test_what_billing_cannot_be_asked_to_change_is_not_acceptable(neighbours: Neighbours, name: str, wrong: Update):
    with pytest.raises(Unacceptable):
        neighbours.billing.update(key=name, updates=[wrong], actual=neighbours.clock())


@pytest.mark.req("B26", "B58")
@pytest.mark.parametrize("was", ["active", "suspended"])
def test_a_service_charge_is_on_the_balance_group_of_the_service(neighbours: Neighbours, name: str, was: str):
    installed = _simple(neighbours, name)
    if was == "suspended":
        neighbours.billing.suspend(key=f"{name}-s", asset=name, actual=neighbours.clock())
    fee = purchase_of(f"{name}.fee", "FEE", BillingType.ITEM)
    answer = answered(neighbours.billing.charge(key=f"{name}-c", service=name, charge=fee, actual=neighbours.clock()))
    assert answer.charged == Money(1_000, "USD")
    (bought,) = answer.purchases
    assert bought == Purchased(
        id=bought.id,
        asset=f"{name}.fee",
        product="FEE",
        quantity=1,
        state=PurchaseState.ACTIVE,
        service_instance=installed.service_instance,
        starts=neighbours.clock(),
    )
    assert charges_of(neighbours, name) == [(f"{name}.fee", 1_000, installed.balance_group)]
    again = neighbours.billing.charge(key=f"{name}-d", service=name, charge=fee, actual=neighbours.clock())
    assert code_of(again) == "ALREADY_BILLED"
    assert len(charges_of(neighbours, name)) == 1


@pytest.mark.req("B26", "B58", "B49")
def test_nothing_is_charged_to_what_is_not_billed_yet_and_never_to_the_account_instead(
    neighbours: Neighbours, name: str
):
    fee = purchase_of(f"{name}.fee", "FEE", BillingType.ITEM)

    def ask(key: str) -> Billed | Refused:
        return neighbours.billing.charge(key=f"{name}-{key}", service=name, charge=fee, actual=neighbours.clock())

    no = Refused(code="NOT_BILLED", message=f"no service is billed for asset {name}", lines=(fee.line,))
    assert ask("1") == no
    neighbours.billing.initiate(key=f"{name}-i", orders=[order_of(name, purchase_of(name, "INTERNET"))])
    assert code_of(ask("2")) == "WRONG_STATE"
    neighbours.billing.fulfill(
        key=f"{name}-f", order=order_of(name, purchase_of(name, "INTERNET")), actual=neighbours.clock()
    )
    neighbours.billing.terminate(key=f"{name}-t", asset=name, actual=neighbours.clock())
    assert code_of(ask("3")) == "NOT_BILLED"
    with pytest.raises(Unacceptable):
        neighbours.billing.charge(
            key=f"{name}-4", service=name, charge=purchase_of("x", "VOICE"), actual=neighbours.clock()
        )
    assert charges_of(neighbours, name) == []


@pytest.mark.req("B53")
def test_a_move_has_all_known_by_the_new_assets_and_changes_nothing_else(neighbours: Neighbours, name: str):
    installed = _installed(neighbours, name)
    assets = [name, f"{name}.1", f"{name}.2", f"{name}.3"]
    moves = [Move(old=x, new=f"new-{x}", line=f"line of {x}") for x in assets]

    def rows() -> list[dict[str, object]]:
        found = [
            *neighbours.rows("SELECT * FROM billing.service_instances WHERE asset LIKE :a ORDER BY id", a=f"%{name}%"),
            *neighbours.rows("SELECT * FROM billing.purchases WHERE asset LIKE :a ORDER BY id", a=f"%{name}%"),
            *neighbours.rows("SELECT *, '' AS asset FROM billing.charges ORDER BY purchase"),
        ]
        return [{**x._mapping, "asset": ""} for x in found]  # noqa: SLF001 - the public name of columns

    before = rows()
    answer = neighbours.billing.repoint(key=name, moves=moves, actual=neighbours.clock())
    ids = {x.asset: x.id for x in installed.purchases} | {name: installed.service_instance}
    assert answer == Repointed(key=name, objects={ids[x] or "": f"new-{x}" for x in assets})
    assert rows() == before
    assert [x.service for x in _listed(neighbours, f"new-{name}", neighbours.clock())] == [f"new-{name}"]
    gone = answered(neighbours.billing.terminate(key=f"{name}-t", asset=f"new-{name}", actual=neighbours.clock()))
    assert gone.service_instance == installed.service_instance


@pytest.mark.req("B53")
def test_a_simple_service_bundle_moves_with_both_of_its_objects(neighbours: Neighbours, name: str):
    installed = _simple(neighbours, name)
    move = Move(old=name, new=f"{name}-new", line="1")
    answer = neighbours.billing.repoint(key=name, moves=[move], actual=neighbours.clock())
    assert isinstance(answer, Repointed)
    assert answer.objects == dict.fromkeys((installed.service_instance, installed.purchases[0].id), f"{name}-new")


@pytest.mark.req("B53")
def test_what_cannot_move_stays_where_it_is_and_so_does_all_that_was_to_move_with_it(neighbours: Neighbours, name: str):
    a, b, c, nothing = f"{name}-a", f"{name}-b", f"{name}-c", f"{name}-x"
    _simple(neighbours, a)
    _simple(neighbours, b)
    neighbours.billing.initiate(key=f"{name}-i", orders=[order_of(c, purchase_of(c, "INTERNET"))])
    before = neighbours.snapshot("billing")

    def ask(key: str, *moves: tuple[str, str]) -> object:
        asked = [Move(old=old, new=new, line=f"line of {old}") for old, new in moves]
        return neighbours.billing.repoint(key=f"{name}-{key}", moves=asked, actual=neighbours.clock())

    ok = (a, f"{a}-new")
    unknown = Refused(code="NOT_BILLED", message=f"nothing is billed for {nothing}", lines=(f"line of {nothing}",))
    assert ask("1", ok, (nothing, "new")) == unknown
    assert ask("2", (a, b)) == Refused(code="ALREADY_BILLED", message=f"billed already: {b}", lines=(f"line of {a}",))
    assert code_of(ask("3", ok, (c, f"{c}-new"))) == "WRONG_STATE"
    assert neighbours.snapshot("billing") == before


def test_a_service_is_closed_or_gets_a_new_product_whatever_comes_first(neighbours: Neighbours, name: str):
    """Nothing is ever purchased for a service that is closed: what comes too late stands on the account."""
    services = [f"{name}-{i}" for i in range(12)]
    for service in services:
        _simple(neighbours, service)
    now = neighbours.clock()

    def act(i: int) -> object:
        service = services[i // 2]
        if i % 2:
            return neighbours.billing.terminate(key=f"{service}-t", asset=service, actual=now)
        late = alone(f"{service}.9", purchase_of(f"{service}.9", "EXTRA"), holder=service)
        return neighbours.billing.purchase(key=f"{service}-9", order=late, actual=now)

    at_once(act, 2 * len(services))
    rows = neighbours.rows(
        "SELECT p.id FROM billing.purchases p JOIN billing.service_instances s ON s.id = p.service_instance"
        " WHERE s.asset LIKE :assets AND s.status = 'closed' AND p.status <> 'cancelled'",
        assets=f"{name}%",
    )
    assert rows == []


CHANGES: dict[str, Callable[[Neighbours], Change]] = {
    "suspend": lambda n: n.billing.suspend,
    "resume": lambda n: n.billing.resume,
    "terminate": lambda n: n.billing.terminate,
}


@pytest.mark.req("B50", "B51")
@pytest.mark.parametrize("was", ["initiated", "active"])
@pytest.mark.parametrize("deeds", list(every(CHANGES, repeat=3)), ids="-".join)
def test_what_is_billed_passes_only_into_states_it_may_and_its_product_goes_along(
    neighbours: Neighbours, name: str, deeds: tuple[str, ...], was: str
):
    order = order_of(name, purchase_of(name, "INTERNET"))
    neighbours.billing.initiate(key=f"{name}-i", orders=[order])
    if was == "active":
        neighbours.billing.fulfill(key=f"{name}-f", order=order, actual=neighbours.clock())

    def state() -> InstanceState:
        states = _states(neighbours, name)
        assert states["INTERNET"] == PURCHASE_OF[InstanceState(states[""])]
        return InstanceState(states[""])

    states = [state()]
    for place, deed in enumerate(deeds):
        answer = CHANGES[deed](neighbours)(key=f"{name}-{place}", asset=name, actual=neighbours.clock())
        states.append(state())
        if isinstance(answer, Refused):
            wanted = "NOT_BILLED" if states[-1] is InstanceState.CLOSED else "WRONG_STATE"
            assert (answer.code, states[-1]) == (wanted, states[-2])
    assert all(after is before or after in INSTANCE_NEXT[before] for before, after in pairwise(states))
    assert was == "active" or set(states) == {InstanceState.INITIATED}
