"""What every operation that changes something promises, whoever carries it out and however it is reached (F42)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters.switches import Mode, Switch
from domain.asset import Numbers
from domain.billing import Account, BilledService, Move, PurchaseOrder, ServiceOrder, Update
from domain.catalog import BillingType
from domain.inventory import Demand, Retirement
from domain.money import Money
from domain.neighbour import OutcomeUnknown, Refused, Unacceptable, Unavailable, every
from domain.provisioning import NetworkService, RunningService
from tests.adapters.conftest import ACCOUNT, Neighbours, at_once

ACTUAL = datetime(2026, 4, 30, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
Ask = Callable[[Neighbours, str, str], object]


@dataclass(frozen=True)
class Operation:
    """``ask`` and ``ask_other`` get the name of what they are about, and a key; ``before`` prepares it."""

    system: str
    name: str
    ask: Ask
    ask_other: Ask
    before: Callable[[Neighbours, str], object] = lambda _, __: None


def _demands(name: str) -> tuple[Demand, ...]:
    return (Demand(line="1", sku=name), Demand(line="2", pool=name))


def _stocked(n: Neighbours, name: str) -> None:
    n.own_inventory.supplies.receive(sku=name, quantity=100)
    n.own_inventory.supplies.create_range(pool=name, first="100", last="199")


def _held(n: Neighbours, name: str) -> None:
    _stocked(n, name)
    n.inventory.reserve(key=f"{name}-held", order=name, demands=_demands(name))


def _assigned(n: Neighbours, name: str) -> None:
    _held(n, name)
    n.inventory.commit(key=f"{name}-assigned", reservation=f"{name}-held")


def _given_back(name: str) -> Retirement:
    return Retirement(line="7", numbers=Numbers(pool=name, values=("100",), reservation=f"{name}-held", line="2"))


def _service(name: str) -> NetworkService:
    return NetworkService(
        service=name, product="GSM", account=ACCOUNT, billable=True, numbers={"M": ("1",)}, attributes={"apn": "x"}
    )


def _up(n: Neighbours, name: str) -> None:
    n.provisioning.activate(key=f"{name}-up", service=_service(name))


def _resting(n: Neighbours, name: str) -> None:
    _up(n, name)
    n.provisioning.suspend(key=f"{name}-resting", service=name)


def _order(name: str) -> ServiceOrder:
    purchase = PurchaseOrder(
        asset=f"{name}.1",
        line="1.1",
        product="SMS",
        billing_type=BillingType.SUBSCRIPTION,
        quantity=1,
        price=Money(500, "USD"),
    )
    return ServiceOrder(
        account=ACCOUNT,
        profile=None,
        asset=name,
        line="1",
        billing_service_type="/service/ip",
        service_id=None,
        purchases=(purchase,),
    )


def _initiated(n: Neighbours, name: str) -> None:
    n.billing.initiate(key=f"{name}-initiated", orders=[_order(name)])


def _bought(n: Neighbours, name: str) -> None:
    n.billing.purchase(key=f"{name}-bought", order=_order(name), actual=ACTUAL)


def _unbilled(n: Neighbours, name: str) -> None:
    _bought(n, name)
    n.billing.suspend(key=f"{name}-unbilled", asset=name, actual=ACTUAL)


def _update(name: str, service_id: str) -> Update:
    return Update(asset=name, line="1", changes=("service_id",), service_id=service_id)


def _fee(name: str) -> PurchaseOrder:
    return PurchaseOrder(
        asset=f"{name}.fee",
        line="1.fee",
        product="FEE",
        billing_type=BillingType.ITEM,
        quantity=1,
        price=Money(900, "USD"),
    )


OPERATIONS = (
    Operation(
        "inventory",
        "reserve",
        lambda n, name, key: n.inventory.reserve(key=key, order=name, demands=_demands(name)),
        lambda n, name, key: n.inventory.reserve(key=key, order=name, demands=_demands(name)[:1]),
        _stocked,
    ),
    Operation(
        "inventory",
        "amend_reservation",
        lambda n, name, key: n.inventory.amend_reservation(
            key=key, order=name, demands=_demands(name)[1:], replaces=f"{name}-held"
        ),
        lambda n, name, key: n.inventory.amend_reservation(
            key=key, order=name, demands=_demands(name)[:1], replaces=f"{name}-held"
        ),
        _held,
    ),
    Operation(
        "inventory",
        "deliver",
        lambda n, name, key: n.inventory.deliver(key=key, reservation=f"{name}-held", line="1"),
        lambda n, name, key: n.inventory.deliver(key=key, reservation=f"{name}-held", line="2"),
        _held,
    ),
    Operation(
        "inventory",
        "commit",
        lambda n, name, key: n.inventory.commit(key=key, reservation=f"{name}-held"),
        lambda n, _, key: n.inventory.commit(key=key, reservation="another"),
        _held,
    ),
    Operation(
        "inventory",
        "release",
        lambda n, name, key: n.inventory.release(key=key, reservation=f"{name}-held"),
        lambda n, _, key: n.inventory.release(key=key, reservation="another"),
        _held,
    ),
    Operation(
        "inventory",
        "retire",
        lambda n, name, key: n.inventory.retire(key=key, retirements=[_given_back(name)]),
        lambda n, name, key: n.inventory.retire(key=key, retirements=[replace(_given_back(name), line="8")]),
        _assigned,
    ),
    Operation(
        "provisioning",
        "activate",
        lambda n, name, key: n.provisioning.activate(key=key, service=_service(name)),
        lambda n, name, key: n.provisioning.activate(key=key, service=replace(_service(name), product="LTE")),
    ),
    Operation(
        "provisioning",
        "modify",
        lambda n, name, key: n.provisioning.modify(key=key, service=replace(_service(name), product="LTE")),
        lambda n, name, key: n.provisioning.modify(key=key, service=replace(_service(name), product="5G")),
        _up,
    ),
    Operation(
        "provisioning",
        "suspend",
        lambda n, name, key: n.provisioning.suspend(key=key, service=name),
        lambda n, _, key: n.provisioning.suspend(key=key, service="another"),
        _up,
    ),
    Operation(
        "provisioning",
        "resume",
        lambda n, name, key: n.provisioning.resume(key=key, service=name),
        lambda n, _, key: n.provisioning.resume(key=key, service="another"),
        _resting,
    ),
    Operation(
        "provisioning",
        "deactivate",
        lambda n, name, key: n.provisioning.deactivate(key=key, service=name),
        lambda n, _, key: n.provisioning.deactivate(key=key, service="another"),
        _up,
    ),
    Operation(
        "billing",
        "sync_customer",
        lambda n, name, key: n.billing.sync_customer(key=key, account=Account(id=name, name="ACME")),
        lambda n, name, key: n.billing.sync_customer(key=key, account=Account(id=name, name="Bolts")),
    ),
    Operation(
        "billing",
        "initiate",
        lambda n, name, key: n.billing.initiate(key=key, orders=[_order(name)]),
        lambda n, name, key: n.billing.initiate(key=key, orders=[replace(_order(name), profile="P")]),
    ),
    Operation(
        "billing",
        "amend_initiated",
        lambda n, name, key: n.billing.amend_initiated(
            key=key, orders=[replace(_order(name), service_id="+1")], replaces=f"{name}-initiated", dropped=[]
        ),
        lambda n, name, key: n.billing.amend_initiated(
            key=key, orders=[replace(_order(name), service_id="+2")], replaces=f"{name}-initiated", dropped=[]
        ),
        _initiated,
    ),
    Operation(
        "billing",
        "fulfill",
        lambda n, name, key: n.billing.fulfill(key=key, order=_order(name), actual=ACTUAL),
        lambda n, name, key: n.billing.fulfill(key=key, order=replace(_order(name), profile="P"), actual=ACTUAL),
        _initiated,
    ),
    Operation(
        "billing",
        "purchase",
        lambda n, name, key: n.billing.purchase(key=key, order=_order(name), actual=ACTUAL),
        lambda n, name, key: n.billing.purchase(key=key, order=replace(_order(name), profile="P"), actual=ACTUAL),
    ),
    Operation(
        "billing",
        "void_initiated",
        lambda n, name, key: n.billing.void_initiated(key=key, asset=name),
        lambda n, _, key: n.billing.void_initiated(key=key, asset="another"),
        _initiated,
    ),
    Operation(
        "billing",
        "suspend",
        lambda n, name, key: n.billing.suspend(key=key, asset=name, actual=ACTUAL),
        lambda n, name, key: n.billing.suspend(key=key, asset=name, actual=ACTUAL + HOUR),
        _bought,
    ),
    Operation(
        "billing",
        "resume",
        lambda n, name, key: n.billing.resume(key=key, asset=name, actual=ACTUAL),
        lambda n, name, key: n.billing.resume(key=key, asset=name, actual=ACTUAL + HOUR),
        _unbilled,
    ),
    Operation(
        "billing",
        "terminate",
        lambda n, name, key: n.billing.terminate(key=key, asset=name, actual=ACTUAL),
        lambda n, name, key: n.billing.terminate(key=key, asset=f"{name}.1", actual=ACTUAL),
        _bought,
    ),
    Operation(
        "billing",
        "update",
        lambda n, name, key: n.billing.update(key=key, updates=[_update(name, "+1")], actual=ACTUAL),
        lambda n, name, key: n.billing.update(key=key, updates=[_update(name, "+2")], actual=ACTUAL),
        _bought,
    ),
    Operation(
        "billing",
        "charge",
        lambda n, name, key: n.billing.charge(key=key, service=name, charge=_fee(name), actual=ACTUAL),
        lambda n, name, key: n.billing.charge(key=key, service=name, charge=_fee(f"{name}-2"), actual=ACTUAL),
        _bought,
    ),
    Operation(
        "billing",
        "repoint",
        lambda n, name, key: n.billing.repoint(
            key=key, moves=[Move(old=name, new=f"{name}-new", line="1")], actual=ACTUAL
        ),
        lambda n, name, key: n.billing.repoint(
            key=key, moves=[Move(old=name, new=f"{name}-other", line="1")], actual=ACTUAL
        ),
        _bought,
    ),
)


@pytest.fixture(params=OPERATIONS, ids=lambda x: f"{x.system}-{x.name}")
def operation(request: pytest.FixtureRequest, neighbours: Neighbours, name: str) -> Operation:
    operation: Operation = request.param
    operation.before(neighbours, name)
    return operation


def _switch(neighbours: Neighbours, operation: Operation, switch: Switch) -> None:
    neighbours.own(operation.system).switches.set(operation.name, switch)


def _known(neighbours: Neighbours, operation: Operation, key: str) -> object:
    match operation.system:
        case "inventory":
            return neighbours.inventory.query(key=key)
        case "provisioning":
            return neighbours.provisioning.query(key=key)
        case _:
            return neighbours.billing.query(key=key)


@pytest.mark.req("F20", "F42", "B48", "B49")
def test_the_same_key_twice_is_one_effect_and_one_answer(neighbours: Neighbours, operation: Operation, name: str):
    before = neighbours.snapshot(operation.system)
    answer = operation.ask(neighbours, name, name)
    after = neighbours.snapshot(operation.system)
    neighbours.clock.forward(hours=1)
    assert operation.ask(neighbours, name, name) == answer
    assert before != after == neighbours.snapshot(operation.system)
    assert not isinstance(answer, Refused)
    assert _known(neighbours, operation, name) == answer
    assert neighbours.outcomes(operation.system, name) == ["applied", "replayed"]


def test_a_key_used_for_another_request_is_not_acceptable(neighbours: Neighbours, operation: Operation, name: str):
    operation.ask(neighbours, name, name)
    after = neighbours.snapshot(operation.system)
    with pytest.raises(Unacceptable):
        operation.ask_other(neighbours, name, name)
    assert neighbours.snapshot(operation.system) == after
    assert neighbours.outcomes(operation.system, name) == ["applied", "failed"]


def test_a_refusal_does_nothing_and_is_remembered(neighbours: Neighbours, operation: Operation, name: str):
    before = neighbours.snapshot(operation.system)
    _switch(neighbours, operation, Switch(mode=Mode.REFUSE, code="NOT_TODAY", message="come again", remaining=1))
    no = Refused(code="NOT_TODAY", message="come again")
    assert operation.ask(neighbours, name, name) == no
    assert operation.ask(neighbours, name, name) == no
    assert _known(neighbours, operation, name) == no
    assert neighbours.snapshot(operation.system) == before
    assert neighbours.outcomes(operation.system, name) == ["refused", "replayed"]
    assert not isinstance(operation.ask(neighbours, name, f"{name}-again"), Refused)


def test_a_lost_answer_is_found_by_its_key(neighbours: Neighbours, operation: Operation, name: str):
    before = neighbours.snapshot(operation.system)
    _switch(neighbours, operation, Switch(mode=Mode.LOSE_ANSWER, remaining=1))
    with pytest.raises(OutcomeUnknown):
        operation.ask(neighbours, name, name)
    after = neighbours.snapshot(operation.system)
    known = _known(neighbours, operation, name)
    assert known is not None
    assert operation.ask(neighbours, name, name) == known
    assert before != after == neighbours.snapshot(operation.system)
    assert neighbours.outcomes(operation.system, name) == ["applied", "replayed"]


def test_a_failure_before_the_effect_leaves_nothing(neighbours: Neighbours, operation: Operation, name: str):
    before = neighbours.snapshot(operation.system)
    _switch(neighbours, operation, Switch(mode=Mode.FAIL_BEFORE, remaining=1, ms=3_000))
    with pytest.raises(Unavailable) as unavailable:
        operation.ask(neighbours, name, name)
    assert unavailable.value.retry_after_s == 3
    assert _known(neighbours, operation, name) is None
    assert neighbours.snapshot(operation.system) == before
    assert operation.ask(neighbours, name, name) == _known(neighbours, operation, name)
    assert neighbours.outcomes(operation.system, name) == ["applied", "failed"]


def test_a_failure_after_the_effect_leaves_all_of_it(neighbours: Neighbours, operation: Operation, name: str):
    before = neighbours.snapshot(operation.system)
    _switch(neighbours, operation, Switch(mode=Mode.FAIL_AFTER, remaining=1))
    with pytest.raises(Unavailable):
        operation.ask(neighbours, name, name)
    after = neighbours.snapshot(operation.system)
    assert operation.ask(neighbours, name, name) == _known(neighbours, operation, name)
    assert before != after == neighbours.snapshot(operation.system)


def test_a_delayed_call_is_late_and_otherwise_as_ever(neighbours: Neighbours, operation: Operation, name: str):
    _switch(neighbours, operation, Switch(mode=Mode.DELAY, ms=80))
    began = time.monotonic()
    answer = operation.ask(neighbours, name, name)
    assert time.monotonic() - began >= 0.08
    assert answer == _known(neighbours, operation, name)


def test_a_switch_concerns_only_the_calls_that_match(neighbours: Neighbours, operation: Operation, name: str):
    _switch(neighbours, operation, Switch(mode=Mode.REFUSE, match=f"{name}-bad-key"))
    assert isinstance(operation.ask(neighbours, name, f"{name}-bad-key"), Refused)
    assert not isinstance(operation.ask(neighbours, name, f"{name}-good-key"), Refused)


@pytest.mark.req("F20", "F42")
def test_the_same_key_many_times_at_once_is_one_effect(neighbours: Neighbours, operation: Operation, name: str):
    answers = at_once(lambda _: operation.ask(neighbours, name, name), 8)
    assert all(answer == answers[0] for answer in answers)
    assert not isinstance(answers[0], Refused)
    assert neighbours.outcomes(operation.system, name) == ["applied"] + ["replayed"] * 7


def test_a_switch_that_counts_is_used_exactly_so_often(neighbours: Neighbours, name: str):
    neighbours.own_provisioning.switches.set("activate", Switch(mode=Mode.REFUSE, remaining=3))
    answers = at_once(
        lambda i: neighbours.provisioning.activate(key=f"{name}-{i}", service=_service(f"{name}-{i}")), 12
    )
    assert sum(isinstance(answer, Refused) for answer in answers) == 3
    assert neighbours.own_provisioning.switches.all() == {}


def test_a_switch_outlives_the_process_that_set_it(neighbours: Neighbours):
    switch = Switch(mode=Mode.DELAY, match="x", remaining=5, ms=7)
    neighbours.own_billing.switches.set("fulfill", switch)
    another = type(neighbours.own_billing)(neighbours.engine, clock=neighbours.clock)
    assert another.switches.all() == {"fulfill": switch}


def test_only_what_can_be_switched_is(neighbours: Neighbours):
    with pytest.raises(ValueError, match="fly"):
        neighbours.own_inventory.switches.set("fly", Switch(mode=Mode.REFUSE))
    with pytest.raises(ValueError, match="slow"):
        neighbours.own_billing.switches.set("fulfill", Switch(mode=Mode.SLOW, ms=1))


@pytest.mark.parametrize("mode", [Mode.FAIL_BEFORE, Mode.FAIL_AFTER, Mode.LOSE_ANSWER])
def test_a_question_that_fails_can_simply_be_asked_again(neighbours: Neighbours, mode: Mode):
    neighbours.own_billing.switches.set("references", Switch(mode=mode, remaining=1))
    with pytest.raises(Unavailable):
        neighbours.billing.references(product="SMS")
    neighbours.billing.references(product="SMS")


@pytest.mark.parametrize("poison", ["\0", "half a character: \ud800"])
def test_texts_that_no_database_takes_are_not_acceptable(neighbours: Neighbours, name: str, poison: str):
    with pytest.raises(Unacceptable):
        neighbours.provisioning.activate(key=name, service=_service(f"{name}{poison}"))
    with pytest.raises(Unacceptable):
        neighbours.provisioning.activate(key=f"{name}{poison}", service=_service(name))
    with pytest.raises(Unacceptable):
        neighbours.provisioning.activate(key="", service=_service(name))
    assert neighbours.provisioning.query(key=name) is None


def test_any_other_text_goes_through_unharmed(neighbours: Neighbours, name: str):
    key = f"{name}:Ünïcode / 50% 'quoted' \"twice\" ; -- \u202e🙂:1"
    answer = neighbours.provisioning.activate(key=key, service=_service(key))
    assert neighbours.provisioning.query(key=key) == answer


def test_a_database_that_goes_away_leaves_the_outcome_open_and_is_found_again(neighbours: Neighbours, name: str):
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with neighbours.engine.connect() as kept:
        neighbours.provisioning.activate(key=f"{name}-0", service=_service(name))
        kept.execute(others)
        with pytest.raises(OutcomeUnknown):
            neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    assert neighbours.provisioning.query(key=f"{name}-1") is None
    answer = neighbours.provisioning.activate(key=f"{name}-1", service=_service(name))
    assert neighbours.provisioning.query(key=f"{name}-1") == answer


@pytest.mark.req("F06", "F42")
@pytest.mark.parametrize("system", ["provisioning", "billing"])
def test_a_long_list_is_read_in_pages_in_ascending_order(neighbours: Neighbours, name: str, system: str):
    services = [f"{name}{x}" for x in ("-0", "-1", "-a", "-B", "-b", "-c", "0", "é")]
    for service in services:
        neighbours.provisioning.activate(key=f"{system}{service}", service=_service(service))
        neighbours.billing.purchase(key=f"{system}{service}", order=_order(service), actual=neighbours.clock())
    asked: list[str] = []

    def page(after: str) -> Sequence[RunningService] | Sequence[BilledService]:
        asked.append(after)
        neighbour = neighbours.provisioning if system == "provisioning" else neighbours.billing
        return neighbour.list_active(as_of=neighbours.clock(), after=max(after, name), limit=3)

    found = [x.service for x in every(page) if x.service.startswith(name)]
    assert found == sorted(services)
    assert len(asked) > 3


@dataclass(frozen=True)
class Undone:
    """An undo, and what it takes back, which arrives only afterwards."""

    undo: Ask
    late: Ask
    before: Callable[[Neighbours, str], object] = _stocked


UNDONE = {
    "release": Undone(
        lambda n, _, key: n.inventory.release(key=f"{key}:undo", reservation=key),
        lambda n, name, key: n.inventory.reserve(key=key, order=name, demands=_demands(name)),
    ),
    "deactivate": Undone(
        lambda n, name, key: n.provisioning.deactivate(key=f"{key}:undo", service=name, undoes=key),
        lambda n, name, key: n.provisioning.activate(key=key, service=_service(name)),
    ),
    "modify": Undone(
        lambda n, name, key: n.provisioning.modify(key=f"{key}:undo", service=_service(name), undoes=key),
        lambda n, name, key: n.provisioning.modify(key=key, service=replace(_service(name), product="LTE")),
        _up,
    ),
    "resume": Undone(
        lambda n, name, key: n.provisioning.resume(key=f"{key}:undo", service=name, undoes=key),
        lambda n, name, key: n.provisioning.suspend(key=key, service=name),
        _up,
    ),
    "suspend": Undone(
        lambda n, name, key: n.provisioning.suspend(key=f"{key}:undo", service=name, undoes=key),
        lambda n, name, key: n.provisioning.resume(key=key, service=name),
        _resting,
    ),
    "void_initiated": Undone(
        lambda n, name, key: n.billing.void_initiated(key=f"{key}:undo", asset=name, undoes=key),
        lambda n, name, key: n.billing.initiate(key=key, orders=[_order(name)]),
    ),
}


@pytest.mark.parametrize("undone", UNDONE.values(), ids=UNDONE)
def test_what_arrives_after_it_was_taken_back_is_refused(neighbours: Neighbours, name: str, undone: Undone):
    undone.before(neighbours, name)
    assert not isinstance(undone.undo(neighbours, name, name), Refused)

    late = undone.late(neighbours, name, name)

    assert isinstance(late, Refused)
    assert late.code == "TAKEN_BACK"
    assert undone.late(neighbours, name, name) == late, "twice is once"
